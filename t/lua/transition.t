# transition, and what settle leaves to it, by themselves, on a real Redis.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis;
use Test::More;

my $redis = CheckoutRedis->start;
my $r = $redis->client;
my ($today, $yesterday, $tomorrow) = ('orders:2026-11-21', 'orders:2026-11-20', 'orders:2026-11-22');
my $id = '017f22e2-79b0-7000-8000-000000000001';

sub fresh { $r->flushdb; $redis->load(1, stock => 5, version => 3, per_user_limit => $_[0] // 4) }

# A move of order $id: status, units that the user holds more; what is answered of it. Options: reason, make, version, stock,
# product (0: none), limit.
sub move {
    my ($status, $units, %o) = @_;
    my $product = $o{product} // 1;
    my $reply = $redis->script('transition', [ $today, $yesterday, $tomorrow, $product ? (CheckoutRedis::product_keys(1), 'product:1:buyers') : () ],
        [ $o{make} // 0, $product ? 1 : 0, $product ? ($o{version} // 4, $o{stock} // 6, 0, 0, $o{limit} // 4, 0, 'open') : (),
          $id, $status, $o{reason} // '-', $product, 7, 2, $units ]);
    return $reply->[0];
}

sub record { return $r->hget($_[0] // $today, $id) }
sub held { return $r->hget('product:1:buyers', 7) }

subtest 'a move: record, stock, buyer' => sub {
    fresh();
    $r->hset($today, $id, 'pending_payment - 1 2 7 1763700000123');
    $r->hset('product:1:buyers', 7, 3);
    is move('cancelled', -2, reason => 'payment_expired'), 2, 'its record was changed';
    is record(), 'cancelled payment_expired 1 2 7 1763700000123', 'content and time stay';
    is held(), 1, 'the units are the buyer\'s again';
    is $r->get('product:1:stock'), 6, 'the stock is pushed';
    is $r->hget('product:1:register', 'version'), 4;
    is move('cancelled', -2, reason => 'payment_expired'), 1, 'the same again changes nothing';
    is held(), 1, 'also of the buyer';
    is move('paid', 2, version => 5, stock => 4), 2, 'paid after all';
    is held(), 3, 'the buyer holds them again';
    is $r->get('product:1:stock'), 4;
};

subtest 'moves in any order: the later status stays' => sub {
    for my $case ([ 'paid', 'cancelled' ], [ 'refunded', 'completed' ], [ 'refund_pending', 'failed_payment' ], [ 'completed', 'paid' ],
        [ 'failed', 'pending_payment' ], [ 'cancelled', 'queued' ])
    {
        my ($later, $earlier) = @$case;
        fresh();
        $r->hset($today, $id, 'queued - 1 2 7 1763700000123');
        move($later, 0, version => 9, stock => 9);
        is move($earlier, -2, version => 4, stock => 1), 1, "$earlier after $later";
        like record(), qr/^$later /;
        is $r->get('product:1:stock'), 9, 'and an older stock is not pushed';
    }
};

subtest 'the buyer holds what the record says, whatever was told before, and in any order' => sub {
    my $start = sub {
        fresh();
        $r->hset($today, $id, "$_[0] - 1 2 7 1763700000123");
        $r->hset('product:1:buyers', 7, $_[1]);
    };
    $start->('pending_payment', 2);
    move('paid', 2, version => 5, stock => 4);
    is held(), 2, 'paid late, and the failure before it was not told';
    move('failed_payment', -2);
    is held(), 2, 'it is told too late';
    $start->('refund_pending', 3);
    move('refunded', -2, make => $_) for 0, 1;
    is held(), 3, 'a refund of what the buyer does not hold takes nothing, however often';
    $start->('paid', 3);
    move('refunded', -2, make => 1);
    is held(), 1, 'told again: as if it were the first time';
    move('refunded', -2);
    is held(), 1, 'and once';
    $start->('queued', 3);
    move('cancelled', 0);
    is held(), 1, 'cancelled in the queue';
    move('paid', 2, version => 5, stock => 4);
    is held(), 3, 'and paid after all';
};

subtest 'a record that is not there, or no record' => sub {
    fresh();
    $r->hset('product:1:buyers', 7, 3);
    is move('cancelled', -2), 0, 'left to the sweep, which tells in order';
    is record(), undef, 'none is made';
    is held(), 3, 'and the buyer\'s units stay';
    is move('cancelled', -2, make => 1, reason => 'payment_expired'), 2, 'the sweep tells it';
    like record(), qr/^cancelled payment_expired 1 2 7 \d{13}$/, 'with a record that shows it';
    cmp_ok $r->ttl($today), '>', 0, 'in a bucket that expires';
    is held(), 1;
    is move('cancelled', -2, make => 1), 1, 'told again';
    is held(), 1, 'nothing moves';
    is move('paid', 2, make => 1), 2, 'paid after all, by that record';
    is held(), 3;
    fresh();
    $r->hset('product:1:buyers', 7, 3);
    is move('paid', 0, make => 1), 1, 'where no units move';
    is move('cancelled', -2, make => 1, product => 0), 1, 'or nobody counts them';
    is record(), undef, 'no record is made';
    $r->hset($yesterday, $id, 'pending_payment - 1 2 7 1763700000123');
    is move('paid', 0), 2, 'yesterday\'s is found';
    like record($yesterday), qr/^paid /;
    $r->rename($yesterday, $tomorrow);
    is move('completed', 0), 2, 'so is tomorrow\'s, of a clock that is ahead';
    like record($tomorrow), qr/^completed /;
    $r->del($tomorrow);
    $r->hset($today, $id, 'garbage');
    is move('refunded', 0), 1, 'a text that is no record stays';
    is record(), 'garbage';
};

subtest 'nothing is created, and a broken key harms nothing else' => sub {
    $r->flushdb;
    is move('cancelled', -2, make => 1), 1;
    is_deeply [ $r->keys('*') ], [], 'no register, no stock, no record, no buyers';
    fresh(0);
    $r->hset($today, $id, 'pending_payment - 1 2 7 1763700000123');
    move('cancelled', 2, limit => 0);
    ok !$r->exists('product:1:buyers'), 'buyers are counted only where there is a limit';
    fresh();
    $r->set('product:1:buyers', 'x');
    $r->set($today, 'x');
    is move('cancelled', -2, make => $_), 0, 'its record cannot be made, so it stays to be told' for 0, 1;
    is $r->get('product:1:stock'), 6, 'the stock is pushed';
    $r->flushdb;
    $r->hset($today, $id, 'pending_payment - 1 2 7 1763700000123');
    is move('cancelled', 0, product => 0), 2, 'an order without a product';
};

subtest 'settle leaves a later status alone' => sub {
    fresh();
    my ($queue, $dead, $group) = ('order-processing-queue', 'dead-letter-queue', 'checkout-worker');
    $redis->script('place_order', [ $queue, 'gate', $today, $yesterday, CheckoutRedis::product_keys(1), 'product:1:buyers' ],
        [ 1000, '2026-11-21', 1, 'abcdef0123456789', 1, 2, 2, 0, $id, 'queued - 1 2 7 1763700000123' ]);
    is record(), 'queued - 1 2 7 1763700000123';
    $redis->script('heartbeat', [ $queue, 'workers' ], [ $group, 'me', '21', 100, '' ]);
    my $entry = $r->xreadgroup('GROUP', $group, 'me', 'STREAMS', $queue, '>')->[0][1][0][0];
    move('paid', 0, version => 4, stock => 3);
    is $redis->script('settle', [ $queue, 'gate', $dead, $today, CheckoutRedis::product_keys(1), 'product:1:buyers' ],
        [ $group, 1, 1, 0, 4, 3, 0, 0, 4, 0, 'open', $entry, 'abcdef0123456789', 1, 1, 2, 1, 1, 0, 0, $id, 'pending_payment - 1 2 7 1763700000123' ]),
        1, 'settled';
    like record(), qr/^paid /, 'it was paid before its settle';
    is $r->get('product:1:stock'), 3;
};

done_testing;
