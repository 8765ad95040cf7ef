package Patience;

# Waiting in tests, longer on a busy machine: no test depends on how fast the machine is.
#
#     use Patience;
#     ok wait_until(5, sub { … }), 'comes to pass';      # 5 s on an idle machine
#     cmp_ok $took, '<', patient(0.9), 'not later';      # an upper bound; lower bounds stay as they are
#
# PATIENCE=n sets the factor.

use strict;
use warnings;
use Exporter 'import';
use Time::HiRes qw(sleep time);

our @EXPORT = qw(patient wait_until);

my $cores = grep { /^processor/ } do { open my $in, '<', '/proc/cpuinfo' or die $!; <$in> };

# By the load of the machine at the moment of the call: 1 when it is idle, at most 8.
sub factor {
    return $ENV{PATIENCE} if $ENV{PATIENCE};
    open my $in, '<', '/proc/loadavg' or return 4;
    my ($load) = split ' ', <$in>;
    my $factor = 1 + 2 * $load / ($cores || 1);
    return $factor > 8 ? 8 : $factor;
}

sub patient { return $_[0] * factor() }

# 1 once the check is true; 0 when it was not in `seconds` of an idle machine. every: seconds between two checks.
sub wait_until {
    my ($seconds, $check, $every) = @_;
    for (my $until = time + patient($seconds); time < $until; sleep($every // 0.02)) {
        return 1 if $check->();
    }
    return $check->() ? 1 : 0;
}

1;
