# A check of what must be true fails for one product: its entries stay pending, set aside with an alarm, and all others go on.
# The fail point breaks the check without an end of the process, as in a release build.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use HTTP::Tiny;
use IO::Socket::INET;
use Suspend;
use Test::More;
use Time::HiRes qw(sleep);
use WorkerTest;

my $test = WorkerTest->start;

sub free_port {
    my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $!";
    return $socket->sockport;
}

# [entry, consumer] of all that is pending.
sub pending {
    my ($most) = @_;
    return map { [ @$_[ 0, 1 ] ] } @{ $test->redis->xpending('order-processing-queue', 'checkout-worker', '-', '+', $most // 100) };
}

sub lines {
    my ($pattern) = @_;
    open my $in, '<', $test->{log} or return 0;
    return scalar grep { $_ =~ $pattern } <$in>;
}

# Entries that were set aside: a line names one, and tells how many lines were left out before it.
sub set_aside {
    open my $in, '<', $test->{log} or return 0;
    my $count = 0;
    for (grep { /event=entry_set_aside/ } <$in>) {
        $count++ if /entry=/;
        $count += $1 if /left_out=(\d+)/;
    }
    return $count;
}

# An entry of product 1 that a consumer took who was then deleted by hand: it is pending for nobody.
sub make_stray {
    my ($pid) = @_;
    Suspend::stop($pid);
    sleep 0.8;    # the worker's own read of new entries has ended
    $test->place_new(1, 2);
    $test->redis->xreadgroup('GROUP', 'checkout-worker', 'ghost', 'STREAMS', 'order-processing-queue', '>');
    $test->redis->xgroup('DELCONSUMER', 'order-processing-queue', 'checkout-worker', 'ghost');
    is(scalar(grep { $_->[1] eq 'a-1' } pending(1000)), scalar(pending(1000)), 'the new entry is pending for nobody');
    is($test->redis->xlen('order-processing-queue'), 1 + pending(1000), 'and stands in the queue');
    Suspend::go_on($pid);
}

sub set_up {
    $test->clear;
    $test->forget_log;
    $test->load($_, 1000) for 1 .. 3;
    return map { $_ => [ $test->place_new($_, 3) ] } 1 .. 3;
}

sub metric {
    my ($port, $name) = @_;
    my $reply = HTTP::Tiny->new(timeout => 5)->get("http://127.0.0.1:$port/metrics");
    return $reply->{content} =~ /^checkout_$name (\d+)$/m ? $1 : "none: $reply->{status}";
}

sub check_breaks {
    my ($check, $row) = @_;
    my %ids = set_up();
    my ($entry) = map { $_->[0] } grep { my %f = @{ $_->[1] }; $f{product} == 2 } @{ $test->redis->xrange('order-processing-queue', '-', '+') };
    my $port = free_port();
    my $pid = $test->worker(name => 'a', failpoint => "$check:break=2", env => { CHECKOUT_WORKER_METRICS_ADDRESS => "127.0.0.1:$port" });

    ok($test->wait_until(sub { $test->redis->xlen('order-processing-queue') == 1 }), 'all other entries are settled');
    ok($test->wait_until(sub { lines(qr/event=entry_set_aside/) == 1 }), 'one entry is set aside, with an alarm');
    is(lines(qr/event=batch_divided/), 1, 'the batch ran again one by one');
    is_deeply([ pending() ], [ [ $entry, 'a-1' ] ], 'it is pending for its consumer');
    is($test->row($ids{1}[0]), 'pending_payment', 'an order of another product is written');
    is($test->record($ids{3}[2]) =~ s/ .*//r, 'pending_payment', 'and settled');
    is($test->row($_), $row, "an order that is set aside: $row") for @{ $ids{2} };
    is($test->in_flight(2), 3, 'its units are in flight');
    is(metric($port, 'invariant_failures_total'), 2, 'the metric counts the batch and the entry');
    is(metric($port, 'entries_set_aside'), 1, 'the gauge shows that it waits');

    $test->place_new(1, 2);
    ok($test->wait_until(sub { $test->redis->xlen('order-processing-queue') == 1 }), 'orders that come later go on');

    # Own entries are read again every 5 s.
    sleep 6;
    is(lines(qr/event=entry_set_aside/), 1, 'the entry is not tried again by that consumer');
    my ($pending) = @{ $test->redis->xpending('order-processing-queue', 'checkout-worker', '-', '+', 100) };
    cmp_ok($pending->[2], '>', 5000, 'nor does it read it: Redis and the audit see how long it waits');
    is_deeply([ pending() ], [ [ $entry, 'a-1' ] ], 'and is still pending');

    $test->end_worker($pid);
    $test->worker(name => 'b');
    ok($test->wait_drained, 'a worker whose checks hold takes it over');
    is($test->row($_), 'pending_payment', 'its orders have one verdict') for @{ $ids{2} };
    $test->laws_hold('the laws hold', checks_fail => 1);
    ok(!$test->log_holds(qr/event=(?:in_flight|gate_counts)_corrected/), 'counts were right all the time');
}

subtest 'a check fails before rows are written' => sub { check_breaks('batch.decided', 'no row'); done_testing };
subtest 'a check fails before a batch is settled' => sub { check_breaks('batch.committed', 'pending_payment'); done_testing };

# Several entries of one product: each is set aside alone, and the others go on all the same.
subtest 'several entries are set aside' => sub {
    set_up();
    $test->place_new(2, 1) for 1 .. 149;
    my $pid = $test->worker(name => 'a', failpoint => 'batch.decided:break=2');
    ok($test->wait_until(sub { set_aside() == 150 }), 'each alone');
    cmp_ok(lines(qr/event=entry_set_aside/), '<', 30, 'the log does not have a line for each');
    $test->place_new(1, 2);
    ok($test->wait_until(sub { $test->redis->xlen('order-processing-queue') == 150 }), 'orders that come later go on');
    sleep 6;
    is(set_aside(), 150, 'none is tried again');

    make_stray($pid);
    ok($test->wait_until(sub { $test->redis->xlen('order-processing-queue') == 150 }), 'a stray behind all these is claimed');
    $test->end_worker($pid);
    $test->worker(name => 'b', threads => 2);
    ok($test->wait_drained, 'taken over');
    $test->laws_hold('the laws hold', checks_fail => 1);
    done_testing;
};

$test->clear;
$test->forget_log;    # the tests that run after this one on the same stack want it clean
done_testing;
