package PrometheusText;

# A strict reader of the Prometheus text format 0.0.4; dies with the line that is wrong.
#
#     my $metrics = PrometheusText::parse($text);
#     $metrics->{checkout_orders_total}{type};                                  # 'counter'
#     $metrics->{checkout_orders_total}{samples}{'{outcome="queued"}'};          # 12

use strict;
use warnings;

my $NAME  = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;
my $LABEL = qr/[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"/;

sub parse {
    my ($text) = @_;
    my (%families, $family, %seen);
    $text =~ /\n\z/ or die "the last line does not end\n";
    for my $line (split /\n/, $text) {
        if ($line =~ /^# HELP ($NAME) (\S.*)$/) {
            die "second HELP: $line\n" if $families{$1};
            $families{$1} = { help => $2, name => $1, samples => {} };
            $family = $families{$1};
        } elsif ($line =~ /^# TYPE ($NAME) (counter|gauge|histogram)$/) {
            die "TYPE without its HELP: $line\n" if !$family || $family->{name} ne $1 || $family->{type};
            $family->{type} = $2;
        } elsif ($line =~ /^($NAME)(\{$LABEL(?:,$LABEL)*\})? (\d+(?:\.\d+)?)$/) {
            my ($name, $labels, $value) = ($1, $2 // '', $3);
            die "no TYPE before $line\n" if !$family || !$family->{type};
            my $suffix = $family->{type} eq 'histogram' ? '_(?:bucket|sum|count)' : '';
            die "not of this family: $line\n" if $name !~ /^\Q$family->{name}\E$suffix$/;
            die "twice: $line\n" if $seen{"$name$labels"}++;
            $family->{samples}{ substr($name, length $family->{name}) . $labels } = $value;
        } else {
            die "wrong: $line\n";
        }
    }
    check_histogram($_) for grep { $_->{type} eq 'histogram' } values %families;
    return \%families;
}

# Bounds grow, counts do not fall, and +Inf is the count.
sub check_histogram {
    my ($family) = @_;
    my %by_bound;
    for (keys %{ $family->{samples} }) { $by_bound{$1} = $family->{samples}{$_} if /^_bucket\{le="(.*)"\}$/ }
    my $all = delete $by_bound{'+Inf'} // die "$family->{name} has no +Inf\n";
    my $before = 0;
    for my $bound (sort { $a <=> $b } keys %by_bound) {
        die "$family->{name} falls at $bound\n" if $by_bound{$bound} < $before;
        $before = $by_bound{$bound};
    }
    die "$family->{name}: +Inf is not the count\n" if $all < $before || $all != $family->{samples}{_count};
    die "$family->{name} has no sum\n" if !defined $family->{samples}{_sum};
}

1;
