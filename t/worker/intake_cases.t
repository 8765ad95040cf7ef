# The worker's cases W1 to W22 that need no nginx. W4, W5, W7 and W16 at every moment: intake_failpoints.t; outages: mysql_outage.t.
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
    $test->clear;
    $test->forget_log;
    $test->load(1, 20);
    $test->load(2, 20, per_user_limit => 9);
}

sub new_order { my ($quantity, $user) = @_; return [ WorkerTest::identifier(), $quantity // 1, $user // 1 ] }

sub settled_right {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($test->wait_drained, "$name: drained") or diag(qx(tail -n 5 $test->{log}));
    $test->laws_hold("$name: the laws hold");
}

# Entries read by a consumer and not settled; the group may still be missing.
sub pending { return eval { $redis->xpending($queue, 'checkout-worker')->[0] } // 0 }

# Every insert of an order fails with that number of MySQL, or those of one user.
sub refuse_orders {
    my ($number, $user) = @_;
    my $when = $user ? "NEW.user_id = $user" : 'TRUE';
    $test->sql("CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW
                IF $when THEN SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = $number, MESSAGE_TEXT = 'test'; END IF");
}

sub accept_orders { $test->sql('DROP TRIGGER IF EXISTS refuse') }
accept_orders();

subtest 'W1, W14: accepted at the gate, too little in MySQL' => sub {
    fresh();
    my @order = (new_order(15), new_order(5));
    $test->place([ 1, @order ]);
    $test->change_stock(1, -3);
    is($test->stock_at_gate(1), 0, 'all is held');
    $test->worker;
    settled_right('W1');
    is($test->row($order[0][0]), 'pending_payment', 'the first stands');
    is($test->row($order[1][0]), 'failed out_of_stock', 'the second failed, and its row says why');
    like($test->record($order[1][0]), qr/^failed out_of_stock 1 5 1 /, 'so does the record at the gate');
    is($test->stock_at_gate(1), 2, 'its units are back, once');
};

subtest 'W2: a verdict stands, whatever the stock does later' => sub {
    fresh();
    my $order = new_order(6);
    $test->place([ 1, $order ]);
    $test->change_stock(1, -15);
    $test->worker;
    settled_right('refused');
    $test->change_stock(1, 30);
    $test->wait_until(sub { $test->stock_at_gate(1) == 35 });
    $test->place([ 1, $order ]);
    settled_right('once more');
    is($test->row($order->[0]), 'failed out_of_stock', 'the first verdict stands');
};

subtest 'W3: two workers with two threads each' => sub {
    fresh();
    $test->worker(name => $_, threads => 2) for 'a', 'b';
    my @placed = map { $test->place_new(1, 2) } 1 .. 5;
    settled_right('W3');
    is($test->value('SELECT stock FROM products WHERE id = 1'), 10, 'ten of twenty are left');
};

subtest 'W4: another worker takes over within 5 s of a crash, with the default settings' => sub {
    fresh();
    my %defaults = (env => { CHECKOUT_WORKER_DEAD_AFTER => '3s', CHECKOUT_WORKER_RECONCILE_INTERVAL => '1s' });
    my $locker = $test->lock_product(1);
    $test->place_new(1, 4);
    my $victim = $test->worker(name => 'victim', %defaults);
    $test->wait_until(sub { pending() == 1 });
    $test->worker(name => 'other', %defaults);
    sleep 0.2;
    $test->end_worker($victim, 'KILL');
    $locker->rollback;
    my $begin = time;
    settled_right('W4');
    cmp_ok(time - $begin, '<', patient(5.5), 'in time');
    ok($test->log_holds(qr/event=taken_over/), 'and says so');
};

subtest 'W6: deadlock and lock wait time-out' => sub {
    for my $number (1213, 1205) {
        fresh();
        my @ids = $test->place_new(1, 5);
        refuse_orders($number);
        $test->worker;
        sleep 0.3;
        is($test->value('SELECT COUNT(*) FROM orders'), 0, "$number: all wait");
        accept_orders();
        settled_right($number);
        is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment'"), 5, "$number: all five are orders");
    }
};

subtest 'W8: the product is gone from MySQL' => sub {
    fresh();
    my $order = new_order(2);
    $test->place([ 1, $order ]);
    $test->sql('DELETE FROM products WHERE id = 1');
    $test->worker;
    ok($test->wait_drained, 'drained');
    is($test->row($order->[0]), 'failed product_gone', 'the order failed');
    ok($test->wait_until(sub { ($redis->hget('product:1:register', 'state') // '') eq 'closed' }), 'closed at the gate');
    $test->place([ 77, new_order() ]);
    is($redis->exists('product:77:stock'), 0, 'no key appears for an unknown product');
};

subtest 'W9: data that MySQL refuses, in a batch of 256' => sub {
    fresh();
    $test->load(3, 2_000_000_000, price => '9999999999.99');
    my $refused = new_order(1_999_000_000, 7);
    $test->place([ 3, map({ new_order() } 1 .. 100), $refused, map { new_order() } 1 .. 155 ]);
    $test->worker;
    settled_right('W9');
    is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment'"), 255, 'the other 255 are orders');
    is($test->row($refused->[0]), 'failed rejected', 'it has a tombstone');
    is($test->stock_at_gate(3), 2_000_000_000 - 255, 'its units are back');
};

subtest 'W9: an error of no list, while other orders of the batch commit' => sub {
    fresh();
    $test->load(3, 300);
    my $refused = new_order(3, 666);
    refuse_orders(1644, '666 AND NEW.status <> "failed"');
    $test->place([ 3, map({ new_order() } 1 .. 80), $refused, map { new_order() } 1 .. 80 ]);
    $test->worker;
    settled_right('W9');
    is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment'"), 160, 'the others are orders');
    is($test->row($refused->[0]), 'failed rejected', 'it has a tombstone');
    accept_orders();
};

subtest 'W9: not even a tombstone can be written' => sub {
    fresh();
    my $refused = new_order(3, 666);
    refuse_orders(1644, 666);
    $test->place([ 1, $refused ]);
    $test->worker;
    ok($test->wait_until(sub { $test->log_holds(qr/mysql_failed.*code=1644/) }), 'alone it waits: it may be MySQL');
    $test->place([ 1, new_order(2) ]);
    ok($test->wait_drained, 'beside another order it does not hold the queue up');
    is($redis->xlen('dead-letter-queue'), 1, 'a dead letter');
    is($test->stock_at_gate(1), 15, 'its units are not released');
    is($test->in_flight(1), 3, 'they are in flight');
    accept_orders();
};

subtest 'W9: an error of no list that all orders meet is the environment' => sub {
    fresh();
    refuse_orders(1644);
    $test->place_new(1, 10);
    $test->worker;
    ok($test->wait_until(sub { $test->log_holds(qr/mysql_failed/) >= 6 }), 'it tries on');
    is($test->value('SELECT COUNT(*) FROM orders'), 0, 'and no order failed for it');
    accept_orders();
    settled_right('afterwards');
    is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment'"), 10, 'all are orders');
};

subtest 'W10: SIGTERM while MySQL holds a batch up; the deadline; a second SIGTERM' => sub {
    fresh();
    my $locker = $test->lock_product(1);
    my @ids = $test->place_new(1, 3);
    my $pid = $test->worker(env => { CHECKOUT_WORKER_DRAIN_DEADLINE => '500ms' });
    sleep 0.3;
    my $begin = time;
    is($test->end_worker($pid), 1, 'at the deadline it ends with 1');
    cmp_ok(time - $begin, '<', patient(2), 'in time');
    is(join(' ', $redis->hvals('workers')), '0', 'it says that it left, so that others need not wait');
    $pid = $test->worker;
    sleep 0.3;
    kill 'TERM', $pid;
    sleep 0.1;
    $begin = time;
    is($test->end_worker($pid), 1, 'a second signal ends it');
    cmp_ok(time - $begin, '<', patient(0.5), 'at once');
    $locker->rollback;
    $test->worker(name => 'next');
    settled_right('W10');
    is($test->row($_), 'pending_payment', 'an order') for @ids;
};

# HUP, INT, USR1, USR2, TERM and no other: the worker's own set, not that of a fork.
sub holds_signals_back {
    my ($pid) = @_;
    open my $in, '<', "/proc/$pid/status" or return 0;
    return scalar grep { /^SigBlk:\s*0*4a03$/ } <$in>;
}

subtest 'a signal in the first milliseconds ends it in order' => sub {
    for my $ms (0 .. 4) {
        my $pid = $test->worker;
        # Before main() nobody can hold a signal back. It is held back from here on, long before the threads are there.
        $test->wait_until(sub { holds_signals_back($pid) }, 0.5);    # seen too late, it waits for them already
        sleep $ms / 1000;
        is($test->end_worker($pid), 0, "$ms ms later");
    }
};

subtest 'W11: the group and the queue are deleted' => sub {
    fresh();
    $test->worker;
    $test->place_new(1, 1);
    settled_right('before');
    $redis->xgroup('DESTROY', $queue, 'checkout-worker');
    $test->place_new(1, 1);
    settled_right('without a group');
    $redis->del($queue);
    $test->place_new(1, 1);
    settled_right('without a queue');
    is($test->value('SELECT COUNT(*) FROM orders'), 3, 'three orders');
};

subtest 'W11: an entry is deleted by hand before it was settled' => sub {
    fresh();
    $redis->xgroup('CREATE', $queue, 'checkout-worker', 0, 'MKSTREAM');
    $test->place_new(1, 2);
    $redis->xreadgroup('GROUP', 'checkout-worker', 'w-1', 'STREAMS', $queue, '>');
    $redis->del($_) for $redis->keys('orders:*');
    $redis->xtrim($queue, 'MAXLEN', 0);
    $test->worker(name => 'w');
    ok($test->wait_until(sub { $test->log_holds(qr/event=entry_lost/) }), 'reported');
    settled_right('W11');
    is($test->stock_at_gate(1), 20, 'what nobody will buy can be sold again');
};

subtest 'W12: Redis lost its last second' => sub {
    fresh();
    my @keys = ('gate', map { ("product:$_:register", "product:$_:stock") } 1, 2);
    my %before = map { $_ => $redis->dump($_) } @keys;
    $test->place_new(1, 6);
    my $pid = $test->worker;
    settled_right('before');
    $test->end_worker($pid);
    $redis->del($redis->keys('*'));
    $redis->restore($_, 0, $before{$_}) for @keys;
    is($test->stock_at_gate(1), 20, 'the gate would sell what is sold');
    $test->worker;
    settled_right('W12');
    is($test->stock_at_gate(1), 14, 'it knows again');
};

subtest 'W13: a paused zombie wakes after its jobs were taken over' => sub {
    fresh();
    my $locker = $test->lock_product(1);
    my @ids = ($test->place_new(1, 3), $test->place_new(1, 2));
    my $zombie = $test->worker(name => 'zombie');
    $test->wait_until(sub { pending() == 2 });
    sleep 0.1;
    kill 'STOP', $zombie;
    $locker->rollback;
    $redis->hset('workers', 'zombie-1', 1);
    $test->worker(name => 'other');
    # The zombie stands in the transaction and holds the lock, or waits for it.
    $test->wait_until(sub { $redis->xlen($queue) == 0 }, 2);
    kill 'CONT', $zombie;
    settled_right('W13');
    is($test->value('SELECT COUNT(*) FROM orders'), 5, 'no second order');
    is($test->stock_at_gate(1), 15, 'no second release');
};

subtest 'W15: the price changes between accept and commit' => sub {
    fresh();
    my $order = new_order(3);
    $test->place([ 1, $order ]);
    $test->sql('UPDATE products SET price = 25.50, version = version + 1 WHERE id = 1');
    $test->worker;
    settled_right('W15');
    is($test->value('SELECT unit_price FROM order_items WHERE order_identifier = ?', $order->[0]), '25.50', 'the price of the commit');
    is($test->value('SELECT total_price FROM orders WHERE order_identifier = ?', $order->[0]), '76.50', 'and the total');
};

subtest 'W18: register or stock key deleted with orders in flight' => sub {
    for my $key ('product:1:register', 'product:1:stock') {
        fresh();
        my @ids = $test->place_new(1, 4);
        $redis->del($key);
        $test->worker;
        settled_right($key);
        is($test->row($ids[0]), 'pending_payment', 'the order stands');
    }
    fresh();
    my @ids = $test->place_new(1, 4);
    my %kept = map { $_ => $redis->dump($_) } $queue, 'gate';
    $redis->del($_) for grep { /^product:1:/ } $redis->keys('*');
    $test->worker;
    ok($test->wait_drained, 'drained without register and stock');
    is($redis->exists('product:1:stock') + $redis->exists('product:1:register'), 0, 'settle creates nothing');
    is($test->row($ids[0]), 'pending_payment', 'the order stands');
};

subtest 'W19, S2: MySQL is behind Redis, or edited by hand' => sub {
    fresh();
    $test->worker;
    $redis->hset('product:1:register', 'version', 50, 'stock', 90);
    $redis->set('product:1:stock', 90);
    ok($test->wait_until(sub { $test->log_holds(qr/event=product_not_recovered product=1 /) }), 'older than Redis: it stays closed');
    is($test->value('SELECT version FROM products WHERE id = 1'), 1, 'nothing was changed');
    $test->stack->checkoutctl_ok('product', 'open', 1);
    settled_right('an operator opened it');
    is($test->value('SELECT version FROM products WHERE id = 1'), 51, 'the version is raised over that of Redis');
    $test->sql('UPDATE products SET stock = stock - 6 WHERE id = 1');
    $test->{supplied}{1} -= 6;
    settled_right('edited by hand');
    is($test->stock_at_gate(1), 14, 'the gate knows it');
    is($test->value("SELECT CONCAT(kind, ' ', units, ' ', stock_after) FROM stock_movements WHERE product_id = 1 ORDER BY id DESC LIMIT 1"),
        'adjust -6 14', 'and it is booked');
    ok($test->log_holds(qr/level=warn event=stock_adjusted product=1 units=-6/), 'and said');
};

subtest 'W20: disk full, killed query, time-out, read-only, grant: all wait' => sub {
    for my $number (1021, 1114, 1317, 1969, 1290, 1142) {
        fresh();
        $test->load(3, 300);
        $test->place_new(3, 256);
        refuse_orders($number);
        $test->worker;
        ok($test->wait_until(sub { $test->log_holds(qr/mysql_failed/) >= 3 }), "$number: it tries again and again");
        is($test->value('SELECT COUNT(*) FROM orders'), 0, "$number: none failed");
        accept_orders();
        settled_right($number);
        is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment'"), 256, "$number: all are orders");
    }
};

subtest 'W20: a grant is revoked' => sub {
    fresh();
    my $user = "'checkout_w20'\@'localhost'";
    my $password = "$test->{stack}{dir}/w20.password";
    open my $out, '>', $password or die $!;
    print {$out} "secret\n";
    close $out;
    $test->sql("DROP USER IF EXISTS $user");
    $test->sql("CREATE USER $user IDENTIFIED BY 'secret'");
    my $database = $test->stack->{env}{MYSQL_DATABASE};
    $test->sql("GRANT SELECT, UPDATE ON $database.* TO $user");
    $test->place_new(1, 3);
    $test->worker(env => { CHECKOUT_MYSQL_USER => 'checkout_w20', CHECKOUT_MYSQL_PASSWORD_FILE => $password });
    ok($test->wait_until(sub { $test->log_holds(qr/mysql_failed.*code=1142/) }), 'it waits');
    $test->sql("GRANT INSERT ON $database.* TO $user");
    settled_right('granted again');
    $test->sql("DROP USER $user");
};

subtest 'W21: a consumer is deleted with its pending entries; an id is handed out twice' => sub {
    fresh();
    $redis->xgroup('CREATE', $queue, 'checkout-worker', 0, 'MKSTREAM');
    my @ids = $test->place_new(1, 2);
    $redis->xreadgroup('GROUP', 'checkout-worker', 'gone', 'STREAMS', $queue, '>');
    $redis->xgroup('DELCONSUMER', $queue, 'checkout-worker', 'gone');
    $test->worker;
    settled_right('claimed again');
    is($test->row($ids[0]), 'pending_payment', 'it is an order');

    fresh();
    my $locker = $test->lock_product(1);
    my ($old) = $test->place_new(1, 1);
    my ($entry) = map { $_->[0] } @{ $redis->xrange($queue, '-', '+') };
    my $zombie = $test->worker(name => 'zombie');
    $test->wait_until(sub { pending() == 1 });
    sleep 0.1;
    # Redis lost its tail: the old record is gone, and the entry is another one under the same id.
    $redis->hdel('orders:' . WorkerTest::today(), $old);
    my $new = WorkerTest::identifier();
    $redis->del($queue);
    $redis->xgroup('CREATE', $queue, 'checkout-worker', 0, 'MKSTREAM');
    $redis->xadd($queue, $entry, nonce => 'another', product => 1, units => 1, count => 1, day => WorkerTest::today(),
        orders => "$new queued - 1 1 5 1763000000000");
    $redis->hset('workers', 'reader-1', 2 * 1000 * time);
    $redis->xreadgroup('GROUP', 'checkout-worker', 'reader-1', 'STREAMS', $queue, '>');
    $locker->rollback;
    $test->wait_until(sub { $test->row($old) eq 'pending_payment' });
    sleep 0.1;
    is($redis->xlen($queue), 1, 'settling the old job does not touch the new one');
    $test->end_worker($zombie);
    $redis->hdel('workers', 'reader-1');
    $test->worker(name => 'other');
    settled_right('the new one is worked on');
    is($test->row($new), 'pending_payment', 'and is an order');
};

subtest 'W22: the same key with other content, after the record expired' => sub {
    fresh();
    my $order = new_order(2, 7);
    $test->place([ 2, $order ]);
    $test->worker;
    settled_right('first');
    $redis->del($_) for $redis->keys('orders:*');
    $test->place([ 2, [ $order->[0], 3, 7 ] ]);
    ok($test->wait_drained, 'drained');
    like($test->record($order->[0]), qr/^pending_payment - 2 2 7 /, 'the record tells the first, which stands');
    is($test->row($order->[0]), 'pending_payment', 'as MySQL does');
    like($test->value('SELECT reason FROM stock_movements WHERE order_identifier = ? AND units = 0', $order->[0]),
        qr/^idempotency_conflict: user 7 asked for 3/, 'the second is in the book');
    ok($test->log_holds(qr/event=idempotency_conflict order=$order->[0]/), 'and in the log');
    $test->laws_hold('its units are back, also its buyer\'s');
};

subtest 'W22: the same order once more, after the record expired' => sub {
    fresh();
    my $order = new_order(2, 7);
    $test->place([ 2, $order ]);
    $test->worker;
    settled_right('first');
    $redis->del($_) for $redis->keys('orders:*');
    $test->sql('UPDATE orders SET created_at = created_at - INTERVAL 3 DAY');
    $test->place([ 2, $order ]);
    settled_right('it is one order, and its buyer bought two units');
};

$test->clear;
done_testing;
