# Reads with a primary and two real replicas, through nginx.conf.example as `make up` makes it: a replica that is stopped, that is
# three seconds late, that accepts and stays silent.
use strict;
use utf8;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use CheckoutStack;
use JSON::PP;
use List::Util qw(max);
use Suspend;
use Test::More;
use Time::HiRes qw(sleep time);

my $TIMEOUT = 2;        # checkout_timeout of the example
my $DELAY   = 3;
my @MYSQL   = qw(MYSQL_PID MYSQL_REPLICA_PID MYSQL_REPLICA2_PID);
my $serial  = 0;

binmode $_, ":encoding(UTF-8)" for Test::More->builder->output, Test::More->builder->failure_output;

my $stack = CheckoutStack->start;
$stack->add_product($_, 1000) for 1 .. 3;

sub get { my ($path, %headers) = @_; return $stack->request('GET', $path, undef, %headers) }
sub data_of { return decode_json($_[0]{body})->{data} }

sub pids { my (@names) = @_; return @{ $stack->{env} }{@names} }

# Past the cache: no page is asked for twice.
sub uncached { return '/api/products?page=' . ++$serial }
sub search { return get("/api/products?per_page=50&search=$_[0]") }

# Every request once over four connections, and how long the longest of them took together.
sub burst_of {
    my ($connections, @requests) = @_;
    my $begin   = time;
    my @answers = HttpBurst::burst(port => $stack->{port}, connections => $connections, requests => \@requests);
    my %count;
    $count{ $_->{status} }++ for @answers;
    return (\%count, time - $begin);
}

sub well_again {
    my $good = 0;
    ok(CheckoutStack::wait_until(sub { $good = get(uncached())->{status} == 200 ? $good + 1 : 0; $good == 10 }), 'reads are well again');
}

sub in_step { $stack->wait_replica($_) or die "$_ does not follow\n" for qw(replica replica2) }

# nginx leaves a server alone for that long after it failed; it counts whole seconds.
sub wait_fail_timeout { sleep 6.2 }

in_step();

subtest 'R1: replicas are late: an order that was accepted is never 404' => sub {
    $stack->delay_replica($_, $DELAY) for qw(replica replica2);
    my $user   = 4242;
    my $answer = $stack->place(1, 2, $user);
    is($answer->{status}, 202);
    my $identifier = $answer->{data}{order_identifier};
    my ($until, %statuses, %states) = time + $DELAY + 1.5;
    while (time < $until) {
        my $read = get("/api/orders/$identifier");
        $statuses{ $read->{status} }++;
        $states{ data_of($read)->{status} }++ if $read->{status} == 200;
        sleep 0.02;
    }
    is_deeply([ keys %statuses ], [200], 'asked for all the time: always there');
    is_deeply([ grep { !/^(queued|pending_payment)$/ } keys %states ], [], 'queued, then waiting for its payment');
    ok($states{pending_payment}, 'and it was made');
    my $order = data_of(get("/api/orders/$identifier"));
    is_deeply([ map { [ @$_{qw(product_id quantity unit_price)} ] } @{ $order->{items} } ], [ [ 1, 2, '19.80' ] ], 'its item, from MySQL');
    is($order->{total_price}, '39.60', 'its price');
};

subtest 'R1: replicas are late: who has just bought reads his own order' => sub {
    my $user   = 4343;
    my $answer = $stack->place(2, 1, $user);
    my $identifier = $answer->{data}{order_identifier};
    my ($cookie) = $answer->{headers}{'set-cookie'} =~ /^(checkout_sticky=\d+)/;
    $stack->wait_drained;
    my $begin = time;
    my $own = data_of(get("/api/orders?user_id=$user", Cookie => $cookie));
    is_deeply([ map { $_->{order_identifier} } @$own ], [$identifier], 'in his list, by his cookie');
    my $same = data_of(get("/api/orders?user_id=$user", 'Checkout-Sticky' => $answer->{headers}{'checkout-sticky'}));
    is(@$same, 1, 'and by the header');
    my $others = data_of(get("/api/orders?user_id=$user"));
    cmp_ok(time - $begin, '<', patient($DELAY), 'in time for the next');
    is_deeply($others, [], 'who has no cookie reads from a replica');
    ok(CheckoutStack::wait_until(sub { @{ data_of(get("/api/orders?user_id=$user")) } == 1 }, $DELAY + 3), 'until that has it, too');
    is(decode_json(get('/api/get-db-stock/2')->{body})->{db_stock}, 999, 'get-db-stock is the primary\'s');
    $stack->delay_replica($_, 0) for qw(replica replica2);
    in_step();
};

