# The scripts of a rebuild by themselves, on a real Redis: who holds the gate, the fence, orders enqueued again.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis;
use Test::More;

my $redis = CheckoutRedis->start;
my $r     = $redis->client;
my $day   = '2026-11-21';
my $serial = 0;

sub script { my ($name, @args) = @_; return $redis->script("rebuild_$name", ['gate'], \@args) }
sub open_products { my ($token, @ids) = @_; return $redis->script('rebuild_open', [ 'gate', map { "product:$_:register" } @ids ], [$token]) }
sub identifier { return sprintf('017f22e2-79b0-7000-8000-%012x', ++$serial) }

# One order of a product through the gate; returns the verdict.
sub place {
    my ($product) = @_;
    my $reply = $redis->script('place_order',
        [ 'order-processing-queue', 'gate', "orders:$day", 'orders:2026-11-20', CheckoutRedis::product_keys($product), "product:$product:buyers" ],
        [ 1000, $day, $product, 'abc', 1, 1, 1, 0, identifier(), "queued - $product 1 7 1763700000123" ]);
    return $reply->[1][1];
}

# Orders [identifier, record, record as it shall be, units] of one product.
sub requeue {
    my ($token, $product, $enqueue, @orders) = @_;
    return $redis->script('requeue',
        [ 'order-processing-queue', 'gate', "orders:$day", CheckoutRedis::product_keys($product), "product:$product:buyers" ],
        [ $token, $day, $product, 'nonce' . ++$serial, $enqueue, scalar @orders, map { @$_ } @orders ]);
}

subtest 'S8: whoever began last holds the gate' => sub {
    $r->flushdb;
    is_deeply script('begin', 'a'), [ 0, '' ];
    is script('note', 'a', 17), 1;
    is script('fence', 'a'), 1;
    is_deeply script('begin', 'b'), [ 1, 17 ], 'the second one takes over, and learns how far the first was';
    is $r->hget('gate', 'fence'), 'a', 'what was closed stays closed';
    is script('fence', 'a'), -1, 'the first one is refused';
    is script('note', 'a', 18), -1;
    is script('end', 'a', 'all'), -1;
    is open_products('a', 1), -1;
    is_deeply requeue('a', 1, 1), -1;
    is script('end', 'b', 'fence'), 1;
    is $r->hget('gate', 'rebuild'), 'b', 'it has more to do';
    is script('end', 'b', 'all'), 1;
    is $r->exists('gate'), 0, 'nothing is left';
    is script('end', '*', 'all'), 0, 'nothing to give up';
    $r->hset('gate', 'state', 'rebuilding');
    is script('end', '*', 'all'), 1, 'a fence without an owner can be given up';
    $r->hset('gate', 'state', 'rebuilding');
    script('begin', 'a');
    is $r->hget('gate', 'state'), undef, 'and is taken away by the next one';
};

subtest 'S8: behind the fence only opened products are sold' => sub {
    $r->flushdb;
    $redis->load($_, stock => 10) for 1, 2;
    script('begin', 'a');
    is open_products('a', 1, 3), 1, 'one that is not loaded is not opened';
    is $r->exists('product:3:register'), 0;
    script('fence', 'a');
    is_deeply [ map { place($_) } 1 .. 3 ], [qw(queued rebuilding rebuilding)];
    open_products('a', 2);
    is place(2), 'queued', 'one after the other';
    script('begin', 'b');
    is place(1), 'queued', 'one that takes over closes nothing';
    script('fence', 'b');
    is place(1), 'rebuilding', 'what an earlier one opened means nothing behind its own fence';
    $r->hdel('gate', 'fence');
    $r->hset('product:1:register', 'rebuilt', '');
    is place(1), 'rebuilding', 'a fence without a token closes all';
    script('end', '*', 'all');
    is_deeply [ map { place($_) } 1 .. 2 ], [qw(queued queued)];
};

subtest 'orders enqueued again, and records set to their rows' => sub {
    $r->flushdb;
    $redis->load(1, stock => 10, per_user_limit => 5);
    script('begin', 'a');
    my ($lost, $changed, $failed) = map { identifier() } 1 .. 3;
    my $record = sub { "$_[0] - 1 2 7 1763700000123" };
    $r->hset("orders:$day", $lost, $record->('queued'));
    $r->hset("orders:$day", $changed, $record->('paid'));
    my @orders = map { [ $_, $record->('queued'), $record->('queued'), 2 ] } $lost, $changed;
    is_deeply requeue('a', 1, 1, @orders), [ 1, 1 ], 'only where the record is what was read';
    my %entry = @{ $r->xrange('order-processing-queue', '-', '+')->[0][1] };
    is "@entry{qw(product units count day orders)}", "1 2 1 $day $lost " . $record->('queued');
    is $r->hget('product:1:register', 'in_flight'), 2;
    is $r->get('product:1:stock'), 8, 'its units are held';
    is $r->hget('gate', 'queued'), 1;

    $r->hset("orders:$day", $failed, $record->('queued'));
    $r->hset('product:1:buyers', 7, 4);
    my $now = [ $failed, $record->('queued'), $record->('failed'), 2 ];
    is_deeply requeue('a', 1, 0, $now), [ 0, 1 ];
    is $r->hget('product:1:buyers', 7), 2, 'units of an order that ended come back with its record';
    is_deeply requeue('a', 1, 0, $now), [ 0, 0 ], 'once';
    is_deeply requeue('a', 1, 0, [ $failed, $record->('failed'), $record->('pending_payment'), 2 ]), [ 0, 1 ];
    is $r->hget('product:1:buyers', 7), 4, 'and are held again';
    is $r->get('product:1:stock'), 8;
};

subtest 'S8: a rebuild that fell silent' => sub {
    $r->flushdb;
    my $watch = sub { $redis->script('rebuild_watch', [ 'gate', 'workers' ], [ $_[0] // '-' ]) };
    is_deeply $watch->(), [ 0, 'none' ], 'there is none';
    script('begin', 'a');
    $r->hset('workers', 'lease:rebuild', 'me 1');
    is_deeply $watch->(), [ 1, 'me 1' ];
    $r->hset('workers', 'lease:rebuild', 'me 2');
    $watch->('me 1');
    is $r->hget('gate', 'rebuild_silent'), undef, 'it lives';
    $watch->('me 2');
    is $r->hget('gate', 'rebuild_silent'), 1, 'it does not';
    script('begin', 'b');
    is $r->hget('gate', 'rebuild_silent'), undef, 'the next one does';
};

done_testing;
