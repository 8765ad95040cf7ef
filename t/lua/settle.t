# settle, push, inspect and heartbeat by themselves, on a real Redis.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis;
use Test::More;

my $redis = CheckoutRedis->start;
my $r     = $redis->client;
my ($queue, $dead, $group, $day) = ('order-processing-queue', 'dead-letter-queue', 'checkout-worker', '2026-11-21');
my ($serial, $strays_after, $epoch) = (0, '-', 0);

sub fresh { $strays_after = '-'; $r->flushdb; $redis->load(@$_) for @_ }

# Accepts one order for each quantity in one entry, as the gate does it. Returns the identifiers.
sub enqueue {
    my ($product, $user, @quantities) = @_;
    my ($units, @ids, @args) = (0);
    for my $q (@quantities) {
        push @ids, sprintf '017f22e2-79b0-7000-8000-%012x', ++$serial;
        push @args, $ids[-1], "queued - $product $q $user 1763700000123";
        $units += $q;
    }
    my $reply = $redis->script('place_order',
        [$queue, 'gate', "orders:$day", 'orders:2026-11-20', CheckoutRedis::product_keys($product), "product:$product:buyers"],
        [1000, $day, $product, sprintf('%016x', ++$serial), scalar @ids, $units, (sort { $b <=> $a } @quantities)[0], 0, @args]);
    is $reply->[1][1], 'queued', 'accepted';
    return @ids;
}

