# S3: a unique key of the shop's own, or of a trigger, that one order breaks. That one fails, all others are orders.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use Test::More;
use Time::HiRes qw(time);
use WorkerTest;

my $test = WorkerTest->start;

sub take_back {
    $test->sql('DROP TRIGGER IF EXISTS one_each');
    $test->sql('DROP TABLE IF EXISTS one_each');
    eval { $test->sql('ALTER TABLE orders DROP INDEX one_each') };
}

sub fresh {
    $test->clear;
    take_back();
    $test->forget_log;
    $test->load(1, 1000);
}

# 200 orders of 200 buyers; `twice` is a second one of buyer 7.
sub orders {
    my @orders = map { [ WorkerTest::identifier(), 1, 1000 + $_ ] } 1 .. 199;
    my $twice = [ WorkerTest::identifier(), 2, 7 ];
    $orders[20][2] = 7;
    splice @orders, 120, 0, $twice;
    return ($twice, @orders);
}

sub one_fails {
    my ($name, $entries) = @_;
    my ($twice, @orders) = orders();
    my $size = @orders / $entries;
    $test->place([ 1, splice @orders, 0, $size ]) while @orders;
    my $begin = time;
    $test->worker(name => 'a');
    ok($test->wait_drained, "$name: drained");
    cmp_ok(time - $begin, '<', patient(5), 'within seconds');
    is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment'"), 199, '199 are orders');
    is($test->row($twice->[0]), 'failed rejected', 'one failed');
    like($test->record($twice->[0]), qr/^failed rejected/, 'and the gate knows');
    is($test->value('SELECT stock FROM products WHERE id = 1'), 1000 - 199, 'its units are back');
    ok($test->log_holds(qr/event=order_refused order=$twice->[0] .*code=1062/), 'the log says why');
    $test->laws_hold('the laws hold');
    return $twice;
}

subtest 'a unique key of the shop\'s own' => sub {
    fresh();
    $test->sql('ALTER TABLE orders ADD UNIQUE INDEX one_each (user_id, product_id)');
    my $twice = one_fails('one entry', 1);
    is($test->value('SELECT product_id FROM orders WHERE order_identifier = ?', $twice->[0]), undef,
        'its row stands without the product, or it would meet the key as well');

    # The same order once more, as after a settle whose answer was lost: its row is its verdict.
    $test->redis->del($_) for $test->redis->keys('orders:*');
    $test->place([ 1, $twice ]);
    ok($test->wait_drained, 'drained');
    like($test->record($twice->[0]), qr/^failed rejected/, 'the verdict stands');
    ok(!$test->log_holds(qr/idempotency_conflict/), 'and is no conflict');
    is($test->stock_at_gate(1), 1000 - 199, 'nothing comes back twice');
};

subtest 'the same in many entries, two workers' => sub {
    fresh();
    $test->sql('ALTER TABLE orders ADD UNIQUE INDEX one_each (user_id, product_id)');
    $test->worker(name => 'b');
    one_fails('50 entries', 50);
};

subtest 'an order that comes alone' => sub {
    fresh();
    $test->sql('ALTER TABLE orders ADD UNIQUE INDEX one_each (user_id, product_id)');
    $test->worker(name => 'a');
    my ($first) = $test->place_new(1, 1, 7);
    $test->wait_drained;
    my ($second) = $test->place_new(1, 1, 7);
    ok($test->wait_drained(patient(5)), 'drained');
    is($test->row($first), 'pending_payment', 'the first stands');
    is($test->row($second), 'failed rejected', 'the second failed, without waiting for others');
    $test->laws_hold('the laws hold');
};

subtest 'a trigger that hits a unique key' => sub {
    fresh();
    $test->sql('CREATE TABLE one_each (user_id BIGINT UNSIGNED, product_id BIGINT UNSIGNED, UNIQUE (user_id, product_id))');
    $test->sql('CREATE TRIGGER one_each AFTER INSERT ON orders FOR EACH ROW INSERT INTO one_each VALUES (NEW.user_id, NEW.product_id)');
    one_fails('a trigger', 10);
};

subtest 'a key that no row of the order passes' => sub {
    fresh();
    $test->sql('CREATE TABLE one_each (user_id BIGINT UNSIGNED PRIMARY KEY)');
    $test->sql('CREATE TRIGGER one_each AFTER INSERT ON orders FOR EACH ROW INSERT INTO one_each VALUES (NEW.user_id)');
    my ($twice, @orders) = orders();
    $test->place([ 1, @orders ]);
    $test->worker(name => 'a');
    ok($test->wait_drained, 'drained');
    is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment'"), 199, '199 are orders');
    is($test->redis->xlen('dead-letter-queue'), 1, 'one is a dead letter');
    ok($test->log_holds(qr/event=dead_letter order=$twice->[0] .*code=1062/), 'with an alarm');
};

$test->clear;
take_back();
done_testing;
