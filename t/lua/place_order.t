# The gate script by itself, on a real Redis.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis;
use Test::More;

my $redis = CheckoutRedis->start;
my $r     = $redis->client;
my ($today, $yesterday, $tomorrow) = ('2026-11-21', '2026-11-20', '2026-11-22');
my $serial = 0;

sub fresh { $r->flushdb; $redis->load(@$_) for @_ }

sub order {
    my ($product, $quantity, $user, $id) = @_;
    return { product => $product, quantity => $quantity, user => $user // 7,
             id => $id // sprintf('017f22e2-79b0-7000-8000-%012x', ++$serial) };
}

# One call of the script. Orders of one product form a group. Returns the verdicts in the order asked.
sub place {
    my ($options, @orders) = @_;
    my (@products, %group);
    for my $o (@orders) {
        push @products, $o->{product} if !$group{ $o->{product} };
        push @{ $group{ $o->{product} } }, $o;
    }
    my @keys = ('order-processing-queue', 'gate', "orders:$today", "orders:$yesterday");
    my @args = ($options->{cap} // 1000, $today);
    for my $product (@products) {
        my @group = @{ $group{$product} };
        my ($units, $largest) = (0, 0);
        for (@group) { $units += $_->{quantity}; $largest = $_->{quantity} if $_->{quantity} > $largest }
        push @keys, CheckoutRedis::product_keys($product), "product:$product:buyers";
        push @args, $product, sprintf('%016x', ++$serial), scalar @group, $units, $largest, $options->{check} // 0;
        push @args, $_->{id}, "queued - $product $_->{quantity} $_->{user} 1763700000123" for @group;
    }
    push @keys, "orders:$tomorrow" if $options->{check};
    my $reply = $redis->script('place_order', \@keys, \@args);
    my %verdicts;
    for my $i (0 .. $#products) {
        my ($left, @v) = @{ $reply->[ $i + 1 ] };
        $verdicts{ $products[$i] } = [ @v == 1 ? (@v) x @{ $group{ $products[$i] } } : @v ];
        $options->{left}{ $products[$i] } = $left;
    }
    return map { shift @{ $verdicts{ $_->{product} } } } @orders;
}

# What Redis holds of a product: stock, in flight, units in the queue, orders in the queue, the gate's count.
sub state_of {
    my ($product) = @_;
    my ($units, $orders) = (0, 0);
    for my $entry (@{ $r->xrange('order-processing-queue', '-', '+') }) {
        my %f = @{ $entry->[1] };
        next if $f{product} != $product;
        $units += $f{units};
        my @words = split / /, $f{orders};
        is @words, 7 * $f{count}, 'an entry holds the orders that it counts';
        for my $i (0 .. $f{count} - 1) {
            my ($id, @record) = @words[ 7 * $i .. 7 * $i + 6 ];
            is $r->hget("orders:$f{day}", $id), "@record", 'the record says what the entry says';
        }
        $orders += $f{count};
    }
    return { stock => $r->get("product:$product:stock"), in_flight => $r->hget("product:$product:register", 'in_flight'),
             units => $units, orders => $orders, queued => $r->hget('gate', 'queued') // 0 };
}

sub untouched { my ($name) = @_; is $r->exists('order-processing-queue'), 0, "$name: nothing enqueued";
                is $r->exists("orders:$today"), 0, "$name: no record"; is $r->hget('gate', 'queued'), undef, "$name: nothing counted" }

subtest 'a batch for one product is one entry' => sub {
    fresh([1, stock => 10]);
    is_deeply [place(\my %o, map { order(1, 2, $_) } 1 .. 3)], [('queued') x 3];
    is $o{left}{1}, 4, 'units left';
    is_deeply state_of(1), { stock => 4, in_flight => 6, units => 6, orders => 3, queued => 3 };
    is $r->xlen('order-processing-queue'), 1;
    cmp_ok $r->ttl("orders:$today"), '>', 176000, 'the bucket expires, and not before the next day is over, on any clock';
};

subtest 'G1: orders of 5 and of 1 against 3' => sub {
    fresh([1, stock => 3]);
    is_deeply [place({}, order(1, 5), order(1, 1))], ['out_of_stock', 'queued'];
    is_deeply state_of(1), { stock => 2, in_flight => 1, units => 1, orders => 1, queued => 1 };
    is_deeply [place(\my %o, order(1, 3))], ['out_of_stock'];
    is $o{left}{1}, 2, 'what is left is told';
};

subtest 'law 1: never below zero' => sub {
    fresh([1, stock => 100]);
    my %seen;
    for my $call (1 .. 40) { $seen{$_}++ for place({}, map { order(1, 1 + ($call + $_) % 4) } 1 .. 7) }
    my $state = state_of(1);
    is $state->{stock}, 0;
    is $state->{units}, 100;
    is $state->{in_flight}, 100;
    is $seen{queued}, $state->{orders};
};

subtest 'G3: a product that is not loaded' => sub {
    $r->flushdb;
    is_deeply [place({}, order(9, 1))], ['stock_not_loaded'];
    is_deeply [$r->keys('*')], [], 'no key appears';
    fresh([1, stock => 1]);
    is_deeply [place({}, order(9, 1), order(1, 1))], ['unknown_product', 'queued'];
    is $r->exists('product:9:stock') + $r->exists('product:9:register'), 0;
};

subtest 'W18: one of the two keys is gone' => sub {
    for my $key ('product:1:stock', 'product:1:register') {
        fresh([1, stock => 5]);
        $r->del($key);
        is_deeply [place({}, order(1, 1))], ['unknown_product'], $key;
        is $r->exists($key), 0, 'it is not made anew';
        untouched($key);
    }
};

subtest 'closed, rebuilding' => sub {
    fresh([1, stock => 5, state => 'closed']);
    is_deeply [place({}, order(1, 1))], ['unknown_product'];
    fresh([1, stock => 5]);
    $r->hset('gate', 'state', 'rebuilding');
    is_deeply [place({}, order(1, 1))], ['rebuilding'];
    untouched('rebuilding');
};

subtest 'G13: the sale window, by the clock of Redis' => sub {
    my $now = sub { my $t = $r->time; $t->[0] * 1000 + int($t->[1] / 1000) };
    fresh([1, stock => 5, opens_at => $now->() + 60000]);
    my ($verdict) = place({}, order(1, 1));
    like $verdict, qr/^sale_not_started (\d+)$/;
    my ($wait) = $verdict =~ /(\d+)/;
    ok $wait > 50000 && $wait <= 60000, "time to wait: $wait";
    untouched('before opening');
    fresh([1, stock => 5, opens_at => $now->() - 60000, closes_at => $now->() - 1]);
    is_deeply [place({}, order(1, 1))], ['sale_ended'];
    untouched('after closing');
    fresh([1, stock => 5, opens_at => $now->() - 60000, closes_at => $now->() + 60000]);
    is_deeply [place({}, order(1, 1))], ['queued'];
};

subtest 'G12: limits of an order and of a user' => sub {
    fresh([1, stock => 50, max_quantity => 3]);
    is_deeply [place({}, order(1, 4), order(1, 3))], ['over_quantity 3', 'queued'];
    fresh([1, stock => 50, per_user_limit => 3]);
    is_deeply [place({}, order(1, 2, 8), order(1, 2, 8), order(1, 1, 8), order(1, 3, 9))],
        ['queued', 'purchase_limit 3', 'queued', 'queued'];
    is_deeply { $r->hgetall('product:1:buyers') }, { 8 => 3, 9 => 3 };
    is_deeply [place({}, order(1, 1, 8))], ['purchase_limit 3'];
    is_deeply state_of(1), { stock => 44, in_flight => 6, units => 6, orders => 3, queued => 3 };
};

subtest 'G14: the cap of the queue' => sub {
    fresh([1, stock => 50]);
    is_deeply [place({ cap => 2 }, map { order(1, 1) } 1 .. 3)], ['queued', 'queued', 'queue_full'];
    is_deeply [place({ cap => 2 }, order(1, 1))], ['queue_full'];
    is_deeply state_of(1), { stock => 48, in_flight => 2, units => 2, orders => 2, queued => 2 };
};

subtest 'G5, G11: an identifier that is known' => sub {
    fresh([1, stock => 5]);
    my $first = order(1, 2, 7);
    is_deeply [place({ check => 1 }, $first)], ['queued'];
    is_deeply [place({ check => 1 }, $first)], ['known queued - 1 2 7 1763700000123'];
    is_deeply [place({ check => 1 }, order(1, 1, 7, $first->{id}))], ['conflict'];
    is_deeply [place({ check => 1 }, order(1, 2, 8, $first->{id}))], ['conflict'];
    my $twin = order(1, 1, 7);
    is_deeply [place({ check => 1 }, $twin, $twin, order(1, 2, 7, $twin->{id}))],
        ['queued', 'known queued - 1 1 7 1763700000123', 'conflict'], 'within one call';
    is_deeply state_of(1), { stock => 2, in_flight => 3, units => 3, orders => 2, queued => 2 };
    $r->rename("orders:$today", "orders:$yesterday");
    is_deeply [place({ check => 1 }, $first)], ['known queued - 1 2 7 1763700000123'], 'found in the bucket of yesterday';
    $r->rename("orders:$yesterday", "orders:$tomorrow");
    is_deeply [place({ check => 1 }, $first)], ['known queued - 1 2 7 1763700000123'], 'and of tomorrow, where another clock is ahead';
    $r->hset('gate', 'state', 'rebuilding');
    is_deeply [place({ check => 1 }, $first)], ['known queued - 1 2 7 1763700000123'], 'a known order is answered whatever the gate says';
};

subtest 'G19: the key that took the last unit' => sub {
    fresh([1, stock => 1]);
    my $last = order(1, 1);
    place({ check => 1 }, $last);
    is_deeply [place({ check => 1 }, order(1, 1), $last)], ['out_of_stock', 'known queued - 1 1 7 1763700000123'];
};

subtest 'G20: a broken product fails alone' => sub {
    my %break = (
        'stock is a list'          => sub { $r->del('product:1:stock'); $r->lpush('product:1:stock', 1) },
        'stock is no number'       => sub { $r->set('product:1:stock', 'many') },
        'register is a string'     => sub { $r->del('product:1:register'); $r->set('product:1:register', 1) },
        'in_flight is no number'   => sub { $r->hset('product:1:register', 'in_flight', '1.5') },
        'stock is no number there' => sub { $r->hset('product:1:register', 'stock', 'x') },
        'limit is no number'       => sub { $r->hset('product:1:register', 'per_user_limit', '-1') },
        'buyers is a string'       => sub { $r->hset('product:1:register', 'per_user_limit', 5); $r->set('product:1:buyers', 1) },
        'a buyer is no number'     => sub { $r->hset('product:1:register', 'per_user_limit', 5); $r->hset('product:1:buyers', 7, 'x') },
    );
    for my $what (sort keys %break) {
        fresh([1, stock => 5], [2, stock => 5]);
        $break{$what}->();
        is_deeply [place({}, order(1, 1), order(2, 1), order(1, 1))], ['broken', 'queued', 'broken'], $what;
        is_deeply state_of(2), { stock => 4, in_flight => 1, units => 1, orders => 1, queued => 1 }, "$what: the other is served";
    }
};

subtest 'G20: a number that was written by hand' => sub {
    fresh([1, stock => 5, per_user_limit => 5]);
    $r->hset('product:1:register', 'in_flight', '001');
    $r->hset('product:1:buyers', 7, '01');
    $r->hset('gate', 'queued', '00');
    is_deeply [place({}, order(1, 2))], ['queued'];
    is $r->hget('product:1:register', 'in_flight'), 3, 'counted';
    is $r->hget('product:1:buyers', 7), 3;
    is $r->hget('gate', 'queued'), 1;
    $r->hset('product:1:register', 'in_flight', '9' x 16);
    is_deeply [place({}, order(1, 2))], ['broken'], 'more digits than Lua counts exactly';
};

subtest 'G20: broken shared keys refuse the call whole' => sub {
    my %break = (
        'queue'   => sub { $r->set('order-processing-queue', 'x') },
        'bucket'  => sub { $r->set("orders:$today", 'x') },
        'gate'    => sub { $r->del('gate'); $r->set('gate', 'x') },
        'counter' => sub { $r->hset('gate', 'queued', 'x') },
    );
    for my $what (sort keys %break) {
        fresh([1, stock => 5]);
        $break{$what}->();
        my @verdicts = eval { place({}, order(1, 1)) };
        is_deeply \@verdicts, $what eq 'queue' ? ['broken'] : [], "$what: " . ($@ || 'answered');
        is $r->get('product:1:stock'), 5, "$what: nothing deducted";
        is $r->hget('product:1:register', 'in_flight'), 0, "$what: nothing in flight";
    }
};

subtest 'G20: a user who may not run one of the writing commands' => sub {
    my @all = ('on', '>secret', '~*', '&*', '+@all');
    for my $command (qw(xadd hset set expire)) {
        fresh([1, stock => 5]);
        $r->acl('SETUSER', 'gate', 'reset', @all, "-$command");
        $r->auth('gate', 'secret');
        my @verdicts = eval { place({}, order(1, 1)) };
        my $error = $@;
        $r->auth('default', '');
        is_deeply \@verdicts, $command eq 'expire' ? [] : ['broken'], "without $command";
        like $error, qr/NOPERM|can't run|no permissions/ if !@verdicts;
        unlike $error, qr/user_script/, 'an answer, not an accident';
        is_deeply state_of(1), { stock => 5, in_flight => 0, units => 0, orders => 0, queued => 0 };
    }
};

subtest 'G7: a full Redis refuses the order whole' => sub {
    fresh([1, stock => 5]);
    $r->config_set('maxmemory', '1');
    eval { place({}, order(1, 1)) };
    like $@, qr/OOM/;
    $r->config_set('maxmemory', '0');
    is_deeply state_of(1), { stock => 5, in_flight => 0, units => 0, orders => 0, queued => 0 };
};

done_testing;
