# The buyers of a product with a limit for each user: when the gate sells, what pushes do to the count, the journal, and the
# steps of a count, on a real Redis.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis;
use Test::More;
use Time::HiRes qw(time);

my $redis = CheckoutRedis->start;
my $r = $redis->client;
my @days = map { "orders:2026-11-$_" } 21, 20, 22;
my ($queue, $dead, $group) = ('order-processing-queue', 'dead-letter-queue', 'checkout-worker');
my ($register, $buyers, $new) = map { "product:1:$_" } qw(register buyers buyers:new);
my $serial = 0;
my $version = 0;
my $week = 168 * 3600 * 1000;

sub id { return sprintf '017f22e2-79b0-7000-8000-%012d', ++$serial }
sub ms { return int(time * 1000) }

# Terms as MySQL has them now.
sub push_terms { return $redis->load(1, stock => 100, version => ++$version, buyers => 'as pushed', @_) }

sub state { return $r->hget($register, 'buyers') }

sub order {
    my ($user, $quantity, $id, $check) = @_;
    $id //= id();
    my $reply = $redis->script('place_order', [ $queue, 'gate', @days[0, 1], CheckoutRedis::product_keys(1), $buyers, $check ? $days[2] : () ],
        [ 1000, '2026-11-21', 1, sprintf('%016x', $serial), 1, $quantity, $quantity, $check ? 1 : 0, $id, "queued - 1 $quantity $user 1763700000123" ]);
    return wantarray ? ($reply->[1][-1], $id) : $reply->[1][-1];
}

# Everything that waits is sold, or fails.
sub settle {
    my ($status) = @_;
    $redis->script('heartbeat', [ $queue, 'workers' ], [ $group, 'me', 3000, 100, '' ]);
    my $got = $r->xreadgroup('GROUP', $group, 'me', 'STREAMS', $queue, '>') // [];
    for my $entry (map { @{ $_->[1] } } @$got) {
        my ($at, $fields) = @$entry;
        my %field = @$fields;
        my ($id, @record) = split ' ', $field{orders};
        my @back = $status eq 'failed' ? ($record[4], $record[3], $id) : ();
        $redis->script('settle', [ $queue, 'gate', $dead, $days[0], CheckoutRedis::product_keys(1), $buyers ],
            [ $group, 1, 1, 0, '-', 0, 0, 0, 0, 0, 'open', $at, $field{nonce}, 1, 1, $field{units}, 1, 1, @back ? 1 : 0, 0, $id, "$status - @record[2 .. 5]", @back ]);
    }
}

sub told {
    my ($id, $status, $user, $quantity, $units) = @_;
    return $redis->script('transition', [ @days, CheckoutRedis::product_keys(1), $buyers ],
        [ 1, 1, '-', 0, 0, 0, 0, 0, 'open', $id, $status, '-', 1, $user, $quantity, $units ])->[0];
}

sub count_step { my ($name, @args) = @_; return $redis->script("buyers_$name", [ $register, $buyers, $new ], \@args) }

