# S9, S10: no program holds Redis, however long the queue is, however many products are loaded and buyers have bought.
#
# What a script does is counted, with MONITOR: its reads of a stream, each of which is bounded. With CHECKOUT_FULL=1 a queue of 10^6
# entries, 10^5 products and 10^6 buyers, and Redis' own slow log: nothing above 20 ms.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $full     = $ENV{CHECKOUT_FULL};
my $entries  = $full ? 1_000_000 : 4_000;
my $products = $full ? 100_000 : 600;
my $buyers   = $full ? 1_000_000 : 5_000;
my $page     = 5000;
my $queue    = 'order-processing-queue';

my $test  = WorkerTest->start;
my $redis = $test->redis;
my $file  = "$test->{stack}{dir}/monitor";

sub in_pages {
    my ($n, $do) = @_;
    for (my $first = 1; $first <= $n; $first += $page) {
        my $last = $first + $page - 1;
        $do->($first, $last < $n ? $last : $n);
    }
}

# Products 1 .. n in MySQL, booked, and at the gate as load makes them; entries of product 1, of one unit each.
sub fill {
    $test->clear;
    in_pages($products, sub {
        my ($first, $last) = @_;
        $test->sql('INSERT INTO products (id, name, price, stock) VALUES ' . join ',', map { "($_, 'Product', 1, 2000000)" } $first .. $last);
        $test->sql('INSERT INTO stock_movements (product_id, kind, units, stock_after, reason) VALUES '
            . join ',', map { "($_, 'load', 2000000, 2000000, 'test')" } $first .. $last);
        $redis->eval(q{for id = ARGV[1], ARGV[2] do
            local units = id == 1 and tonumber(ARGV[3]) or 0
            redis.call('HSET', 'product:' .. id .. ':register', 'stock', 2000000, 'version', 1, 'in_flight', units, 'opens_at', 0, 'closes_at', 0,
                'per_user_limit', 0, 'max_quantity', 0, 'state', 'open')
            redis.call('SET', 'product:' .. id .. ':stock', 2000000 - units)
            redis.call('SADD', 'products', id)
        end}, 0, $first, $last, $entries);
    });
    $test->sql('UPDATE products SET live_units = 0, supplied_units = 2000000, counted_at = NOW(3)');
    in_pages($entries, sub {
        my ($first, $last) = @_;
        $redis->eval(q{for i = ARGV[1], ARGV[2] do
            redis.call('XADD', KEYS[1], '*', 'nonce', i, 'product', 1, 'units', 1, 'count', 1, 'day', '2026-11-21', 'orders', 'x')
        end}, 1, $queue, $first, $last);
    });
    in_pages($buyers, sub {
        my ($first, $last) = @_;
        $redis->eval(q{for i = ARGV[1], ARGV[2] do redis.call('HSET', KEYS[1], i, 1) end}, 1, 'product:2:buyers', $first, $last);
    });
    $redis->xgroup('CREATE', $queue, 'checkout-worker', 0);
    $redis->hmset('gate', products => $products, queued => $entries);
    $redis->hset('workers', 'paused', 1);
}

# Runs it beside MONITOR. Returns the most entries that one script may have read, and the most commands that one ran.
sub watched {
    my ($do) = @_;
    my $pid = fork // die;
    if ($pid == 0) {
        open STDOUT, '>', $file;
        { exec 'redis-cli', '-p', $test->stack->{env}{REDIS_PORT}, 'monitor' };
        POSIX::_exit(127);
    }
    $test->wait_until(sub { -s $file });
    $do->();
    kill 'TERM', $pid;
    waitpid $pid, 0;
    my ($read, $commands, @most) = (0, 0, 0, 0);
    open my $in, '<', $file or die $!;
    while (my $line = <$in>) {
        ($read, $commands) = (0, 0) if $line =~ /^\S+ \[\d+ (?!lua)/;
        next if $line !~ /^\S+ \[\d+ lua\] "(\w+)"/;
        $commands++;
        $read += $line =~ /"COUNT" "(\d+)"/i ? $1 : $line =~ /"XRANGE" "\S+" "(\S+)" "\1"/i ? 1 : 10**9 if uc $1 eq 'XRANGE';
        $most[0] = $read if $read > $most[0];
        $most[1] = $commands if $commands > $most[1];
    }
    return @most;
}

sub runs { my ($code, $text) = $test->stack->checkoutctl(@_); is($code, 0, "@_") or diag($text) }

sub everything {
    runs('queue', 'stats');
    runs('audit');
    $test->sql("INSERT INTO products (id, name, price, stock) VALUES (?, 'New', 1, 5)", $products + 1);
    runs('stock', 'load', $products + 1);
    $redis->del('product:3:register', 'product:1:register');
    runs('stock', 'load', 3);
    runs('stock', 'load', 1);
    is($test->in_flight(1), $entries, 'what was in flight is counted');
    $redis->hset('product:1:register', 'in_flight', 17);
    runs('audit', '--repair');
    is($test->in_flight(1), $entries, 'repaired');
}

fill();

if ($full) {
    $redis->config('SET', 'slowlog-log-slower-than', 20_000);
    $redis->slowlog('RESET');
    everything();
    $test->worker(env => { CHECKOUT_WORKER_RECONCILE_INTERVAL => '1s', CHECKOUT_WORKER_LAWS_INTERVAL => '15s' });
    sleep 60;
    is($redis->slowlog('LEN'), 0, 'S10: no command took more than 20 ms') or diag(explain($redis->slowlog('GET', 10)));
} else {
    my ($read, $commands) = watched(\&everything);
    cmp_ok($read, '<=', 2300, 'S10: no script of checkoutctl reads more than a bounded part of the queue');
    cmp_ok($commands, '<=', 3000, '… nor runs more commands than a bound');
    ($read, $commands) = watched(sub {
        $test->worker;
        $redis->hset('product:1:register', 'in_flight', 18);
        ok($test->wait_until(sub { $test->in_flight(1) == $entries }, 30), 'the reconciler corrects what is in flight');
    });
    cmp_ok($read, '<=', 2300, 'S10: nor does a script of the worker');
    cmp_ok($commands, '<=', 3000, '… whose commands have a bound, too');
}

subtest 'S9: a bucket of a day that is over, and a hash of buyers, go without holding Redis' => sub {
    $_ && $test->end_worker($_) for keys %{ $test->{workers} };
    $redis->del('workers');
    $redis->rename('product:2:buyers', my $bucket = POSIX::strftime('orders:%Y-%m-%d', gmtime(time - 3 * 86400)));
    $redis->expire($bucket, 600);
    $redis->slowlog('RESET');
    $redis->hset('workers', 'paused', 1);
    $test->worker;
    ok($test->wait_until(sub { !$redis->exists($bucket) }, 10), 'gone');
    is($redis->slowlog('LEN'), 0, 'and nothing waited') if $full;
};

$redis->del($queue);
$test->clear;
done_testing;
