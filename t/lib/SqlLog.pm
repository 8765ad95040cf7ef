package SqlLog;

# The statements that programs send to a MySQL or MariaDB server, from its general log, and how the server runs them.
#
#     my $log = SqlLog->start($stack, 'mysql');       # of CheckoutStack; a server's name
#     my @shapes = $log->stop;                        # { shape, text }, each shape once: its longest text
#     my $plan = SqlLog::plan($handle, $text);        # [ { table, type, key, rows }, … ]
#     my $read = SqlLog::rows_read($handle, $text);   # rows that it reads when it runs; what it changes is rolled back

use strict;
use warnings;
use List::Util qw(sum0);

# The log is a table, which only an administrator may read. What empties it must not reach the replicas.
sub start {
    my ($class, $stack, $server) = @_;
    my $admin = $stack->administrator_of($server);
    $admin->do($_) for 'SET sql_log_bin = 0', 'SET GLOBAL general_log = 0', 'TRUNCATE mysql.general_log', q(SET GLOBAL log_output = 'TABLE'),
        'SET GLOBAL general_log = 1';
    return bless { admin => $admin, user => $stack->{env}{MYSQL_USER} }, $class;
}

sub stop {
    my ($self) = @_;
    my $admin = $self->{admin};
    $admin->do('SET GLOBAL general_log = 0');
    my $texts = $admin->selectcol_arrayref("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log
        WHERE command_type IN ('Query', 'Execute') AND user_host LIKE ?", undef, "$self->{user}\[%");
    $admin->do('TRUNCATE mysql.general_log');
    $admin->do(q(SET GLOBAL log_output = 'FILE'));
    my %longest;
    for my $text (map { statements($_) } @$texts) {
        my $shape = shape($text);
        $longest{$shape} = $text if length $text > length($longest{$shape} // '');
    }
    return map { { shape => $_, text => $longest{$_} } } sort keys %longest;
}

# Several that were sent at once, divided by semicolons.
sub statements {
    my ($text) = @_;
    my @parts = ('');
    while ($text =~ /\G('(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|`[^`]*`|;|[^'"`;]+|.)/gs) {
        $1 eq ';' ? push @parts, '' : ($parts[-1] .= $1);
    }
    return grep { length } map { s/^\s+|\s+$//gr } @parts;
}

# The statement without its values; a list of them is one.
sub shape {
    my ($text) = @_;
    $text =~ s/'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"/?/gs;
    $text =~ s/-?\b\d+(?:\.\d+)?\b/?/g;
    $text =~ s/\s+/ /g;
    1 while $text =~ s/\?(?: ?, ?\?)+/?,…/g || $text =~ s/\(\?(?:,…)?\)(?: ?, ?\((?:\?|\?,…)\))+/(?),…/g || $text =~ s/((?:\(id = \? AND provider = \?\)))(?: OR \1)+/$1…/g;
    return $text;
}

sub plan {
    my ($handle, $text) = @_;
    return [ map { { table => $_->{table}, type => $_->{type} // '', key => $_->{key} // '', rows => $_->{rows} // 0 } }
        grep { defined $_->{table} } @{ $handle->selectall_arrayref("EXPLAIN $text", { Slice => {} }) } ];
}

sub handler_reads {
    my ($handle) = @_;
    return sum0 map { $_->[1] } @{ $handle->selectall_arrayref("SHOW SESSION STATUS LIKE 'Handler_read%'") };
}

sub rows_read {
    my ($handle, $text) = @_;
    $handle->begin_work;
    my $before = handler_reads($handle);
    my $statement = $handle->prepare($text);
    $statement->execute;
    $statement->fetchall_arrayref if $statement->{NUM_OF_FIELDS};
    my $after = handler_reads($handle);
    $handle->rollback;
    return $after - $before;
}

1;
