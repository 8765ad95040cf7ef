# Resident memory of a worker with four threads while a long queue drains: below 32 MB, however long the queue is.
#
# JOBS=1000000 fills the queue with a million orders (20,000 by default).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use List::Util qw(max);
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $jobs = $ENV{JOBS} // 20_000;
my $test = WorkerTest->start;
my $redis = $test->redis;
my $per_entry = 100;
my @products = 1 .. 40;

# In kB.
sub resident {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/status" or return 0;
    return max map { /^VmHWM:\s*(\d+)/ ? $1 : () } <$in>;
}

$test->clear;
$test->load($_, $jobs) for @products;
for my $i (0 .. $jobs / $per_entry - 1) {
    my $product = $products[ $i % @products ];
    $test->place([ $product, map { [ WorkerTest::identifier(), 1, $_ ] } 1 .. $per_entry ]);
}
is($redis->hget('gate', 'queued'), $jobs, "$jobs orders in the queue");

my $pid = $test->worker(threads => 4);
my ($begin, $most) = (time, 0);
$test->wait_until(sub {
    sleep 0.1;
    $most = max($most, resident($pid));
    my $left = $redis->xlen('order-processing-queue');
    return $left == 0 || ($ENV{STOP_AFTER} && time - $begin > $ENV{STOP_AFTER});
}, 600);
my $done = $jobs - $redis->hget('gate', 'queued');
diag(sprintf '%d orders settled in %.1f s by 4 threads, resident memory at most %.1f MB', $done, time - $begin, $most / 1024);

SKIP: {
    skip 'sanitizers need memory of their own', 1 if qx(nm -D $test->{stack}{build}/checkout-worker) =~ /__(?:asan|tsan)_/;
    cmp_ok($most, '<', 32 * 1024, 'resident memory stays below 32 MB');
}
$test->laws_hold('the laws hold', seconds => 20) if !$ENV{STOP_AFTER};
$test->clear;
done_testing;
