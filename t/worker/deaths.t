# S12: an entry whose worker dies each time it has it in hand. Its batch mates are orders long before it is a dead letter.
# The fail point kills for the product of that entry.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Suspend;
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $test = WorkerTest->start;
my $redis = $test->redis;
my $queue = 'order-processing-queue';

sub fresh {
    $test->clear;
    $test->forget_log;
    $test->load($_, 1000) for 1 .. 3;
}

# As heartbeat.lua keeps them: id => number.
sub deaths { return split ' ', $redis->hget('workers', 'deaths') // '' }

# Runs a worker until it dies. Returns 1, or 0: it lives.
sub dies {
    my ($name) = @_;
    my $pid = $test->worker(name => $name, failpoint => 'batch.decided:kill=2');
    return $test->wait_until(sub { $test->has_ended($pid) || $redis->xlen('dead-letter-queue') > 0 || $redis->xlen($queue) == 0 }, 15)
        && $test->has_ended($pid);
}

sub rows { my ($product) = @_; return $test->value('SELECT COUNT(*) FROM orders WHERE product_id = ?', $product) }

# Under one name, as systemd starts it again, and with names by turns, where another one takes over.
for my $names ([ 'a' ], [ 'a', 'b' ]) {
    subtest 'workers ' . join(' and ', @$names) => sub {
        fresh();
        $test->place_new(1, 1) for 1 .. 10;
        my @bad = $test->place_new(2, 3);
        $test->place_new(3, 1) for 1 .. 10;
        for my $life (1 .. 5) {
            ok(dies($names->[ $life % @$names ]), "death $life");
        }
        cmp_ok(rows(1) + rows(3), '<', 20, 'its batch died with it each time');

        # Its batch mates have as many deaths, so it may come before some of them once more.
        ok(dies($names->[ $_ % @$names ]), "death $_") for 6, 7;
        is(rows(1) + rows(3), 20, 'it is alone now: its batch mates are orders');
        is($redis->xlen($queue), 1, 'it is all that waits');
        for my $life (8 .. 10) {
            ok(dies($names->[ $life % @$names ]), "death $life");
        }
        is($redis->xlen('dead-letter-queue'), 0, 'no dead letter so far');
        ok(!dies($names->[0]), 'the next worker lives');
        ok($test->wait_until(sub { $redis->xlen('dead-letter-queue') == 1 }), 'the entry is a dead letter');
        is($redis->xlen($queue), 0, 'and off the queue');
        ok($test->log_holds(qr/level=error event=entry_buried entry=\S+ why="10 workers died/), 'with an alarm');
        is($test->in_flight(2), 3, 'its units stay in flight');
        my ($id) = $test->place_new(1, 1);
        ok($test->wait_drained, 'orders go on');
        ok($test->wait_until(sub { !deaths() }), 'nothing is kept of those that are settled');
    };
}

subtest 'only what a worker had in hand counts' => sub {
    fresh();
    my $locker = $test->stack->connect_to($test->stack->{env}{MYSQL_SOCKET});
    $locker->begin_work;
    $locker->selectrow_array('SELECT stock FROM products WHERE id = 3 FOR UPDATE');
    $test->place_new(3, 1);
    my $pid = $test->worker(name => 'a');
    ok($test->wait_until(sub { $test->log_holds(qr/event=product_locked/) }), 'an entry is set aside');
    my ($id) = $test->place_new(1, 1);
    ok($test->wait_until(sub { $test->row($id) eq 'pending_payment' && $redis->xlen($queue) == 1 }), 'another is settled');
    $test->end_worker($pid, 'KILL');
    $pid = $test->worker(name => 'b');
    ok($test->wait_until(sub { $test->log_holds(qr/event=taken_over/) }), 'the dead one\'s entries are taken over');
    is_deeply([ deaths() ], [], 'a death, but not one of these entries');
    $locker->rollback;
    ok($test->wait_drained, 'drained');
    $test->end_worker($pid);
};

subtest 'deaths while MySQL is away count for nothing' => sub {
    fresh();
    my $mysql = $test->stack->{env}{MYSQL_PID};
    my ($id) = $test->place_new(1, 1);
    Suspend::stop($mysql);
    for my $life (1 .. 6) {
        my $pid = $test->worker(name => 'a');
        sleep 0.6;
        $test->end_worker($pid, 'KILL');
    }
    Suspend::go_on($mysql);
    is_deeply([ deaths() ], [], 'killed six times, with a MySQL that hangs');
    my $pid = $test->worker(name => 'a', failpoint => 'order.commit.before');
    $test->wait_until(sub { $test->has_ended($pid) });
    $pid = $test->worker(name => 'a', env => { CHECKOUT_MYSQL_SOCKET => '/nowhere' });
    ok($test->wait_until(sub { my %deaths = deaths(); my ($n) = values %deaths; ($n // 0) == 1 }), 'once, with a MySQL that answers');
    $test->end_worker($pid, 'KILL');
    $test->worker(name => 'a');
    ok($test->wait_drained, 'drained');
    is($test->row($id), 'pending_payment', 'an order');
    $test->laws_hold('the laws hold');
};

subtest 'who ends in order has not died' => sub {
    fresh();
    my $locker = $test->stack->connect_to($test->stack->{env}{MYSQL_SOCKET});
    $test->place_new(1, 1);
    $locker->begin_work;
    $locker->selectrow_array('SELECT stock FROM products WHERE id = 1 FOR UPDATE');
    my $pid = $test->worker(name => 'a');
    ok($test->wait_until(sub { $redis->hget('workers', 'batch:a-1') }), 'in hand');
    $test->end_worker($pid);
    is($redis->hget('workers', 'batch:a-1'), undef, 'taken back');
    $locker->rollback;
    $test->worker(name => 'b');
    ok($test->wait_drained, 'drained');
    is_deeply([ deaths() ], [], 'no death');
    $test->laws_hold('the laws hold');
};

$test->clear;
$test->forget_log;
done_testing;
