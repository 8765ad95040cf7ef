package Suspend;

# Suspends processes for a test: they accept connections, for the system does that, and stay silent.
#
#     Suspend::stop(@pids);       # returns when each thread of theirs has stopped: until then one may still answer
#     Suspend::go_on(@pids);

use strict;
use warnings;
use Time::HiRes qw(sleep time);

sub has_stopped {
    my ($pid) = @_;
    for my $file (glob "/proc/$pid/task/*/stat") {
        open my $in, '<', $file or next;
        return 0 if (<$in> // '') !~ /\) T /;
    }
    return 1;
}

sub stop {
    my (@pids) = @_;
    my $deadline = time + 10;
    kill 'STOP', @pids;
    while (grep { !has_stopped($_) } @pids) {
        die "@pids did not stop" if time > $deadline;
        sleep 0.005;
    }
    return 1;
}

sub go_on { my (@pids) = @_; return kill 'CONT', @pids }

1;
