# What the worker puts right without anyone's help: entries left pending, damaged registers, contradictions; and what it must not do meanwhile.
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

# Hands what is new in the queue to a consumer behind its back.
sub deliver_to { $redis->xreadgroup('GROUP', 'checkout-worker', $_[0], 'STREAMS', $queue, '>') }

sub register { return $redis->hget("product:$_[0]:register", $_[1]) }

sub version { return $test->value('SELECT version FROM products WHERE id = ?', $_[0]) }

sub becomes {
    my ($seconds, $condition, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $begin = time;
    ok($test->wait_until($condition, $seconds), $name) or diag(sprintf 'not within %.1f s', time - $begin);
}


# --- entries that stay pending ---------------------------------------------------------------------------------

subtest 'law 3: entries pending for a living consumer that does not know of them' => sub {
    fresh();
    my $pid = $test->worker(name => 'w');
    $test->place_new(1, 1);
    $test->wait_drained;
    # It has looked for its own entries and reads new ones only, and none of them while it pauses.
    kill 'USR1', $pid;
    sleep 0.7;
    $test->place_new(1, 2);
    deliver_to('w-1');
    kill 'USR2', $pid;
    becomes(9, sub { $redis->xlen($queue) == 0 }, 'settled within seconds');
    $test->laws_hold('the laws hold');
};

subtest 'law 3: less was settled than the batch held' => sub {
    fresh();
    my $locker = $test->lock_product(1);
    my ($id) = $test->place_new(1, 1);
    $test->worker(name => 'w');
    $test->wait_until(sub { eval { $redis->xpending($queue, 'checkout-worker')->[0] } });
    sleep 0.2;
    # As after a restart of Redis from an older state: the entry in hand is gone, another one is this consumer's.
    my $entry = $redis->xrange($queue, '-', '+')->[0][0];
    $redis->xack($queue, 'checkout-worker', $entry);
    $redis->xdel($queue, $entry);
    $redis->hset('product:1:register', 'in_flight', 0);
    $redis->hset('gate', 'queued', 0);
    $test->place_new(1, 2);
    deliver_to('w-1');
    $locker->rollback;
    becomes(2, sub { $redis->xlen($queue) == 0 }, 'it looks at once for what else is pending');
    is($test->row($id), 'pending_payment', 'what it had in hand is an order');
    $test->sql('UPDATE products SET version = version + 1 WHERE id = 1');    # the record of the lost entry stays "queued"
    $redis->hset('orders:' . WorkerTest::today(), $id, "pending_payment - 1 1 2 1");
    $test->laws_hold('the laws hold');
};


# --- data errors ------------------------------------------------------------------------------------------------

subtest 'W9, W20: no order of a batch can be written, since a column was changed' => sub {
    fresh();
    $test->sql('ALTER TABLE order_items MODIFY unit_price DECIMAL(2,1) NOT NULL');
    my @ids = $test->place_new(1, 5);
    $test->worker(name => 'w');
    becomes(5, sub { $test->log_holds(qr/event=batch_refused orders=5/) > 1 }, 'it says so, loudly');
    is($test->value('SELECT COUNT(*) FROM orders'), 0, 'nobody is failed');
    $test->sql('ALTER TABLE order_items MODIFY unit_price DECIMAL(12,2) NOT NULL');
    ok($test->wait_drained, 'drained');
    is($test->row($_), 'pending_payment', 'an order') for @ids;
    $test->laws_hold('the laws hold');
};

subtest 'W9: two refused orders among others' => sub {
    fresh();
    $test->sql("CREATE TRIGGER refuse BEFORE INSERT ON order_items FOR EACH ROW IF NEW.quantity = 3 THEN
                SIGNAL SQLSTATE '22003' SET MYSQL_ERRNO = 1264, MESSAGE_TEXT = 'test'; END IF");
    my @orders = map { [ WorkerTest::identifier(), $_, 5 ] } 1, 3, 1, 3, 1;
    $test->place([ 1, @orders ]);
    $test->worker;
    ok($test->wait_drained, 'drained');
    $test->sql('DROP TRIGGER refuse');
    is(join(', ', map { $test->row($_->[0]) } @orders),
        'pending_payment, failed rejected, pending_payment, failed rejected, pending_payment', 'they alone fail');
    $test->laws_hold('the laws hold');
};

subtest 'law 3: a tombstone is committed also where the server does not commit by itself' => sub {
    fresh();
    $test->load(3, 2_000_000_000, price => '9999999999.99');
    $test->stack->administrator('SET GLOBAL autocommit = 0');
    my $order = [ WorkerTest::identifier(), 1_999_999_000, 7 ];
    $test->place([ 3, $order ]);
    $test->worker;
    ok($test->wait_drained, 'drained');
    $test->stack->administrator('SET GLOBAL autocommit = 1');
    is($test->row($order->[0]), 'failed rejected', 'the row is there');
    $test->laws_hold('the laws hold');
};


# --- the reconciler ----------------------------------------------------------------------------------------------

subtest 'W16: a look that had to wait for MySQL does not slow down the next' => sub {
    fresh();
    $test->worker;
    my $locker = $test->lock_product(1);
    $redis->hset('product:1:register', 'stock', 7);
    sleep 2.5;
    $locker->rollback;
    becomes(2, sub { $test->stock_at_gate(1) == 20 }, 'a repair that waited for a lock is done once it is free');
    $test->change_stock(2, 3);
    becomes(2, sub { $test->stock_at_gate(2) == 23 }, 'and the next push does not wait for twenty times as long');
    $test->laws_hold('the laws hold');
};

subtest 'a product that cannot be repaired keeps no other waiting' => sub {
    fresh();
    $test->sql('UPDATE products SET version = 999999999999999 WHERE id = 1');
    $test->push_product(1, 0);
    $test->worker;
    $redis->hset('product:1:register', 'stock', 3);
    becomes(3, sub { $test->log_holds(qr/event=product_not_reconciled product=1 mysql="version 1000000000000000 is more/) }, 'it is named');
    $test->change_stock(2, -3);
    becomes(2, sub { $test->stock_at_gate(2) == 17 }, 'the other is pushed');
    $test->sql('UPDATE products SET version = 5 WHERE id = 1');
    $redis->hset('product:1:register', 'version', 4);
    $test->laws_hold('the laws hold');
};

subtest 'W18, W19: a register with fields that are no numbers' => sub {
    for my $case ([ version => 'x' ], [ version => 'nan' ], [ version => '1e300' ], [ version => '9' x 18 ], [ stock => 'ten' ], [ stock => -4 ],
        [ in_flight => 'y' ], [ in_flight => -2 ], [ in_flight => '9' x 17 ], [ closes_at => 'soon' ], [ max_quantity => '0x10' ])
    {
        my ($field, $value) = @$case;
        fresh();
        $test->place_new(1, 4);
        $redis->hset('product:1:register', $field, $value);
        like(($test->stack->checkoutctl('audit'))[1], qr/VIOLATED  registers are hashes/, "the audit sees $field $value");
        $test->worker;
        $test->wait_drained;
        $test->laws_hold("$field $value heals");
        is($test->stock_at_gate(1), 16, 'with the right stock');
    }
};

subtest 'times before 1970' => sub {
    fresh();
    $test->sql("UPDATE products SET opens_at = '1960-01-01', closes_at = '1960-01-02', version = version + 1 WHERE id = 1");
    $test->sql("UPDATE products SET opens_at = '1960-01-01', version = version + 1 WHERE id = 2");
    $test->worker;
    becomes(3, sub { (register(1, 'closes_at') // '') eq '1' && register(2, 'version') == 2 }, 'pushed');
    is(register($_, 'opens_at'), 0, 'a sale that has always been open') for 1, 2;
    is(register(2, 'closes_at'), 0, 'and never closes');
    my ($verdict) = $test->place([ 1, [ WorkerTest::identifier(), 1, 1 ] ]);
    is($verdict, 'sale_ended', 'the closed one is closed');
    sleep 0.5;
    is(version($_), 2, 'no version is raised') for 1, 2;
    $test->laws_hold('the laws hold');
};

subtest 'a repair that is undone again and again' => sub {
    fresh();
    $test->worker;
    my $undone = sub { $redis->hset('product:1:register', 'stock', 7); $test->log_holds(qr/event=product_restless product=1/) };
    becomes(10, $undone, 'is named as an error');
    my $version = version(1);
    $undone->() for 1 .. 50;
    sleep 0.5;
    cmp_ok(version(1), '<=', $version + 1, 'and left alone');
    is($test->log_holds(qr/event=product_restless/), 1, 'with one line');
    $test->change_stock(2, 1);
    becomes(2, sub { $test->stock_at_gate(2) == 21 }, 'the others are not');
    $test->end_worker($_) for keys %{ $test->{workers} };
    $test->worker;
    $test->laws_hold('the laws hold');
};

subtest 'a register is created while the product is locked' => sub {
    fresh();
    $redis->del('product:1:register', 'product:1:stock');
    local $ENV{CHECKOUT_FAILPOINT} = 'sync.commit.before';
    system("exec $test->{stack}{build}/failpoints/checkoutctl -c $test->{stack}{env}{WORKER_CONF} stock load 1 2>/dev/null");
    is($? & 127, 9, 'killed before it gives the lock back');
    is($test->stock_at_gate(1), 20, 'the gate knows the product already');
    delete $ENV{CHECKOUT_FAILPOINT};
    $test->worker;
    $test->laws_hold('the laws hold');
};


# --- Redis is never held ------------------------------------------------------------------------------------------

sub held_by { return (split / /, $redis->hget('workers', 'lease:reconciler') // '')[0] // '' }

# Entries that only count: nobody may read them. n of product 1, of one unit each.
sub fill_queue {
    my ($n) = @_;
    $redis->eval(q{for i = 1, tonumber(ARGV[1]) do redis.call('XADD', KEYS[1], '*', 'nonce', i, 'product', 1, 'units', 1, 'count', 1) end},
        1, $queue, $n);
}

subtest 'S10: what is in flight is corrected however long the queue is, without a script over it' => sub {
    fresh();
    $redis->hset('workers', 'paused', 1);    # nothing is taken off the queue
    fill_queue(1500);
    $test->worker;
    $redis->hset('product:1:register', 'in_flight', 7);
    $redis->hset('product:2:register', 'in_flight', 3);
    becomes(8, sub { $test->in_flight(1) == 1500 && $test->in_flight(2) == 0 }, 'both products');
    is($test->log_holds(qr/event=in_flight_corrected product=1 in_flight=7 sum=1500/), 1, 'said once');
    becomes(8, sub { $redis->hget('gate', 'queued') == 1500 }, 'and the orders in the queue');
    $redis->hset('product:1:register', 'in_flight', 'x');
    becomes(8, sub { $test->in_flight(1) eq '1500' && $test->stock_at_gate(1) == 0 }, 'also of a damaged register');
    $redis->del('product:1:register');
    becomes(8, sub { ($test->in_flight(1) // '') eq '1500' && register(1, 'version') == version(1) }, 'W18: and of one that is gone');
    $redis->del($queue);
    $redis->hdel('workers', 'paused');
    becomes(8, sub { $test->in_flight(1) == 0 && $redis->hget('gate', 'queued') == 0 }, 'the queue deleted by hand');
    $test->laws_hold('the laws hold');
};

subtest 'the set of products' => sub {
    fresh();
    $redis->del('products');
    $redis->hset("key:$_", 'x', 1) for 1 .. 50;
    $test->worker;
    becomes(5, sub { $redis->scard('products') == 2 }, 'as the release before leaves it: filled');
    $redis->config('RESETSTAT');
    sleep 2.5;
    is($redis->info('commandstats')->{cmdstat_scan}, undef, 'and nobody looks through all keys any more');
    $redis->del('product:2:register', 'product:2:stock');
    becomes(5, sub { $redis->scard('products') == 1 && $redis->hget('gate', 'products') == 1 }, 'a product whose keys went is forgotten');
    $redis->hset('gate', 'products', 9);
    becomes(8, sub { $redis->hget('gate', 'products') == 1 }, 'a wrong count is corrected');
    $redis->del('products');
    $redis->set('products', 'x');
    becomes(8, sub { ($redis->type('products') // '') eq 'set' && $redis->scard('products') == 1 }, 'a key of another type in its place');
    $test->push_product(2, 1);
    $test->laws_hold('the laws hold');
};

subtest 'one process reconciles for all' => sub {
    fresh();
    my %pid = map { $_ => $test->worker(name => $_) } qw(one two);
    becomes(5, sub { held_by() =~ /^(one|two)\./ }, 'one has the lease');
    my ($first) = held_by() =~ /^(\w+)/;
    sleep 1.5;
    like(held_by(), qr/^$first\./, 'and keeps it');
    $test->end_worker($pid{$first});
    becomes(3, sub { held_by() ne '' && held_by() !~ /^$first\./ }, 'when it ends, the other takes it at once');
    $test->change_stock(2, 3);
    becomes(3, sub { $test->stock_at_gate(2) == 23 }, 'and reconciles');
    $test->laws_hold('the laws hold');
};

subtest 'S9: large keys that would expire soon go by UNLINK' => sub {
    fresh();
    # The count of buyers is kept for the longest time to pay, 168 hours: ten minutes of it are left.
    $test->sql('UPDATE products SET closes_at = NOW(3) - INTERVAL 10070 MINUTE, version = version + 1 WHERE id = 2');
    my $days_ago = sub { POSIX::strftime('orders:%Y-%m-%d', gmtime(time - 86400 * $_[0])) };
    my %minutes = ($days_ago->(3) => 10, $days_ago->(2) => 60, $days_ago->(1) => 10, $days_ago->(0) => 10,
        'product:1:buyers' => 10, 'product:2:buyers' => 10);
    for my $key (keys %minutes) { $redis->hset($key, 'x', 1); $redis->expire($key, 60 * $minutes{$key}) }
    $redis->config('RESETSTAT');
    $test->worker;
    becomes(5, sub { !$redis->exists($days_ago->(3)) && !$redis->exists('product:2:buyers') }, 'a day that is over, buyers of a sale that is over');
    ok($redis->info('commandstats')->{cmdstat_unlink}, 'by UNLINK');
    ok($redis->exists($_), "$_ stays") for $days_ago->(2), $days_ago->(1), $days_ago->(0), 'product:1:buyers';
    $redis->del(keys %minutes);
    $test->sql('UPDATE products SET closes_at = NULL, version = version + 1 WHERE id = 2');
    $test->laws_hold('the laws hold');
};


# --- the end, the tools -----------------------------------------------------------------------------------------

subtest 'W10: the reconciler waits for a lock at the end' => sub {
    fresh();
    my $pid = $test->worker(env => { CHECKOUT_WORKER_DRAIN_DEADLINE => '500ms' });
    my $locker = $test->lock_product(1);
    $redis->hset('product:1:register', 'stock', 7);
    sleep 0.5;
    my $begin = time;
    is($test->end_worker($pid), 1, 'it ends with 1');
    cmp_ok(time - $begin, '<', patient(4), 'soon after the deadline');
    $pid = $test->worker;
    sleep 0.5;
    kill 'TERM', $pid;
    sleep 0.3;
    $begin = time;
    is($test->end_worker($pid), 1, 'a second signal');
    cmp_ok(time - $begin, '<', patient(2), 'ends it at once');
    $locker->rollback;
    $test->worker;
    $test->laws_hold('the laws hold');
};

subtest 'migrate waits for another migration, and longer than one read' => sub {
    my $db = $test->stack->connect_to($test->stack->{env}{MYSQL_SOCKET});
    $db->do("SELECT GET_LOCK(CONCAT(DATABASE(), '.migrate'), 0)");
    my $pid = fork // die;
    if ($pid == 0) { sleep 3; $db->do("SELECT RELEASE_LOCK(CONCAT(DATABASE(), '.migrate'))"); POSIX::_exit(0) }
    $db->{AutoInactiveDestroy} = 1;
    local $ENV{CHECKOUT_MYSQL_TIMEOUT} = '2s';
    my $text = qx($test->{stack}{build}/checkoutctl -c $test->{stack}{env}{WORKER_CONF} migrate 2>&1);
    is($?, 0, 'done in the end');
    like($text, qr/another migration of this database is running; waiting/, 'and said what it waited for');
    waitpid $pid, 0;
};

subtest 'audit' => sub {
    my $violated = sub {
        my ($pattern, $name) = @_;
        my ($code, $text) = $test->stack->checkoutctl('audit');
        is($code, 1, "$name: a violation");
        like($text, $pattern, $name);
    };
    fresh();
    is(($test->stack->checkoutctl('audit'))[0], 0, 'nothing wrong');
    $redis->hset('gate', 'queued', 3);
    $violated->(qr/orders queued by the gate's count 3, in the queue 0/, 'the count of queued orders');
    $redis->hset('gate', 'queued', 0);
    $redis->hset('gate', 'products', 5);
    $violated->(qr/products loaded by the gate's count 5, registers 2/, 'the count of products');
    $redis->hset('gate', 'products', 2);
    $redis->del('product:1:register');
    $redis->set('product:1:register', 'x');
    $violated->(qr/product 1: register of another type/, 'a register of another type');
    fresh();
    $test->sql("DELETE FROM $_") for qw(stock_movements products);
    $violated->(qr/VIOLATED  what the gate sells is in MySQL/, 'sold without a row');
    fresh();
    $test->place_new(1, 1);
    $redis->xgroup('CREATE', $queue, 'checkout-worker', 0);
    deliver_to('gone-1');
    is(($test->stack->checkoutctl('audit'))[0], 0, 'just read');
    $redis->xclaim($queue, 'checkout-worker', 'gone-1', 0, $redis->xrange($queue, '-', '+')->[0][0], 'IDLE', 61_000);
    $violated->(qr/entries read and not settled for 60 s 1/, 'overdue');
};

$test->clear;
done_testing;