# A count of what is given (user => units).
sub count {
    my (%users) = @_;
    count_step('begin', 'token');
    count_step('page', 'token', 1, %users);
    return count_step('finish', 'token', $r->hget($buyers, 'moves') // 0);
}

sub fresh {
    $r->flushdb;
    $version = 0;
    push_terms(@_);
}

subtest 'S7: a limit that is set: 503 until the buyers are counted' => sub {
    fresh();
    is order(7, 3), 'queued', 'without a limit';
    ok !$r->exists($buyers), 'nobody counts';
    push_terms(per_user_limit => 4);
    is state(), 'counting';
    is order(7, 1), 'rebuilding', 'the gate refuses';
    is order(7, 3, '017f22e2-79b0-7000-8000-000000000001', 1), 'known queued - 1 3 7 1763700000123', 'but it answers what it knows';
    is count(7 => 3), 1, 'counted';
    is state(), 'complete';
    is order(7, 2), 'purchase_limit 4', 'what was bought before counts';
    is order(7, 1), 'queued';
    push_terms(per_user_limit => 5);
    is state(), 'complete', 'raised: the count stays';
    is order(7, 1), 'queued';
    is order(7, 1), 'purchase_limit 5';
    push_terms();
    is state(), undef, 'removed';
    ok !$r->exists($buyers), 'and nothing is counted any more';
    is order(7, 50), 'queued';
    push_terms(per_user_limit => 5);
    is state(), 'counting', 'set again: counted again';
};

subtest 'S7: a hash that was lost sells nothing' => sub {
    fresh(per_user_limit => 4);
    count(7 => 4);
    is order(8, 1), 'queued';
    $r->del($buyers);
    is order(9, 1), 'rebuilding', 'gone';
    settle('failed');
    is order(9, 1), 'rebuilding', 'also once something was written into a new one';
    is_deeply $redis->script('buyers_look', [ $register, $buyers ], []), [1], 'and a worker sees it';
    count(7 => 4);
    is order(7, 1), 'purchase_limit 4';
    is_deeply $redis->script('buyers_look', [ $register, $buyers ], []), [0];
    $r->del($buyers);
    $r->set($buyers, 'x');
    is order(9, 1), 'broken', 'of another type';
    is_deeply $redis->script('buyers_look', [ $register, $buyers ], []), [1], 'a worker sees that too';
    is count(7 => 4), 1, 'and counts';
    is order(9, 1), 'queued';
};

subtest 'a product of the release before sells on, counted beside' => sub {
    fresh(per_user_limit => 4);
    $r->hdel($register, 'buyers');
    $r->hset($buyers, 7, 3);
    is order(7, 2), 'purchase_limit 4';
    is_deeply $redis->script('buyers_look', [ $register, $buyers ], []), [2];
    is count_step('begin', 't1'), 0;
    is order(7, 1), 'queued', 'it sells while sums are made';
    is count_step('page', 't1', 0, 7, 3, 8, 2), 1;
    is order(8, 1), 'queued';
    is count_step('page', 't1', 1), 1;
    is order(8, 1), 'rebuilding', 'closed for the last step';
    is count_step('finish', 't1', 0), 1;
    is state(), 'complete';
};

subtest 'what moves units meanwhile is in the journal' => sub {
    fresh(per_user_limit => 9);
    count();
    my (undef, $sold) = order(7, 2);
    my (undef, $failed) = order(8, 3);
    is count_step('begin', 't2'), 0;
    settle('pending_payment');
    is $r->hget($buyers, 'moves'), 2, 'both left the queue';
    is $r->hget($buyers, 'moved:1'), "$sold 7 2";
    told($sold, 'cancelled', 7, 2, -2);
    is $r->hget($buyers, 'moved:3'), "$sold 7 0", 'a change after it';
    is $r->hget($buyers, 7), undef, 'and the hash in use';
    is told($sold, 'cancelled', 7, 2, -2), 1;
    is $r->hget($buyers, 'moves'), 3, 'told again: nothing moves';
    is told(id(), 'cancelled', 9, 2, -2), 2, 'an order without a record';
    like $r->hget($buyers, 'moved:4'), qr/ 9 0$/;
    order(5, 4);
    settle('failed');
    like $r->hget($buyers, 'moved:5'), qr/ 5 0$/, 'one that failed holds nothing';
    is count_step('page', 't2', 1, 8, 3), 1;
    is count_step('finish', 't2', 4), 0, 'the journal is longer';
    is count_step('finish', 't2', 5), 1;
    is_deeply { @{ $r->hgetall($buyers) } }, { 8 => 3, 0 => 0 }, 'the new hash has no journal';
    ok !$r->exists($new);
};

subtest 'one count at a time, and none of what is not to be counted' => sub {
    fresh(per_user_limit => 9);
    is count_step('begin', 'a'), 0;
    is count_step('begin', 'b'), 0, 'who began last goes on';
    is count_step('page', 'a', 0, 7, 1), -1;
    is count_step('finish', 'a', 0), -1;
    is count_step('page', 'b', 0, 7, 1, 8, 0), 1;
    $r->del($buyers);
    is count_step('page', 'b', 0, 8, 1), -1, 'its hash was lost';
    is count_step('finish', 'b', 0), -1;
    is state(), 'counting';
    $r->hset($register, 'recovering', 'me 1');
    is count_step('begin', 'c'), -1, 'recovering';
    is_deeply $redis->script('buyers_look', [ $register, $buyers ], []), [0];
    $r->hdel($register, 'recovering');
    push_terms();
    is count_step('begin', 'd'), -1, 'no limit';
    $r->del($register);
    is count_step('begin', 'e'), -1, 'not loaded';
    ok !$r->exists($buyers), 'nothing was made';
    is $redis->script('buyers_mark', [ $register ], []), 0;
    ok !$r->exists($register);
};

subtest 'S7: the count expires with the sale, and each push renews that' => sub {
    my $end = ms() + 60_000;
    fresh(per_user_limit => 4, closes_at => $end);
    count(7 => 1);
    cmp_ok abs($r->pexpiretime($buyers) - $end - $week), '<', 2, 'its end and the longest time to pay';
    push_terms(per_user_limit => 4, closes_at => $end + 5_000_000);
    is $r->pexpiretime($buyers), $end + 5_000_000 + $week, 'the end was moved';
    push_terms(per_user_limit => 4);
    is $r->pttl($buyers), -1, 'no end';
    push_terms(per_user_limit => 4, closes_at => ms() - 1);
    $r->del($buyers);
    is_deeply $redis->script('buyers_look', [ $register, $buyers ], []), [0], 'over: nobody needs it';
    push_terms(per_user_limit => 4, closes_at => $end);
    is order(7, 1), 'rebuilding', 'the end was moved back';
    is_deeply $redis->script('buyers_look', [ $register, $buyers ], []), [1];
};

subtest 'buyers_mark closes what has a limit' => sub {
    fresh(per_user_limit => 4);
    count(7 => 1);
    $redis->load(2, stock => 5);
    is $redis->script('buyers_mark', [ $register, 'product:2:register', 'product:3:register' ], []), 1;
    is state(), 'counting';
    is $r->hget('product:2:register', 'buyers'), undef;
    is order(7, 1), 'rebuilding';
};

done_testing;