subtest 'R1: a replica is stopped, the other one answers' => sub {
    ok($stack->end_process('TERM', $stack->{env}{MYSQL_REPLICA_PID}), 'it ends');
    my ($count, $took) = burst_of(4, map { [ 'GET', uncached() ] } 1 .. 200);
    is_deeply($count, { 200 => 200 }, 'every read is answered');
    is(get("/api/orders?user_id=4242")->{status}, 200, 'lists of orders, too');
    is(get('/readyz')->{status}, 200, 'one reachable replica is enough to be ready');
    $stack->start_server('replica');
    in_step();
    wait_fail_timeout();
};

subtest 'R2: a replica accepts and stays silent, the other one answers' => sub {
    get(uncached()) for 1 .. 20;    # both have connections in the pool
    Suspend::stop(pids('MYSQL_REPLICA2_PID'));
    my ($count, $took) = burst_of(4, map { [ 'GET', uncached() ] } 1 .. 100);
    is_deeply($count, { 200 => 100 }, 'every read is answered');
    cmp_ok($took, '<', patient(4 * $TIMEOUT), 'after the first ones it is left alone');
    Suspend::go_on(pids('MYSQL_REPLICA2_PID'));
    well_again();
};

# 200 orders for product 3 while readers wait for their time-outs: how long the orders took, and the slowest.
sub orders_beside_readers {
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        HttpBurst::burst(port => $stack->{port}, connections => 40, requests => [ map { [ 'GET', "/api/products?search=$$-$_" ] } 1 .. 120 ]);
        POSIX::_exit(0);
    }
    sleep 0.2;
    my ($slowest, %count) = 0;
    my $begin = time;
    for (1 .. 200) {
        my $from = time;
        $count{ $stack->place(3, 1, $_)->{status} }++;
        $slowest = max($slowest, time - $from);
    }
    my $took = time - $begin;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return (\%count, $took, $slowest);
}

sub reads_fail_in_time {
    my ($name, $wanted) = @_;
    my (@took, %count);
    for (1 .. 5) {
        my $begin = time;
        $count{ get(uncached())->{status} }++;
        push @took, time - $begin;
    }
    is((grep { !/$wanted/ } keys %count), 0, "$name: " . join ' ', map {"$_ ($count{$_})"} sort keys %count);
    cmp_ok(max(@took), '<', patient($TIMEOUT + 0.7), 'within the time-out');
}

subtest 'R2: all replicas are stopped' => sub {
    $stack->end_process('TERM', $stack->{env}{$_}) for qw(MYSQL_REPLICA_PID MYSQL_REPLICA2_PID);
    reads_fail_in_time('products', qr/^50[24]$/);
    my $ready = get('/readyz');
    is($ready->{status}, 503, '/readyz says so');
    is_deeply(decode_json($ready->{body})->{failed}, ['replica']);
    my ($count, $took, $slowest) = orders_beside_readers();
    is_deeply($count, { 202 => 200 }, 'the gate sells');
    cmp_ok($slowest, '<', patient(0.5), 'no order waits for it');
    my $answer = $stack->place(1, 1);
    $stack->wait_drained;
    is(data_of(get("/api/orders/$answer->{data}{order_identifier}"))->{status}, 'pending_payment', 'an order can be asked for');
    $stack->start_server($_) for qw(replica replica2);
    in_step();
    well_again();
};

