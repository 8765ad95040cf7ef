# S8, S10: checkoutctl rebuild with many records, products, buyers and entries in the queue: what it does behind the fence
# depends on what was lost, and no script holds Redis. Sizes of 10^6 with CHECKOUT_FULL=1.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use CheckoutRedis;
use Digest::SHA qw(sha1_hex);
use IO::Socket::INET;
use JSON::PP;
use POSIX qw(strftime);
use Test::More;

my $full     = $ENV{CHECKOUT_FULL};
my $orders   = $full ? 1_000_000 : 10_000;    # rows and records of as many buyers, and as many that wait
my $products = $full ? 100_000 : 1_000;
my $stack    = CheckoutStack->start;
my $redis    = $stack->redis;
my $day      = strftime('%Y-%m-%d', gmtime);
my $now      = time * 1000;
my $fence    = sha1_hex(CheckoutRedis::source('rebuild_fence.lua'));

sub json {
    my ($code, $text) = $stack->checkoutctl(@_, '--json');
    is($code, 0, "@_") or diag($text);
    return $code ? {} : decode_json($text);
}

# Commands for redis-cli --pipe, as the protocol has them.
sub pipe_to_redis {
    my ($next) = @_;
    open my $in, '|-', "redis-cli -p $stack->{env}{REDIS_PORT} -n $stack->{env}{REDIS_DB} --pipe > /dev/null" or die "redis-cli: $!";
    while (my @words = $next->()) {
        print $in '*', scalar @words, "\r\n", map { ('$', length, "\r\n", $_, "\r\n") } @words;
    }
    close $in or die 'redis-cli --pipe';
}

# Counts from 0 to $n - 1 in SQL: 'SELECT … FROM <numbers>', column n.
sub numbers {
    my ($n) = @_;
    my $digit = '(SELECT 0 d' . join('', map { " UNION ALL SELECT $_" } 1 .. 9) . ')';
    my $digits = length($n - 1);
    my $sum = join ' + ', map { 'd' . $_ . '.d * ' . 10**$_ } 0 .. $digits - 1;
    my $from = join ' CROSS JOIN ', map { "$digit d$_" } 0 .. $digits - 1;
    return "(SELECT $sum n FROM $from HAVING n < $n) numbers";
}

sub identifier { return sprintf('019aa2f1-79b%d-7000-8000-%012x', @_) }    # kind, number

# Product 1 sold to $orders buyers; product 2 waits with as many orders of one entry each; the rest is there.
sub fill {
    my $add = "INSERT INTO products (id, name, price, stock) SELECT n + 1, CONCAT('Product ', n + 1), 19.80, 100 FROM " . numbers($products);
    $stack->do($add);
    $stack->do('UPDATE products SET per_user_limit = 5 WHERE id = 1');
    $stack->do('UPDATE products SET stock = ? WHERE id = 2', $orders + 100);
    my $id = "CONCAT('019aa2f1-79b0-7000-8000-', LPAD(LOWER(HEX(n)), 12, '0'))";
    $stack->do("INSERT INTO orders (order_identifier, user_id, status, total_price, pay_by, product_id, quantity)
                SELECT $id, n + 1, 'pending_payment', 19.80, NOW(3) + INTERVAL 1 DAY, 1, 1 FROM " . numbers($orders));
    $stack->do("INSERT INTO order_items (order_identifier, product_id, quantity, unit_price) SELECT $id, 1, 1, 19.80 FROM " . numbers($orders));
    $stack->do("INSERT INTO stock_movements (product_id, kind, units, stock_after)
                SELECT id, 'load', stock + IF(id = 1, $orders, 0), stock FROM products");
    my $i = 0;
    pipe_to_redis(sub {
        return if $i == 2 * $orders;
        my ($n, $waits) = (int($i / 2), $i++ % 2);
        return ('HSET', "orders:$day", identifier(0, $n), "pending_payment - 1 1 " . ($n + 1) . " $now") if !$waits;
        return ('HSET', "orders:$day", identifier(1, $n), "queued - 2 1 " . ($n + 1) . " $now");
    });
    $i = 0;
    pipe_to_redis(sub {
        return if $i == $orders;
        my $n = $i++;
        return ('XADD', 'order-processing-queue', '*', 'nonce', sprintf('%016x', $n), 'product', 2, 'units', 1, 'count', 1, 'day', $day,
            'orders', identifier(1, $n) . ' queued - 2 1 ' . ($n + 1) . " $now");
    });
}

# Runs the code and counts the calls of Redis, as MONITOR tells them, from the one that closes the fence to the one that
# opens it. Returns undef where there was no fence.
sub calls_behind_the_fence {
    my ($code) = @_;
    my $monitor = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$stack->{env}{REDIS_PORT}") or die "monitor: $!";
    print $monitor "MONITOR\r\n";
    <$monitor>;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $code->();
        $redis->echo('the end of what is watched');
        POSIX::_exit(0);
    }
    my ($fenced, $calls);
    while (my $line = <$monitor>) {
        last if $line =~ /the end of what is watched/;
        next if $line =~ /^\+[\d.]+ \[\d+ lua\]/;
        ($fenced, $calls) = (1, 0) if $line =~ /"$fence"/;
        $calls++ if $fenced;
        $fenced = 0 if $line =~ /"fence"\r?$/;
    }
    waitpid $pid, 0;
    return $calls;
}

$stack->end_workers;
fill();
$redis->config('set', 'slowlog-log-slower-than', 20_000);
$redis->slowlog('reset');

subtest 'the gate is empty but for records and queue' => sub {
    my $report = json('rebuild');
    is($report->{products_loaded}, $products, 'each product is loaded');
    is($report->{orders_enqueued_again}, 0, 'nothing was lost');
    is($redis->hget('product:2:register', 'in_flight'), $orders, 'what waits is counted');
    is($redis->hlen('product:1:buyers') >= $orders, 1, 'and the buyers');
    is($redis->hget('product:1:register', 'buyers'), 'complete');
    is($redis->hget('gate', 'state'), undef, 'the gate is open');
};

subtest 'nothing was lost' => sub {
    is(calls_behind_the_fence(sub { $stack->checkoutctl_ok('rebuild') }), undef, 'no fence, whatever the sizes');
};

subtest 'some entries and registers were lost' => sub {
    my @entries = @{ $redis->xrange('order-processing-queue', '-', '+', 'COUNT', 40) };
    $redis->xdel('order-processing-queue', map { $_->[0] } @entries[ 10 .. 29 ]);
    $redis->del('product:7:register', 'product:9:register');
    my $calls = calls_behind_the_fence(sub { $stack->checkoutctl_ok('rebuild') });
    cmp_ok($calls // 999, '<=', 30, 'their products are closed for a few calls, whatever the sizes: ' . ($calls // 'no fence'));
    is($redis->hget('product:2:register', 'in_flight'), $orders, 'what waits is counted');
    is($redis->get("product:$_:stock"), 100, "product $_ is sold") for 7, 9;
    is($redis->hget('gate', 'state'), undef, 'the gate is open');
};

my @slow = grep { "@{ $_->[3] }" !~ /^(config|slowlog|xadd|hset)/i } @{ $redis->slowlog('get', 100) };
if ($full) {
    is_deeply([ map { "$_->[2] us: " . substr("@{ $_->[3] }", 0, 200) } @slow ], [], 'S10: nothing held Redis for 20 ms');
} else {
    diag("slower than 20 ms: $_->[2] us: " . substr("@{ $_->[3] }", 0, 100)) for @slow;
}
done_testing;
