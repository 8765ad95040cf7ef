# POST /api/orders/<identifier>/cancel: P3 and P10 through nginx.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use CheckoutStack;
use HttpBurst;
use JSON::PP;
use PaymentEvents;
use POSIX qw(strftime);
use Suspend;
use Test::More;

my $stack = CheckoutStack->start;
my $events = PaymentEvents->new(sub { $stack->do(@_) });

sub cancel {
    my ($id, @more) = @_;
    my $answer = $stack->request('POST', "/api/orders/$id/cancel", @more);
    $answer->{data} = eval { decode_json($answer->{body} // '') } // {};
    return $answer;
}

sub new_order {
    my ($product, $quantity, $user) = @_;
    return $stack->place($product, $quantity // 1, $user // 1)->{data}{order_identifier};
}

sub row { return $stack->value("SELECT CONCAT_WS(' ', status, failure_code) FROM orders WHERE order_identifier = ?", $_[0]) // 'none' }
sub soon { my ($condition, $name) = @_; ok(CheckoutStack::wait_until($condition, 8), $name) }

subtest 'an order that waits for its payment' => sub {
    $stack->add_product(1, 10, '--per-user-limit', 3);
    my $id = new_order(1, 3, 7);
    $stack->wait_drained;
    is($stack->place(1, 1, 7)->{status}, 403, 'the buyer has what one may have');
    my $answer = cancel($id);
    is($answer->{status}, 200);
    my $order = $answer->{data}{data};
    is($order->{order_identifier}, $id);
    is($order->{status}, 'cancelled');
    is($order->{failure_code}, 'cancelled_by_buyer');
    is($order->{total_price}, '59.40', 'as a read shows it');
    is(row($id), 'cancelled cancelled_by_buyer');
    is($stack->db_stock(1), 10);
    is($stack->redis_stock(1), 10, 'the gate knows at once');
    is($stack->place(1, 3, 7)->{status}, 202, 'the buyer may buy again');
    is(cancel($id)->{status}, 200, 'again: the same');
    is($stack->value('SELECT COUNT(*) FROM stock_movements WHERE order_identifier = ?', $id), 1, 'and nothing more');
    is($stack->order_status($id)->{status}, 'cancelled', 'its status says so');
    $stack->wait_drained;
};

subtest 'a gate that forgot its record, or its scripts' => sub {
    $stack->add_product(9, 10, '--per-user-limit', 3);
    my $id = new_order(9, 3, 7);
    $stack->wait_drained;
    my ($bucket) = $stack->redis->keys('orders:*');
    $stack->redis->hdel($_, $id) for $stack->redis->keys('orders:*');
    $stack->redis->script('flush');
    is(cancel($id)->{status}, 200);
    soon(sub { !defined $stack->redis->hget('product:9:buyers', 7) }, 'the units come back, though the script had to be sent again');
    my $strange = '01a1fc4d-a3c0-7000-a938-43790cd90f5b';
    $stack->redis->hset($bucket, $strange, 'paid - 9 1 7 1763700000123');
    is(cancel($strange)->{status}, 503, 'a record that says paid and has no row: nobody knows');
    is(row($strange), 'none', 'and nothing is made up');
    $stack->redis->hdel($bucket, $strange);
};

subtest 'refusals' => sub {
    $stack->add_product(2, 10);
    my $id = new_order(2);
    $stack->wait_drained;
    $events->add(succeeded => $id);
    soon(sub { row($id) eq 'paid' }, 'it is paid');
    my $answer = cancel($id);
    is($answer->{status}, 409);
    is($answer->{data}{code}, 'not_cancellable');
    is($answer->{data}{status}, 'paid', 'it says why');
    is(row($id), 'paid');
    is(cancel('01a1fc4d-a3c0-7000-a938-43790cd90f5a')->{status}, 404, 'no such order');
    is(cancel('01a1fc4d-a3c0-7000-a938-43790cd90f5a')->{data}{code}, 'order_not_found');
    is(cancel('x%27%20OR%201=1%20--')->{status}, 404, 'no identifier');
    is($stack->request('GET', "/api/orders/$id/cancel")->{status}, 405);
    is(cancel($id, '{"a":1}')->{status}, 409, 'a body does not matter');
};

subtest 'P10: while it waits in the queue' => sub {
    $stack->add_product(3, 10, '--per-user-limit', 5);
    $stack->end_workers;
    my $id = new_order(3, 4, 9);
    my $answer = cancel($id);
    is($answer->{status}, 200);
    is($answer->{data}{data}{status}, 'cancelled');
    is($stack->order_status($id)->{status}, 'cancelled', 'its status says so');
    is(cancel($id)->{status}, 200, 'again');
    is($stack->redis_stock(3), 6, 'in flight until a worker has seen it');
    $stack->start_server('worker');
    $stack->wait_drained;
    soon(sub { $stack->redis_stock(3) == 10 }, 'all units are back');
    is($stack->redis->hget('product:3:buyers', 9), undef, 'the buyer\'s too');
    is(row($id), 'cancelled cancelled_by_buyer');
    is($stack->live_orders(3), 0);
};

subtest 'P10: an order that another clock, ahead of this one, has dated tomorrow' => sub {
    $stack->add_product(19, 10);
    $stack->end_workers;
    my $id = new_order(19, 4, 9);
    my ($today, $tomorrow) = map { strftime('orders:%Y-%m-%d', gmtime(time + 86400 * $_)) } 0, 1;
    $stack->redis->rename($today, $tomorrow);
    is($stack->order_status($id)->{status}, 'queued', 'it is known');
    is(cancel($id)->{status}, 200);
    like($stack->redis->hget($tomorrow, $id), qr/^cancelled /, 'its record says so');
    is(cancel($id)->{status}, 200, 'again');
    $stack->redis->rename($tomorrow, $today);
    $stack->start_server('worker');
    $stack->wait_drained;
    soon(sub { $stack->redis_stock(19) == 10 }, 'all units are back');
    is(row($id), 'cancelled cancelled_by_buyer');
};

subtest 'P10: cancelled while workers take them off the queue' => sub {
    $stack->add_product(4, 1000);
    $stack->start_server('worker');
    my (@ids, %status, %outcome);
    for my $round (1 .. 8) {
        my @placed = HttpBurst::burst(port => $stack->{port}, connections => 16,
            requests => [ map { [ 'POST', '/api/place-order', CheckoutStack::order_json(4, 1, $_) ] } 1 .. 40 ]);
        $stack->note_accepted($_) for @placed;
        my @now = map { $_->{data}{order_identifier} } grep { $_->{status} == 202 } @placed;
        my @answers = HttpBurst::burst(port => $stack->{port}, connections => 16,
            requests => [ map { [ 'POST', "/api/orders/$_/cancel" ] } @now ]);
        $status{ $_->{status} }++ for @answers;
        push @ids, @now;
    }
    is_deeply(\%status, { 200 => 320 }, 'each was cancelled');
    $stack->wait_drained;
    $outcome{ row($_) }++ for @ids;
    is_deeply(\%outcome, { 'cancelled cancelled_by_buyer' => 320 }, 'exactly one outcome');
    is($stack->db_stock(4), 1000);
    note($stack->value("SELECT COUNT(*) FROM orders o WHERE product_id = 4 AND NOT EXISTS
        (SELECT 1 FROM order_items i WHERE i.order_identifier = o.order_identifier)") . ' of them in the queue');
    # Whoever comes next expects one worker.
    $stack->end_workers;
    $stack->start_server('worker');
};

# An nginx of the test's own, which knows who asks.
subtest 'only the buyer may' => sub {
    my $env = $stack->{env};
    my $nginx = CheckoutTest::Nginx->start(<<'END', http => <<"HTTP");
    location ~ ^/cancel/(?<order>[^/]+)$ { checkout_user $arg_me; checkout_cancel_order $order; }
    location ~ ^/paged/(?<order>[^/]+)$ { checkout_cancel_order $order; error_page 404 409 = @page; }
    location @page { return 499 "a page for $checkout_code"; }
    location = /metrics { checkout_metrics; }
END
    upstream primary { server unix:$env->{MYSQL_SOCKET}; }
    checkout_zone checkout:1m;
    checkout_redis 127.0.0.1:$env->{REDIS_PORT} database=$env->{REDIS_DB};
    checkout_mysql database=$env->{MYSQL_DATABASE} user=$env->{MYSQL_USER} password_file=$stack->{dir}/mysql.password;
    checkout_primary primary;
    checkout_sticky 5s;
HTTP
    my $ask = sub { my ($id, $me) = @_; return $nginx->request('POST', "/cancel/$id?me=$me") };
    $stack->add_product(6, 10);
    my ($id, $other) = (new_order(6, 1, 42), new_order(6, 1, 42));
    $stack->wait_drained;
    is($ask->($id, '')->{status}, 401, 'nobody');
    is($ask->($id, 'x')->{status}, 401, 'no user id');
    is($ask->($id, 43)->{status}, 404, 'another one');
    $stack->redis->hdel($_, $other) for $stack->redis->keys('orders:*');
    is($ask->($other, 43)->{status}, 404, 'another one, and the gate has forgotten the order');
    is(row($_), 'pending_payment', 'nothing happened') for $id, $other;
    my $answer = $ask->($id, 42);
    is($answer->{status}, 200, 'the buyer');
    like($answer->{headers}, qr/^Checkout-Sticky: \d+/mi, 'who reads from the primary now');
    is($ask->($other, 42)->{status}, 200, 'also of an order that only MySQL knows');
    is(row($_), 'cancelled cancelled_by_buyer') for $id, $other;
    like($nginx->get('/metrics')->{body}, qr/^checkout_cancels_total\{outcome="cancelled"\} 2\ncheckout_cancels_total\{outcome="refused"\} 4$/m,
        'it is counted');
    is($nginx->request('POST', '/paged/01a1fc4d-a3c0-7000-a938-43790cd90f5a')->{body}, 'a page for order_not_found', 'a page of its own for refusals');
    $stack->do("UPDATE orders SET status = 'failed_payment' WHERE order_identifier = ?", $id);
    is($nginx->request('POST', "/paged/$id")->{body}, 'a page for not_cancellable', 'which the primary decided');
    $stack->do("UPDATE orders SET status = 'cancelled' WHERE order_identifier = ?", $id);
};

subtest 'Redis or MySQL is away' => sub {
    $stack->add_product(5, 10);
    my ($id, $other) = (new_order(5), new_order(5));
    $stack->wait_drained;
    Suspend::stop($stack->{env}{MYSQL_PID});
    my $answer = cancel($id);
    Suspend::go_on($stack->{env}{MYSQL_PID});
    like($answer->{status}, qr/^50[234]$/, 'MySQL: an error in time');
    is(cancel($id)->{status}, 200, 'and it can be asked again');
    soon(sub { row($id) eq 'cancelled cancelled_by_buyer' }, 'once');
    Suspend::stop($stack->{env}{REDIS_PID});
    $answer = cancel($other);
    Suspend::go_on($stack->{env}{REDIS_PID});
    is($answer->{status}, 503, 'S6: Redis: whether MySQL is right cannot be known');
    is(row($other), 'pending_payment', 'nothing was changed');
    soon(sub { cancel($other)->{status} == 200 }, 'and it can be asked again');
    soon(sub { $stack->redis_stock(5) == 10 }, 'the stock follows');
    is($stack->value("SELECT COUNT(*) FROM stock_movements WHERE product_id = 5 AND kind = 'cancel'"), 2);
};

subtest 'Redis is silent: it is said that nothing was changed' => sub {
    my $env = $stack->{env};
    my $silent = CheckoutTest::FakeRedis->start(sub { sleep 15 });
    my $nginx = CheckoutTest::Nginx->start('location ~ ^/cancel/(?<order>[^/]+)$ { checkout_cancel_order $order; }', http => <<"HTTP");
    upstream primary { server unix:$env->{MYSQL_SOCKET}; }
    checkout_redis 127.0.0.1:@{[ $silent->port ]};
    checkout_mysql database=$env->{MYSQL_DATABASE} user=$env->{MYSQL_USER} password_file=$stack->{dir}/mysql.password;
    checkout_primary primary;
    checkout_timeout 1800ms;
HTTP
    $stack->add_product(7, 10);
    my $id = new_order(7);
    $stack->wait_drained;
    is($nginx->request('POST', "/cancel/$id")->{status}, 503, 'not 504, by which nobody knows');
    is(row($id), 'pending_payment', 'nothing was changed');
    is(cancel($id)->{status}, 200, 'later');
    soon(sub { $stack->redis_stock(7) == 10 }, 'the stock follows');
    $nginx->stop('TERM');
};

subtest 'S2: an order of which the gate knows more than MySQL is not cancelled' => sub {
    $stack->add_product(8, 10);
    my ($paid, $other, $closed) = map { new_order(8) } 1 .. 3;
    $stack->wait_drained;
    soon(sub { !grep { $stack->redis->hget($_, $paid) !~ /^pending_payment/ } $stack->redis->keys('orders:*') }, 'known');
    my ($bucket) = $stack->redis->keys('orders:*');
    my $record = $stack->redis->hget($bucket, $paid);
    $stack->redis->hset($bucket, $paid, $record =~ s/^pending_payment/paid/r);
    is(cancel($paid)->{status}, 503, 'its record says that it was paid');
    is(row($paid), 'pending_payment', 'nothing was changed');
    $stack->redis->hset($bucket, $paid, $record);
    $stack->redis->hset('product:8:register', 'recovering', '- - -');
    is(cancel($closed)->{status}, 503, 'its product is being recovered');
    $stack->redis->hdel('product:8:register', 'recovering');
    is(row($closed), 'pending_payment', 'nothing was changed');
    my $forgotten = $stack->redis->hget($bucket, $other);
    $stack->redis->hdel($bucket, $other);
    $stack->redis->hset('product:8:register', 'recovering', '- - -');
    is(cancel($other)->{status}, 503, 'nor one that the gate has no record of, where its product is being recovered');
    $stack->redis->hdel('product:8:register', 'recovering');
    is(row($other), 'pending_payment', 'nothing was changed');
    $stack->redis->hset($bucket, $other, $forgotten);
    is(cancel($_)->{status}, 200, 'afterwards') for $paid, $other, $closed;
    soon(sub { $stack->redis_stock(8) == 10 }, 'the stock follows');
};

$stack->laws_hold;
done_testing;
