# S11: Redis' clock steps an hour back or forward. Nothing is stranded, and nobody alive is taken for dead.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis;
use ClockStep;
use Patience qw(patient);
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $clock = ClockStep->new or plan(skip_all => 'no compiler for clock_step.c');
my $test = WorkerTest->start;
my $server = do { local %ENV = (%ENV, $clock->env); CheckoutRedis->start };
my $redis = $test->{redis} = $server->client;
local @ENV{qw(CHECKOUT_REDIS_ADDRESS CHECKOUT_REDIS_DATABASE)} = ("127.0.0.1:@{[ $server->port ]}", 1);

sub redis_is_off_by { return ($redis->time)[0] - time }

# Who holds each entry that is pending; there is no group before the first worker.
sub owners {
    my $pending = eval { $redis->xpending('order-processing-queue', 'checkout-worker', '-', '+', 100) } // [];
    return [ map { $_->[1] } @$pending ];
}

for my $seconds (-3600, 3600) {
    subtest "a step of $seconds s" => sub {
        $clock->step(0);
        $test->clear;
        $test->forget_log;
        $test->load($_, 100) for 1, 2;
        my $locker = $test->lock_product(1);
        my $holder = $test->worker(name => 'a');
        my @held = map { $test->place_new(1, 2) } 1 .. 3;
        ok($test->wait_until(sub { @{ owners() } == 3 }), 'a worker holds three entries');
        my $other = $test->worker(name => 'b');
        $test->wait_until(sub { $redis->hget('workers', 'b-1') });
        sleep 1.5;

        $clock->step($seconds);
        cmp_ok(abs(redis_is_off_by() - $seconds), '<', 60, 'the clock has stepped');
        my @more = map { sleep 0.1; $test->place_new(2, 1) } 1 .. 20;
        ok($test->wait_until(sub { (grep { $_ eq 'a-1' } @{ owners() }) == 3 }), 'who is alive keeps his entries') or diag("@{ owners() }");
        ok($test->wait_until(sub { $redis->xlen('order-processing-queue') == 3 }), 'what comes afterwards is worked on');
        ok(!$test->log_holds(qr/event=taken_over/), 'nobody took anything over');

        $test->end_worker($holder, 'KILL');
        my $begin = time;
        ok($test->wait_until(sub { !grep { $_ ne 'b-1' } @{ owners() } }), 'when he dies another one has them');
        cmp_ok(time - $begin, '<', patient(4), 'within dead_after and a little');
        ok($test->wait_until(sub { my @fields = $redis->hkeys('workers'); !grep { /\ba-1$/ } @fields }), 'and he is forgotten')
            or diag(join ' ', $redis->hkeys('workers'));
        $locker->rollback;
        ok($test->wait_drained, 'drained');
        is($test->row($_), 'pending_payment', 'an order') for $held[0], $more[-1];
        $test->laws_hold('the laws hold');
    };

    # Two steps and a death between them: the beat of the dead lies an hour ahead of the clock, or behind it.
    subtest "dead before a step of $seconds s" => sub {
        $clock->step(0);
        $test->clear;
        $test->forget_log;
        $test->load(1, 100);
        my $locker = $test->lock_product(1);
        my $holder = $test->worker(name => 'a', env => { CHECKOUT_WORKER_DEAD_AFTER => '2s' });
        $test->place_new(1, 2);
        $test->wait_until(sub { @{ owners() } == 1 });
        $test->end_worker($holder, 'KILL');
        $clock->step($seconds);
        $locker->rollback;
        $test->worker(name => 'b', env => { CHECKOUT_WORKER_DEAD_AFTER => '2s' });
        ok($test->wait_drained(patient(8)), 'another one takes over what the dead left');
        $test->laws_hold('the laws hold');
    };
}

$test->clear;
done_testing;
