# S2: the scripts of a loss and of its recovery: loss, server_seen, recovery_claim, recovery_end, close_gone; and what the
# others do meanwhile.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis;
use Test::More;

my $redis = CheckoutRedis->start;
my $r = $redis->client;
my ($gate, $set) = ('gate', 'products:recovering');

sub register { return "product:$_[0]:register" }
sub field { return $r->hget(register($_[0]), $_[1]) }

sub fresh { $r->flushdb; $redis->load($_, stock => 10) for @_ }

# loss for products, each [id, version of its row]
sub look {
    my (@rows) = @_;
    return $redis->script('loss', [ $gate, $set, map { register($_->[0]) } @rows ], [ map { @$_ } @rows ]);
}

sub claim { my ($owner, @ids) = @_; return $redis->script('recovery_claim', [ $set, map { register($_) } @ids ], [ $owner, @ids ]) }

sub end_recovery {
    my ($owner, $id, $version, $stock) = @_;
    return $redis->script('recovery_end', [ $set, "product:$id:stock", register($id), "product:$id:buyers" ],
        [ $owner, $id, $version, $stock, 0, 0, 0, 0, 'open' ]);
}

sub push_row {
    my ($id, $version, $stock) = @_;
    return $redis->script('push', [ CheckoutRedis::push_keys($id) ], [ $version, $stock, 0, 0, 0, 0, 'open' ]);
}

sub order {
    my ($id) = @_;
    my $reply = $redis->script('place_order',
        [ 'order-processing-queue', $gate, 'orders:2026-11-21', 'orders:2026-11-20', CheckoutRedis::product_keys($id), "product:$id:buyers" ],
        [ 1000, '2026-11-21', $id, 'abcdef0123456789', 1, 1, 1, 0, sprintf('017f22e2-79b0-7000-8000-%012x', rand 2**32), "queued - $id 1 7 1763700000123" ]);
    return $reply->[1][1];
}

subtest 'S2: a later version proves a loss; an equal or an older one does not' => sub {
    fresh(1, 2);
    my $version = field(1, 'version');
    is_deeply look([ 1, $version ], [ 2, $version + 5 ]), [ 0, 0 ], 'nothing';
    is $r->hget($gate, 'epoch'), undef, 'no epoch is raised';
    push_row(1, 9, 7);
    is_deeply look([ 1, 8 ], [ 2, $version ]), [ 2, 0 ], 'begins';
    is field(1, 'recovering'), '- 9 7', 'with its proof';
    is_deeply [ sort $r->smembers($set) ], [ 1 ];
    is $r->hget($gate, 'epoch'), 1, 'under a new epoch';
    is $r->hget($gate, 'compare'), 1, 'and the records are to be compared';
    is_deeply look([ 1, 8 ]), [ 1 ], 'again: it goes on';
    is_deeply look([ 1, 12 ]), [ 1 ], 'also where the row has grown over the proof';
    is $r->hget($gate, 'epoch'), 1, 'and raises nothing';
    is_deeply look([ 2, '+' ]), [ 2 ], 'records alone prove it';
    is field(2, 'recovering'), '- - -';
    is_deeply look([ 3, '+' ], [ 3, 1 ]), [ 0, 0 ], 'a product that is not loaded';
    is $r->exists(register(3)), 0, 'nothing is created';
};

subtest 'S2: a product that is being recovered is closed whatever is pushed' => sub {
    fresh(1, 2);
    push_row(1, 9, 7);
    look([ 1, 8 ]);
    is_deeply push_row(1, 20, 50), [ 0 ], 'a push changes nothing';
    is field(1, 'version') . ' ' . field(1, 'stock'), '9 7', 'the proof stays';
    is order(1), 'rebuilding', 'the gate answers 503';
    is order(2), 'queued', 'others sell';
};

subtest 'S2: who claimed it last opens it' => sub {
    fresh(1);
    push_row(1, 9, 7);
    look([ 1, 8 ]);
    is_deeply claim('a', 1), [ 'a 9 7' ];
    is_deeply claim('b', 1, 5), [ 'b 9 7', undef ], 'taken over; one that is not being recovered is left out';
    is end_recovery('a', 1, 10, 7), -1, 'not by the one before';
    is field(1, 'recovering'), 'b 9 7';
    is end_recovery('b', 1, 10, 7), 1, 'opened';
    is_deeply [ $r->smembers($set) ], [];
    is field(1, 'version') . ' ' . $r->get('product:1:stock'), '10 7', 'and pushed';
    is end_recovery('b', 1, 10, 7), 0, 'again: nothing';
    is order(1), 'queued', 'it sells';
    look([ 1, 3 ]);
    is end_recovery('*', 1, 11, 6), 1, 'an operator opens it whoever has it';
};

subtest 'W8, S2: a row that is gone closes its product and keeps the proof' => sub {
    fresh(1);
    push_row(1, 9, 7);
    is $redis->script('close_gone', [ register(1) ], []), 1;
    is $redis->script('close_gone', [ register(1) ], []), 1, 'twice';
    is order(1), 'unknown_product', 'not sold';
    is field(1, 'version') . ' ' . field(1, 'stock'), '9 7', 'version and stock stay';
    look([ 1, 3 ]);
    is_deeply claim('a', 1), [ 'a 9 7 gone' ], 'the recovery knows that the row came anew';
    end_recovery('a', 1, 10, 7);
    is field(1, 'gone'), undef;
    $redis->script('close_gone', [ register(1) ], []);
    push_row(1, 11, 7);
    is field(1, 'gone') // 'none', 'none', 'a newer row takes it away too';
    is field(1, 'state'), 'open';
    is $redis->script('close_gone', [ register(4) ], []), 0, 'a product that is not loaded';
};

subtest 'law 3: another server raises the epoch, and what was read before is not settled' => sub {
    fresh(1);
    my $seen = sub { return $redis->script('server_seen', [ $gate ], [ @_ ]) };
    is $seen->('one/host/3306', 1000), 0, 'the first one';
    is $seen->('one/host/3306', 1003), 0, 'the same, as exactly as its start is known';
    is $seen->('two/host/3306', 1003), 1, 'another one';
    is $seen->('two/host/3306', 5000), 2, 'the same, started anew';
    is $r->hget($gate, 'compare'), 2, 'the records are to be compared';
    order(1);
    $r->xgroup('CREATE', 'order-processing-queue', 'checkout-worker', 0);
    my $entry = $r->xreadgroup('GROUP', 'checkout-worker', 'me', 'STREAMS', 'order-processing-queue', '>')->[0][1][0];
    my @words = ($entry->[0], 'abcdef0123456789', 1, 1, 1, 1, 0, 0, 0);
    my $settle = sub {
        return $redis->script('settle',
            [ 'order-processing-queue', $gate, 'dead-letter-queue', 'orders:2026-11-21', CheckoutRedis::product_keys(1), 'product:1:buyers' ],
            [ 'checkout-worker', 1, 1, $_[0], 5, 9, 0, 0, 0, 0, 'open', @words ]);
    };
    is $settle->(1), -1, 'of the epoch before';
    is $r->xlen('order-processing-queue') . ' ' . field(1, 'in_flight'), '1 1', 'nothing was done';
    is $settle->(2), 1, 'of this one';
};

done_testing;
