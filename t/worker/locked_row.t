# S4: a session keeps one product's row locked. The orders of that product wait, all others go on; none is product_gone.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $test = WorkerTest->start;
my $redis = $test->redis;
my $queue = 'order-processing-queue';

sub fresh {
    my ($units) = @_;
    $test->clear;
    $test->forget_log;
    $test->load($_, $units // 1000) for 1 .. 5;
}

sub orders_of { return $test->value('SELECT COUNT(*) FROM orders WHERE product_id = ?', $_[0]) }

sub pending { return $redis->xpending($queue, 'checkout-worker', '-', '+', 10000) }

subtest 'one row of five is locked' => sub {
    fresh();
    my $locker = $test->lock_product(3);
    my @waiting = map { $test->place_new($_ % 5 + 1, 1) } 0 .. 99;
    my $begin = time;
    my $pid = $test->worker(name => 'a');
    ok($test->wait_until(sub { $redis->xlen($queue) == 20 }), 'four drain');
    cmp_ok(time - $begin, '<', patient(4), 'after one wait for the lock');
    is(orders_of($_), 20, "product $_ has its orders") for 1, 2, 4, 5;

    $begin = time;
    my @placed = map { $test->place_new($_ % 5 + 1, 1) } 0 .. 99;
    ok($test->wait_until(sub { $redis->xlen($queue) == 40 }), 'what comes later drains as well');
    cmp_ok(time - $begin, '<', patient(1.5), 'without a wait: the row is known to be locked');
    sleep 6;    # own entries are looked at again every 5 s
    is(scalar @{ pending() }, 40, 'all orders of the locked product are pending');
    is_deeply([ grep { $_->[1] ne 'a-1' } @{ pending() } ], [], 'for the worker that has read them');
    cmp_ok((sort { $a <=> $b } map { $_->[2] } @{ pending() })[0], '>', 5000, 'which does not read them again');
    is(orders_of(3), 0, 'none has a verdict');
    cmp_ok($test->log_holds(qr/event=product_locked/), '==', 1, 'said once');

    $locker->rollback;
    ok($test->wait_drained(patient(3)), 'the row is free: they are worked on at once');
    is(orders_of(3), 40, 'all have a verdict');
    ok($test->log_holds(qr/event=product_unlocked.*product=3/), 'and that is said');
    $test->laws_hold('the laws hold');
    is($test->value("SELECT COUNT(*) FROM orders WHERE status <> 'pending_payment'"), 0, 'each is an order, none product_gone');
};

subtest 'the worker dies, another one has the same row to wait for' => sub {
    fresh();
    my $locker = $test->lock_product(3);
    my @waiting = map { $test->place_new(3, 1) } 1 .. 10;
    my $pid = $test->worker(name => 'a');
    ok($test->wait_until(sub { $test->log_holds(qr/event=product_locked/) }), 'set aside');
    $test->end_worker($pid, 'KILL');
    $test->worker(name => 'b', threads => 2);
    $test->place_new(1, 1);
    ok($test->wait_until(sub { orders_of(1) == 1 }), 'the other one goes on');
    ok($test->wait_until(sub { !grep { $_->[1] =~ /^a/ } @{ pending() } }), 'and takes over');
    sleep 1.5;
    is(orders_of(3), 0, 'they wait there');
    $locker->rollback;
    ok($test->wait_drained, 'drained');
    is($test->row($_), 'pending_payment', 'an order') for @waiting[ 0, 9 ];
    $test->laws_hold('the laws hold');
};

subtest 'a locked row that is deleted meanwhile' => sub {
    fresh();
    my $locker = $test->lock_product(3);
    my ($id) = $test->place_new(3, 1);
    $test->worker(name => 'a');
    ok($test->wait_until(sub { $test->log_holds(qr/event=product_locked/) }), 'set aside');
    is($test->row($id), 'no row', 'not gone, for a plain read sees the row');
    $locker->do('DELETE FROM products WHERE id = 3');
    $locker->commit;
    ok($test->wait_drained, 'drained');
    is($test->row($id), 'failed product_gone', 'now it is');
};

subtest 'more rows are locked than a worker remembers' => sub {
    fresh();
    $test->load($_, 10) for 100 .. 169;
    my $locker = $test->stack->connect_to($test->stack->{env}{MYSQL_SOCKET});
    $locker->begin_work;
    $locker->selectall_arrayref('SELECT id FROM products WHERE id >= 100 FOR UPDATE');
    $test->place_new($_, 1) for 100 .. 169;
    $test->worker(name => 'a');
    ok($test->wait_until(sub { $test->log_holds(qr/event=mysql_failed.*too many rows/) }), 'it waits, as for an outage');
    $locker->rollback;
    ok($test->wait_drained, 'drained');
    $test->laws_hold('the laws hold');
};

# Each takes its turn for the lock; nothing is set aside.
subtest 'two workers on one hot product' => sub {
    fresh(20_000);
    $test->place_new(1, 16) for 1 .. 250;
    $test->worker(name => $_) for 'a', 'b';
    ok($test->wait_drained, 'drained');
    ok(!$test->log_holds(qr/event=product_locked/), 'without setting anything aside');
    $test->laws_hold('the laws hold');
};

$test->clear;
$test->forget_log;
done_testing;