# What was taken over, also of those in `silent`, whose beats did not change. The next call looks for strays where this one stopped.
sub beat {
    my ($me, %o) = @_;
    my $reply = $redis->script('heartbeat', [$queue, 'workers'],
        [$group, $me, '21', $o{most} // 100, $o{what} // '', $strays_after,
            map { $_ => $r->hget('workers', $_) // '' } @{ $o{silent} // [] }]);
    return $reply if !ref $reply;
    $strays_after = $reply->[0];
    return $reply->[1];
}

# Delivers what is new to a consumer: ( { id, nonce, product, units, count, … }, … )
sub take {
    my ($me) = @_;
    my $reply = $r->xreadgroup('GROUP', $group, $me, 'COUNT', 100, 'STREAMS', $queue, '>') or return;
    return map { { id => $_->[0], @{ $_->[1] } } } @{ $reply->[0][1] };
}

# Settles entries of product 1. An entry: { id, nonce, units, count } and records, buyers, dead (lists).
sub settle {
    my ($push, @entries) = @_;
    my @args = ($group, 1, 1, $epoch, @$push);
    for my $e (@entries) {
        my @lists = map { $e->{$_} // [] } qw(records buyers dead);
        push @args, @$e{qw(id nonce)}, 1, 1, @$e{qw(units count)}, @{ $lists[0] } / 2, @{ $lists[1] } / 3, @{ $lists[2] } / 3, map { @$_ } @lists;
    }
    return $redis->script('settle', [$queue, 'gate', $dead, "orders:$day", CheckoutRedis::product_keys(1), 'product:1:buyers'], \@args);
}

sub terms { my ($version, $stock) = @_; return [$version, $stock, 0, 0, 0, 0, 'open'] }

sub inspect {
    my ($most) = @_;
    my $reply = $redis->script('inspect', [$queue, $dead, 'gate', 'products', CheckoutRedis::product_keys(1)], [$most // 1, 1]);
    my %p;
    @p{qw(stock version register in_flight sum)} = @{ $reply->[3] };
    return \%p;
}

sub numbers { my %p = %{ inspect() }; return [@p{qw(stock version register in_flight sum)}] }

subtest 'an order that became a row' => sub {
    fresh([1, stock => 10]);
    my ($id) = enqueue(1, 7, 4);
    beat('a');
    my ($e) = take('a');
    is_deeply numbers(), [6, 1, 10, 4, 4];
    is settle(terms(2, 6), { %$e, records => [$id, "pending_payment - 1 4 7 1763700000123"] }), 1;
    is_deeply numbers(), [6, 2, 6, 0, 0], 'the units left flight, MySQL says what is left';
    is $r->hget("orders:$day", $id), 'pending_payment - 1 4 7 1763700000123';
    is $r->xlen($queue), 0;
    is $r->hget('gate', 'queued'), 0;
};

subtest 'W1, law 4: a failed order gives its units back once' => sub {
    fresh([1, stock => 10, per_user_limit => 5]);
    my ($id) = enqueue(1, 7, 4);
    beat('a');
    my ($e) = take('a');
    my %failed = (%$e, records => [$id, "failed out_of_stock 1 4 7 1763700000123"], buyers => [7, 4, '-']);
    is $r->hget('product:1:buyers', 7), 4;
    is settle(terms(1, 10), \%failed), 1;
    is_deeply numbers(), [10, 1, 10, 0, 0];
    is $r->hget('product:1:buyers', 7), undef;
    enqueue(1, 7, 2);
    is settle(terms(1, 10), \%failed), 0, 'a second time it is nobody\'s';
    is_deeply numbers(), [8, 1, 10, 2, 2];
    is $r->hget('product:1:buyers', 7), 2, 'the buyer\'s units are not given back twice';
};

subtest 'units of an order whose record says already that it ended' => sub {
    fresh([1, stock => 10, per_user_limit => 9]);
    for my $case ([ cancelled => 3 ], [ refund_pending => 3 ], [ queued => 0 ], [ pending_payment => 0 ], [ undef, 0 ]) {
        $r->del('product:1:buyers');
        my ($id) = enqueue(1, 7, 3);
        beat('a');
        my ($e) = take('a');
        my $said = $case->[0];
        $said ? $r->hset("orders:$day", $id, "$said - 1 3 7 1763700000123") : $r->hdel("orders:$day", $id);
        is settle(terms('-', 0), { %$e, records => [$id, 'cancelled cancelled_by_buyer 1 3 7 1763700000123'], buyers => [7, 3, $id] }), 1;
        is $r->hget('product:1:buyers', 7) // 0, $case->[1], ($said // 'no record') . ($case->[1] ? ': given back by whoever wrote that' : '');
    }
};

subtest 'the buyer holds what the record says, although settle and transition come in any order' => sub {
    fresh([1, stock => 10, per_user_limit => 9]);
    # What stands, what MySQL said when the entry was decided, what the buyer holds before and afterwards, what stands then.
    for my $case ([ paid => 'failed', 3, 3, 'paid' ], [ paid => 'cancelled', 3, 3, 'paid' ], [ completed => 'cancelled', 3, 3, 'completed' ],
        [ paid => 'refunded', 3, 0, 'refunded' ], [ pending_payment => 'failed_payment', 3, 0, 'failed_payment' ],
        [ cancelled => 'paid', 0, 3, 'paid' ], [ cancelled => 'refund_pending', 0, 0, 'refund_pending' ],
        [ cancelled => 'pending_payment', 0, 0, 'cancelled' ], [ queued => 'paid', 3, 3, 'paid' ], [ undef, 'pending_payment', 3, 3, 'pending_payment' ],
        [ undef, 'cancelled', 3, 0, 'cancelled' ], [ refunded => 'paid', 0, 0, 'refunded' ])
    {
        my ($stands, $said, $before, $after, $then) = @$case;
        $r->del('product:1:buyers');
        my ($id) = enqueue(1, 7, 3);
        beat('a');
        my ($e) = take('a');
        $stands ? $r->hset("orders:$day", $id, "$stands - 1 3 7 1763700000123") : $r->hdel("orders:$day", $id);
        $r->hset('product:1:buyers', 7, $before);
        my $push = terms('-', 0);
        $push->[4] = 9;    # the limit
        is settle($push, { %$e, records => [$id, "$said x 1 3 7 1763700000123"], buyers => [7, 3, $id] }), 1;
        is $r->hget('product:1:buyers', 7) // 0, $after, 'stood ' . ($stands // 'none') . ", settled as $said";
        like $r->hget("orders:$day", $id), qr/^$then /, "then $then stands";
    }
};

subtest 'W21: a stream id handed out twice' => sub {
    fresh([1, stock => 10]);
    enqueue(1, 7, 4);
    beat('a');
    my ($e) = take('a');
    $r->hset('product:1:register', 'version', 1);
    is settle(terms('-', 0), { %$e, nonce => 'another' }), 0;
    is_deeply numbers(), [6, 1, 10, 4, 4], 'the other job is not touched';
    is $r->xlen($queue), 1;
};

subtest 'W17: versions settled in reverse order, stock below what is in flight' => sub {
    fresh([1, stock => 10]);
    enqueue(1, 7, 1); enqueue(1, 7, 2);
    beat('a');
    my @e = take('a');
    is settle(terms(3, 7), $e[1]), 1;
    is_deeply numbers(), [6, 3, 7, 1, 1], 'fewer than there are, never more';
    is settle(terms(2, 9), $e[0]), 1;
    is_deeply numbers(), [7, 3, 7, 0, 0], 'the older version is ignored';
    enqueue(1, 7, 5);
    is $redis->load(1, version => 4, stock => 3), 1;
    is_deeply numbers(), [0, 4, 3, 5, 5], 'never negative';
};

subtest 'W18: settle creates nothing' => sub {
    fresh([1, stock => 10]);
    my ($id) = enqueue(1, 7, 4);
    beat('a');
    my ($e) = take('a');
    $r->del('product:1:register', 'product:1:stock', "orders:$day", 'gate');
    is settle(terms(2, 6), { %$e, records => [$id, 'failed x 1 4 7 1'], buyers => [7, 4, '-'] }), 1;
    is_deeply [sort grep { !/queue|workers/ } $r->keys('*')], ['products'], 'the set was there before';
};

subtest 'W18, G10: a register made anew counts what is in flight' => sub {
    fresh([1, stock => 100]);
    enqueue(1, 7, 50); enqueue(1, 7, 10);
    $r->del('product:1:register', 'product:1:stock');
    is $redis->load(1, version => 1, stock => 100, create => 0), -1, 'a push creates nothing';
    is $redis->load(1, version => 1, stock => 100), 1;
    is_deeply numbers(), [40, 1, 100, 60, 60];
    is $redis->load(1, version => 1, stock => 500), 0, 'the same version changes nothing';
    is_deeply numbers(), [40, 1, 100, 60, 60];
};

subtest 'recount corrects in_flight, dead letters count' => sub {
    fresh([1, stock => 100]);
    my ($good, $bad) = enqueue(1, 7, 3, 5);
    enqueue(1, 7, 2);
    beat('a');
    my ($e) = take('a');
    is settle(terms(2, 97), { %$e, units => 3, records => [$good, 'pending_payment - 1 3 7 1'],
                              dead => [5, 'Data too long', "$bad queued - 1 5 7 1763700000123"] }), 1;
    is_deeply numbers(), [90, 2, 97, 7, 7], 'the units of the dead letter are not released';
    my %letter = @{ $r->xrange($dead, '-', '+')->[0][1] };
    is_deeply { %letter, nonce => '' }, { nonce => '', product => 1, units => 5, count => 1, day => $day, reason => 'Data too long',
                                          entry => $e->{id}, orders => "$bad queued - 1 5 7 1763700000123" };
    is $r->hget('gate', 'queued'), 1;
    $r->hset('product:1:register', 'in_flight', 70);
    is $redis->load(1, version => '-', stock => 0, recount => 1), 0;
    is_deeply numbers(), [90, 2, 97, 7, 7];
    is inspect(0)->{sum}, -1, 'not summed unless asked';
};

subtest 'settle works while Redis is full' => sub {
    fresh([1, stock => 10]);
    my ($id) = enqueue(1, 7, 4);
    beat('a');
    my ($e) = take('a');
    $r->config_set('maxmemory', '1');
    my $settled = eval { settle(terms(2, 6), { %$e, records => [$id, 'pending_payment - 1 4 7 1'] }) };
    beat('a');
    $r->config_set('maxmemory', '0');
    is $settled, 1, $@;
    is_deeply numbers(), [6, 2, 6, 0, 0];
};

subtest 'W4: a dead consumer\'s entries are taken over, a live one\'s are not' => sub {
    fresh([1, stock => 10]);
    enqueue(1, 7, 1);
    beat('a');
    my ($e) = take('a');
    is_deeply beat('b'), [], 'a is alive';
    my $taken = beat('b', silent => ['a']);
    is $taken->[0][0], $e->{id};
    is_deeply [map { $_->[1] } grep { $_->[0] eq $e->{id} } map { [$_->[0], $_->[1]] } @{ $r->xpending($queue, $group, '-', '+', 10) }], ['b'];
    beat('b', silent => ['a']);
    is_deeply [map { my %c = @$_; $c{name} } @{ $r->xinfo('CONSUMERS', $queue, $group) }], ['b'], 'a, without entries, is removed';
};

subtest 'S11: only an unchanged beat is taken for dead, whatever this server\'s clock says' => sub {
    fresh([1, stock => 10]);
    enqueue(1, 7, 1);
    beat('a');
    like $r->hget('workers', 'a'), qr/^\d{13}\.21$/, 'ms for workers of the release before, release and MySQL behind';
    take('a');
    $r->hset('workers', 'a', '1.21');
    is_deeply beat('b'), [], 'an old time is no death';
    my @call = ($group, 'b', '21', 100, '', '-');
    is_deeply $redis->script('heartbeat', [$queue, 'workers'], [@call, 'a', '2.21'])->[1], [], 'nor is a beat that changed since';
    is scalar @{ $redis->script('heartbeat', [$queue, 'workers'], [@call, 'a', '1.21'])->[1] }, 1, 'the one that was seen is';

    $r->hdel('workers', 'b');
    is_deeply beat('c'), [], 'who has no beat is not dead for it';
    is scalar @{ beat('c', silent => ['b']) }, 1, 'but once he was silent for long';
    $r->hset('workers', 'ghost', '5.21', 'lease:audit', 'c 1');
    my %beats = @{ $redis->script('heartbeat', [$queue, 'workers'], [$group, 'a', '20', 0, 'look', '-'])->[2] };
    is_deeply [ sort keys %beats ], [ 'a', 'c', 'ghost' ], 'all beats are told, and no lease';
    beat('c', silent => ['ghost', 'c']);
    is_deeply [ sort $r->hkeys('workers') ], [ 'a', 'c', 'lease:audit' ], 'beats of nobody go, one\'s own stays';
};

subtest 'S12: deaths are counted to what was in hand' => sub {
    fresh([1, stock => 10]);
    enqueue(1, 7, 1) for 1 .. 3;
    beat('a');
    my @e = map { $_->{id} } take('a');
    my $died = sub {
        my ($from, $to) = @_;
        $r->hset('workers', "batch:$from", "$e[0] $e[2] 5-5");
        beat($to, silent => [$from]);
        is $r->hget('workers', "batch:$from"), undef, 'counted once';
        return { split ' ', $r->hget('workers', 'deaths') // '' };
    };
    is_deeply $died->('a', 'b'), { $e[0] => 1, $e[2] => 1 }, 'of what was pending for it alone';
    is_deeply $died->('x', 'b'), { $e[0] => 1, $e[2] => 1 }, 'nothing was pending for this one';
    $died->(@$_) for [ 'b', 'a' ], [ 'a', 'b' ], [ 'b', 'a' ];
    my $join = sub { return $redis->script('heartbeat', [$queue, 'workers'], [$group, 'a', '21', 100, 'join', '-'])->[3] };
    is_deeply $join->(), [], 'four deaths are no suspicion';
    $r->hset('workers', 'batch:a', $e[0]);
    is_deeply $join->(), [ $e[0] => 5 ], 'who joins with something in hand died before, and the fifth is told';
    $r->hset('workers', 'batch:a', $e[0]);
    beat('a', what => 'leave');
    is_deeply { split ' ', $r->hget('workers', 'deaths') }, { $e[0] => 5, $e[2] => 4 }, 'who leaves did not die';
    $r->xack($queue, $group, $e[0]);
    $r->xdel($queue, $e[0]);
    beat('b');
    is $r->hget('workers', 'deaths'), "$e[2] 4", 'what has left the queue is forgotten';
};

subtest 'W11: an entry deleted under a dead consumer is reported' => sub {
    fresh([1, stock => 10]);
    enqueue(1, 7, 1); enqueue(1, 7, 1);
    beat('a');
    my @e = take('a');
    $r->xdel($queue, $e[0]{id});
    my $taken = beat('b', silent => ['a']);
    is_deeply [map { $_->[0] } @$taken], [map { $_->{id} } @e];
    is $taken->[0][1], undef, 'the lost one has no fields';
    ok $taken->[1][1], 'the other has';
};

subtest 'a register that holds no number takes the same version again' => sub {
    fresh([1, stock => 10]);
    $r->hset('product:1:register', 'stock', 'ten');
    is $redis->load(1, version => 1, stock => 10, create => 0), 1;
    is_deeply numbers(), [10, 1, 10, 0, 0];
    $r->hset('product:1:register', 'version', 'x', 'in_flight', 'y');
    is $redis->load(1, version => 1, stock => 10, create => 0, recount => 1), 1;
    is_deeply numbers(), [10, 1, 10, 0, 0];
};

subtest 'W10: who leaves hands back what it holds at once' => sub {
    fresh([1, stock => 10]);
    enqueue(1, 7, 1);
    beat('a');
    take('a');
    beat('a', what => 'leave');
    is $r->hget('workers', 'a'), 0, 'its beat says so, also to workers that read it as a time';
    is scalar @{ beat('b') }, 1;
    is $r->hget('workers', 'a'), undef, 'and goes with it';
    beat('b', what => 'leave');
    is_deeply [$r->hgetall('workers')], [b => 0];
    is $r->xpending($queue, $group)->[0], 1, 'still pending: nothing is lost';
};

subtest 'W11, W21: group missing, consumer deleted by hand' => sub {
    fresh([1, stock => 10]);
    enqueue(1, 7, 1); enqueue(1, 7, 1);
    beat('a');
    is scalar take('a'), 2;
    $r->xgroup('DELCONSUMER', $queue, $group, 'a');
    is scalar @{ beat('b') }, 2, 'entries that are pending nowhere are claimed';
    is_deeply beat('b'), [], 'once';
    $r->xgroup('DESTROY', $queue, $group);
    beat('b');
    is scalar take('b'), 2, 'the group is made anew at 0';
    $r->flushdb;
    beat('b');
    is $r->exists($queue), 1, 'an empty Redis gets queue and group';
    is $r->exists('gate'), 0;
};

subtest 'a stray behind many entries that stay pending' => sub {
    fresh([1, stock => 100]);
    beat('a');
    enqueue(1, 7, 1) for 1 .. 40;
    take('a');
    enqueue(1, 7, 1);
    my ($stray) = take('b');
    $r->xgroup('DELCONSUMER', $queue, $group, 'b');
    is_deeply [ map { [ map { $_->[0] } @{ beat('a') } ] } 1 .. 5 ], [ [], [], [ $stray->{id} ], [], [] ],
        'three calls of sixteen come to it, and they begin again';
    $r->xgroup('DELCONSUMER', $queue, $group, 'a');
    is_deeply [ map { scalar @{ beat('c', most => $_) } } 3, 3, 100, 100, 100, 100 ], [ 3, 3, 3, 16, 16, 0 ], 'no more than asked for';
};

subtest 'a consumer that died in the middle of its entries is not removed' => sub {
    fresh([1, stock => 10]);
    enqueue(1, 7, 1) for 1 .. 3;
    beat('a');
    take('a');
    is scalar @{ beat('b', silent => ['a'], most => 2) }, 2;
    is scalar @{ $r->xinfo('CONSUMERS', $queue, $group) }, 2;
    is scalar @{ beat('b', silent => ['a'], most => 2) }, 1;
};

done_testing;