subtest 'R2: every MySQL server accepts and stays silent' => sub {
    get(uncached()) for 1 .. 20;
    Suspend::stop(pids(@MYSQL));
    reads_fail_in_time('products', qr/^50[24]$/);
    my $begin = time;
    like(get('/api/get-db-stock/1')->{status}, qr/^50[24]$/, 'get-db-stock');
    cmp_ok(time - $begin, '<', patient($TIMEOUT + 0.7), 'within the time-out');
    my ($count, $took, $slowest) = orders_beside_readers();
    is_deeply($count, { 202 => 200 }, 'the gate sells');
    cmp_ok($slowest, '<', patient(0.5), 'no order waits for it');
    my $answer = $stack->place(1, 1);
    $begin = time;
    my $read = get("/api/orders/$answer->{data}{order_identifier}");
    is($read->{status}, 200, 'an order that was accepted is there');
    is(data_of($read)->{status}, 'queued');
    cmp_ok(time - $begin, '<', patient(0.5), 'at once, from the gate');
    Suspend::go_on(pids(@MYSQL));
    well_again();
    $stack->wait_drained;
    is(data_of(get("/api/orders/$answer->{data}{order_identifier}"))->{status}, 'pending_payment', 'and it became an order');
};

subtest 'R2: every MySQL server is stopped' => sub {
    $stack->end_process('TERM', $stack->{env}{$_}) for reverse @MYSQL;
    reads_fail_in_time('products', qr/^502$/);
    my ($count, $took, $slowest) = orders_beside_readers();
    is_deeply($count, { 202 => 200 }, 'the gate sells');
    cmp_ok($slowest, '<', patient(0.5), 'no order waits for it');
    $stack->start_server($_) for qw(mysql replica replica2);
    well_again();
};

subtest 'R3: what is no number, no text, or too much' => sub {
    my $rows = @{ data_of(get('/api/products?per_page=100')) };
    is($rows, 3, 'three products');
    my %long = (id => '9' x 4096, search => 'x' x 4096, user => '1' x 4096);
    for my $bad ("'%20OR%201=1%20--%20", '1%20OR%201=1', '%00', '1%00', '%ff%fe', '-1', '1.5', $long{id}) {
        my $name = length $bad > 40 ? 'very much' : $bad;
        like(get("/api/products/$bad")->{status}, qr/^4/, "as a product: $name");
        like(get("/api/get-db-stock/$bad")->{status}, qr/^4/, "as stock: $name");
        like(get("/api/orders/$bad")->{status}, qr/^4/, "as an order: $name");
        like(get("/api/orders?user_id=$bad")->{status}, qr/^4/, "as a user: $name");
        like(get("/api/products?page=$bad")->{status}, qr/^4/, "as a page: $name");
        like(get("/api/products?per_page=$bad")->{status}, qr/^4/, "as a size of pages: $name");
        my $search = get("/api/products?search=$bad");
        my $found  = $search->{status} == 200 ? @{ data_of($search) } : 0;
        like($search->{status}, qr/^(200|4..)$/, "as a search: $name: $search->{status}");
        is($found, 0, 'no row') if $bad =~ /OR/;
    }
    my $path = '/api/products?search=' . 'x' x 65536;
    like(get($path)->{status}, qr/^4/, '64 KB');
    is(get('/api/products?per_page=101')->{status}, 422, 'more than the most');
    is($stack->value('SELECT COUNT(*) FROM products'), 3, 'and all products stand');
};

subtest 'R4: names of all kinds' => sub {
    my $name = qq(It's "quoted", \\ back, 50% _off_ 茶壺 🫖\ttab);
    $stack->do('UPDATE products SET name = ?, description = NULL WHERE id = 2', $name);
    in_step();
    my $product = data_of(get('/api/products/2?fresh'));
    CheckoutStack::wait_until(sub { $product = data_of(get('/api/products/2')); $product->{name} ne 'Product 2' }, 5);
    is($product->{name}, $name, 'exactly');
    is($product->{description}, undef, 'NULL');
    is($product->{price}, '19.80', 'DECIMAL is text');
    my @found = map { map { $_->{id} } @{ data_of(search($_)) } }
        '%E8%8C%B6%E5%A3%BA', '50%25', '%F0%9F%AB%96';
    is_deeply(\@found, [ 2, 2, 2 ], 'found by parts of it');
    is(@{ data_of(search('%25%25')) }, 0, 'a percent sign is a percent sign');
};

$stack->laws_hold;
done_testing;
