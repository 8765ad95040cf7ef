# Redis or MySQL goes away in the middle of a sale and comes back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use CheckoutStack;
use Test::More;
use Time::HiRes qw(time);

my $stack = CheckoutStack->start;

subtest 'G9, W6: MySQL is away during a sale' => sub {
    $stack->add_product(1, 300);
    ok($stack->end_process('TERM', $stack->{env}{MYSQL_PID}), 'MySQL ends');
    my $begin = time;
    is_deeply($stack->sell(product => 1, orders => 800), { 202 => 300, 400 => 500 }, 'the gate sells as before');
    cmp_ok(time - $begin, '<', patient(5), 'at its usual speed');
    $stack->start_server('mysql');
    $stack->wait_drained('the queue drains by itself');
    is($stack->live_orders(1), 300, 'every order stands');
    is($stack->value("SELECT COUNT(*) FROM orders WHERE status = 'failed'"), 0, 'none failed for it');
    ok(CheckoutStack::wait_until(sub { $stack->replica_value('SELECT COUNT(*) FROM orders') == 300 }), 'the replica follows again');
};

subtest 'W6: MySQL is read-only for a while' => sub {
    $stack->add_product(2, 100);
    my $read_only = $stack->is_mariadb ? 'read_only' : 'super_read_only';    # the worker's account there may write in spite of the former
    $stack->administrator("SET GLOBAL $read_only = 1");
    is_deeply($stack->sell(product => 2, orders => 100), { 202 => 100 });
    sleep 2;
    ok(!$stack->is_drained, 'nothing is consumed');
    $stack->administrator("SET GLOBAL $_ = 0") for $read_only, 'read_only';
    $stack->wait_drained('the queue drains by itself');
    is($stack->live_orders(2), 100, 'every order stands');
};

subtest 'G8: SCRIPT FLUSH during a sale' => sub {
    $stack->add_product(3, 500);
    my $count = $stack->sell(product => 3, orders => 1000, before_each => sub { $stack->redis->script_flush if $_[0] % 200 == 100 });
    is_deeply($count, { 202 => 500, 400 => 500 }, 'nobody notices');
};

subtest 'G8: a restart of Redis' => sub {
    $stack->add_product(4, 100);
    is($stack->place(4, 1)->{status}, 202);
    ok($stack->end_process('TERM', $stack->{env}{REDIS_PID}), 'Redis ends');
    my $answer = $stack->place(4, 1);
    is($answer->{status}, 503, 'no Redis, no sale');
    is($answer->{data}{code}, 'unavailable');
    ok($answer->{headers}{'retry-after'}, 'with Retry-After');
    $stack->start_server('redis');
    ok(CheckoutStack::wait_until(sub { $stack->place(4, 1)->{status} == 202 }, 5), 'sells again without a restart of nginx');
    $stack->wait_drained('and the worker goes on');
};

subtest 'W7: Redis is away when a failure is settled' => sub {
    $stack->add_product(5, 10);
    $stack->end_workers;
    my $answer = $stack->place(5, 4);
    is($answer->{status}, 202);
    $stack->do('UPDATE products SET stock = 3, supplied_units = 3, version = version + 1 WHERE id = 5');
    $stack->do("INSERT INTO stock_movements (product_id, kind, units, stock_after) VALUES (5, 'adjust', -7, 3)");
    $stack->{supplied}{5} = 3;

    # The product's row is locked until Redis is gone. Under the lock the gate's version is looked at, so the verdict waits for
    # Redis; one that falls and cannot be told is in t/worker/intake_failpoints.t.
    my $lock = $stack->connect_to($stack->{env}{MYSQL_SOCKET});
    $lock->begin_work;
    $lock->selectall_arrayref('SELECT id FROM products WHERE id = 5 FOR UPDATE');
    $stack->start_server('worker');
    ok(CheckoutStack::wait_until(sub { $stack->value("SELECT COUNT(*) FROM information_schema.innodb_trx") > 1 }), 'the worker waits for the row');
    $stack->end_process('TERM', $stack->{env}{REDIS_PID});
    $lock->rollback;
    sleep 2;
    is($stack->value('SELECT COUNT(*) FROM orders WHERE product_id = 5 AND status <> ?', 'failed'), 0, 'no order is made meanwhile');
    $stack->start_server('redis');
    $stack->wait_drained;
    is($stack->redis_stock(5), 3, 'its units are back, once');
    is($stack->order_status($answer->{data}{order_identifier})->{failure_code}, 'out_of_stock');
};

$stack->laws_hold;
done_testing;
