# load by itself, on a real Redis: a register is made, or its units in flight are put right, exactly, however long the queue is (S10).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis;
use Test::More;

my $redis = CheckoutRedis->start;
my $r     = $redis->client;
my ($queue, $dead, $group) = ('order-processing-queue', 'dead-letter-queue', 'checkout-worker');
my $serial = 0;

# An entry as the gate writes it, without its orders. Returns its id.
sub add { my ($product, $units, $stream) = @_; return $r->xadd($stream // $queue, '*', 'nonce', ++$serial, 'product', $product, 'units', $units, 'count', 1) }

# As a worker settles it.
sub settle { my ($id) = @_; $r->xack($queue, $group, $id); $r->xdel($queue, $id) }

sub fill { my ($n, @entry) = @_; return map { add(@entry) } 1 .. $n }

# What a pass from outside has read: { queue, dead, letters, dead_units, behind => id, behind_units, ids => [...] }.
sub load {
    my ($mode, $product, $count) = @_;
    my @count = $count ? (@$count{qw(queue dead letters dead_units)}, $count->{behind} // '-', $count->{behind_units} // 0, @{ $count->{ids} // [] }) : '-';
    return $redis->script('load', [ CheckoutRedis::load_keys($product) ],
        [ $mode, $group, $product, $mode eq 'create' ? 1 : '-', 1000, 0, 0, 0, 0, 'open', @count ]);
}

sub register { return { $r->hgetall('product:1:register') } }

sub fresh { $r->flushdb; $redis->load(1, stock => 1000) }

# A register that went, with the set as it was.
sub lose { $r->del('product:1:register', 'product:1:stock') }

subtest 'a product that was never loaded has nothing in flight, however long the queue is' => sub {
    fresh();
    fill(1500, 1, 1);
    is_deeply load('create', 2), [ 1, 0, 0 ], 'made without reading the queue';
    is_deeply [ sort $r->smembers('products') ], [ 1, 2 ], 'in the set';
    is $r->hget('gate', 'products'), 2, 'and counted';
    is load('create', 2)->[0], 0, 'a second time it is a push';
    is $r->hget('gate', 'products'), 2;
    $r->srem('products', 1);
    is load('create', 3)->[0], -4, 'not where the set is shorter than the gate counts';
    $r->sadd('products', 1);
    $r->hset('gate', 'state', 'rebuilding');
    is load('create', 3)->[0], -4, 'nor during a rebuild, which enqueues orders of products without a register';
};

subtest 'W18: a register made anew, the queue being short' => sub {
    fresh();
    fill(3, 1, 2);
    add(1, 5, $dead);
    lose();
    is_deeply load('create', 1), [ 1, 0, 11 ];
    is $r->get('product:1:stock'), 989;
    is $r->hget('gate', 'products'), 1, 'it counted before';
};

subtest 'S10: a long queue is counted from outside, and what changed since is looked at again' => sub {
    fresh();
    $r->xgroup('CREATE', $queue, $group, 0, 'MKSTREAM');
    my @other = fill(1200, 2, 1);
    my @mine = fill(4, 1, 3);
    my $letter = add(1, 5, $dead);
    lose();
    is_deeply load('create', 1), [ -4, 0, 0 ], 'the script does not read it';
    is $r->exists('product:1:register'), 0, 'and writes nothing';
    my %count = (queue => $mine[-1], dead => $letter, letters => 1, dead_units => 5, ids => \@mine);
    settle($mine[1]);
    add(1, 7);
    add(2, 9);
    is_deeply load('create', 1, \%count), [ 1, 0, 21 ], 'without what was settled, with what was added';
    $r->hset('product:1:register', 'in_flight', 2);
    is_deeply load('look', 1, \%count), [ 0, 2, 21 ], 'looked at';
    is register()->{in_flight}, 2, 'and left';
    is_deeply load('recount', 1, \%count), [ 0, 2, 21 ];
    is register()->{in_flight}, 21, 'corrected';
    is $r->get('product:1:stock'), 979, 'and the stock follows';
    add(1, 1, $dead);
    is load('recount', 1, \%count)->[0], -4, 'a dead letter came';
    $r->xdel($dead, $letter);
    is load('recount', 1, \%count)->[0], -4, 'one came and one went';
    fill(256, 2, 1);
    is load('recount', 1, { %count, dead => '9999999999999-0', letters => 1 })->[0], -4, 'too much was added since';
    is register()->{in_flight}, 21, 'nothing was written';
};

subtest 'S10: entries that nobody was given are not looked at again' => sub {
    fresh();
    $r->xgroup('CREATE', $queue, $group, 0, 'MKSTREAM');
    my @mine = fill(1500, 1, 1);
    my %count = (queue => $mine[-1], dead => '0-0', letters => 0, dead_units => 0, ids => [ @mine[0 .. 99] ], behind => $mine[99], behind_units => 1400);
    $r->xreadgroup('GROUP', $group, 'a', 'COUNT', 60, 'STREAMS', $queue, '>');
    settle($_) for @mine[0 .. 9];
    $r->hset('product:1:register', 'in_flight', 0);
    is_deeply load('recount', 1, \%count), [ 0, 0, 1490 ], 'exact';
    $r->xreadgroup('GROUP', $group, 'a', 'COUNT', 60, 'STREAMS', $queue, '>');
    is load('recount', 1, \%count)->[0], -4, 'until the queue was delivered beyond them';
};

subtest 'forget' => sub {
    fresh();
    add(1, 1);
    is load('forget', 1)->[0], 0, 'not while it is loaded';
    lose();
    is load('forget', 1)->[0], 0, 'nor while something of it is in flight';
    is $r->hget('gate', 'products'), 1;
    $r->del($queue);
    is load('forget', 1)->[0], 1, 'forgotten';
    is $r->hget('gate', 'products'), 0;
    is load('forget', 1)->[0], 0, 'once';
    is $r->hget('gate', 'products'), 0;
};

subtest 'a register of another type, a product that is not loaded' => sub {
    fresh();
    is load('recount', 2)->[0], -1;
    is load('look', 2)->[0], -1;
    $r->set('product:2:register', 'x');
    is load('create', 2)->[0], -2;
    is $r->scard('products'), 1, 'nothing was written';
};

done_testing;
