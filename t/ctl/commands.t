# checkoutctl: products, stock, queue, orders, audit, help.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use JSON::PP;
use Test::More;

my $stack = CheckoutStack->start;

# Runs a command with --json; its exit code must be as said. Returns what it printed, decoded.
sub json {
    my ($code, @words) = @_;
    my ($got, $text) = $stack->checkoutctl(@words, '--json');
    is($got, $code, "@words: exit code $code") or diag($text);
    return $code > 1 ? $text : decode_json($text);
}

sub code_is {
    my ($code, @words) = @_;
    my ($got, $text) = $stack->checkoutctl(@words);
    is($got, $code, "@words: exit code $code") or diag($text);
    return $text;
}

subtest 'help teaches' => sub {
    my $all = code_is(0, '--help');
    like($all, qr/^\s+$_/m, "the overview names $_")
        for 'migrate', 'product add', 'stock adjust', 'queue pause', 'dlq retry', 'order show', 'audit', 'rebuild';
    like($all, qr/Exit codes: 0/, 'and the exit codes');
    like(code_is(0, 'dlq', '--help'), qr/dlq retry.*dlq drop/s, 'help of a group');
    like(code_is(0, 'rebuild', '--help'), qr/503/, 'help of one command');
    like(code_is(2, 'dlq', 'explode'), qr/no command dlq explode/, 'an unknown command');
    code_is(2);
};

subtest 'product add, set, show, close' => sub {
    $stack->add_product(1, 10, '--per-user-limit', 3);
    my $p = json(0, 'product', 'show', 1);
    is($p->{name}, 'Product 1');
    is($p->{price}, '19.80');
    is($p->{per_user_limit}, 3);
    is($p->{gate}{stock}, 10);
    code_is(0, 'product', 'set', 1, '--price', '25.00', '--dry-run');
    is(json(0, 'product', 'show', 1)->{price}, '19.80', '--dry-run changes nothing');
    code_is(0, 'product', 'set', 1, '--price', '25.00', '--per-user-limit', 'none');
    is(json(0, 'product', 'show', 1)->{price}, '25.00');
    is($stack->place(1, 1)->{status}, 202, 'sells');
    code_is(0, 'product', 'close', 1);
    is($stack->place(1, 1)->{status}, 422, 'closed');
    code_is(0, 'product', 'set', 1, '--state', 'open');
    is($stack->place(1, 1)->{status}, 202, 'open again');
    code_is(3, 'product', 'show', 999);
    code_is(3, 'product', 'close', 999);
    code_is(2, 'product', 'show', '1x');
    code_is(2, 'product', 'set', 1, '--price', 'cheap');
};

subtest 'stock get, set, adjust, movements' => sub {
    $stack->add_product(2, 10);
    code_is(0, 'stock', 'adjust', 2, '+5', '--reason', q(it's a gift));
    is($stack->redis_stock(2), 15, 'the gate follows at once');
    code_is(0, 'stock', 'adjust', 2, '-3');
    my $before = code_is(2, 'stock', 'adjust', 2, '-13');
    like($before, qr/below zero/, 'never below zero');
    code_is(0, 'stock', 'set', 2, 7);
    code_is(0, 'stock', 'set', 2, 9, '--dry-run');
    my $both = json(0, 'stock', 'get', 2);
    is($both->{mysql}{stock}, 7);
    is($both->{gate}{stock}, 7);
    my $book = json(0, 'stock', 'movements', 2)->{movements};
    is_deeply([ map { [ $_->{kind}, $_->{units}, $_->{stock_after} ] } @$book ],
        [ [ 'adjust', -5, 7 ], [ 'adjust', -3, 12 ], [ 'adjust', 5, 15 ], [ 'load', 10, 10 ] ], 'every change is booked');
    is($book->[2]{reason}, q(it's a gift));
    is_deeply([ map { $_->{actor} } @$book ], [ (scalar getpwuid $<) x 4 ], 'and who made it');
    is(scalar @{ json(0, 'stock', 'movements', 2, '--limit', 1)->{movements} }, 1);
    $stack->{supplied}{2} = 7;
    code_is(3, 'stock', 'adjust', 999, '+1');
    code_is(2, 'stock', 'adjust', 2, 'many');
};

subtest 'queue pause, stats, resume' => sub {
    $stack->add_product(3, 10);
    code_is(0, 'queue', 'pause');
    sleep 3;
    my $placed = $stack->place(3, 2);
    is($placed->{status}, 202, 'the gate goes on');
    sleep 3;
    my $stats = json(0, 'queue', 'stats');
    is($stats->{orders}, 1, 'the order waits');
    is($stats->{entries}, 1);
    ok($stats->{paused_since_ms}, 'paused');
    cmp_ok($stats->{oldest_entry_ms}, '>', 1000, 'its age');
    ok(scalar @{ $stats->{consumers} }, 'consumers are named');
    my $order = json(0, 'order', 'show', $placed->{data}{order_identifier});
    is(scalar @{ $order->{queue} }, 1, 'order show: in the queue');
    is(scalar @{ $order->{orders} }, 0, 'no row yet');
    code_is(0, 'queue', 'resume');
    $stack->wait_drained;
    is(json(0, 'queue', 'stats')->{paused_since_ms}, undef, 'not paused');
    $order = json(0, 'order', 'show', $placed->{data}{order_identifier});
    is($order->{orders}[0]{status}, 'pending_payment', 'order show: the row');
    is($order->{items}[0]{quantity}, 2, 'its item');
    like($order->{record}, qr/^pending_payment/, 'the gate\'s record');
    code_is(3, 'order', 'show', '019aa411-2f3b-7000-8c5e-0242ac120002');
    code_is(2, 'order', 'show', q(' OR 1=1 --));
};

subtest 'audit --repair' => sub {
    $stack->add_product(4, 10);
    $stack->end_workers;
    is(json(0, 'audit')->{ok}, JSON::PP::true);
    $stack->redis->hset('product:4:register', 'in_flight', 4);
    $stack->redis->set('product:4:stock', 9);
    ok(!json(1, 'audit')->{ok}, 'found');
    code_is(1, 'audit', '--repair', '--dry-run');
    ok(json(0, 'audit', '--repair')->{ok}, 'repaired');
    is($stack->redis_stock(4), 10);
    $stack->do('UPDATE products SET stock = 12 WHERE id = 4');
    code_is(1, 'audit', '--repair');
    is($stack->redis_stock(4), 12, 'an edit by hand: the gate follows');
    like(code_is(1, 'audit'), qr/VIOLATED  units supplied/, 'but the book wants an explanation');
    code_is(0, 'stock', 'load', 4);
    code_is(0, 'audit');
    $stack->{supplied}{4} = 12;
    $stack->start_server('worker');
};

subtest 'servers that are away' => sub {
    local $ENV{CHECKOUT_MYSQL_SOCKET} = '/nowhere';
    like(code_is(2, 'audit'), qr/MySQL/);
    like(code_is(2, 'rebuild'), qr/MySQL/);
    is($stack->redis->hget('gate', 'state'), undef, 'a rebuild without MySQL does not close the gate');
    local $ENV{CHECKOUT_REDIS_ADDRESS} = '127.0.0.1:1';
    like(code_is(2, 'queue', 'stats'), qr/Redis/);
};

$stack->laws_hold;
done_testing;
