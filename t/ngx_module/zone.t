# The zone: what is marked as sold out (G15), and the counters at /metrics, over reloads and worker processes.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use JSON;
use PrometheusText;
use Suspend;
use Test::More;
use Time::HiRes qw(sleep time);

my $redis = CheckoutTest::redis();

sub body { my (%o) = @_; return encode_json({ product_id => 17, quantity => 1, user_id => 42, %o }) }
sub code { my ($answer) = @_; return decode_json($answer->{body})->{code} // 'none' }

sub server {
    my ($more) = @_;
    return "checkout_redis 127.0.0.1:@{[ $redis->port ]}; $more" . <<'END';
    location = /api/place-order { checkout_place_order; }
    location ~ ^/api/orders/(?<order>.+)$ { checkout_order_status $order; }
    location = /metrics { checkout_metrics; }
END
}

# Calls of the gate script that Redis has seen.
sub calls {
    my $sum = 0;
    my $stats = $redis->client->info('commandstats');
    for (qw(evalsha eval)) { $sum += ($stats->{"cmdstat_$_"} // '') =~ /calls=(\d+)/ ? $1 : 0 }
    return $sum;
}

sub metrics { my ($nginx) = @_; return PrometheusText::parse($nginx->get('/metrics')->{body}) }
sub orders  { my ($nginx, $outcome) = @_; return metrics($nginx)->{checkout_orders_total}{samples}{"{outcome=\"$outcome\"}"} }

my $nginx = CheckoutTest::Nginx->start(server('checkout_sold_out_cache 2s;'), http => 'checkout_zone checkout:64k;');

subtest 'a mark answers what the stock cannot cover' => sub {
    CheckoutTest::fresh(17, stock => 3);
    is code($nginx->place(body(quantity => 5))), 'out_of_stock', 'asked of Redis';
    my $before = calls();
    my @answers = map { $nginx->place(body(quantity => 4)) } 1 .. 10;
    is join(' ', map { $_->{status} } @answers), join(' ', (400) x 10);
    is decode_json($answers[0]{body})->{available}, 3, 'what is left';
    is calls(), $before, 'without Redis';
    is $nginx->place(body(quantity => 3))->{status}, 202, 'what it can cover is asked for';
    is code($nginx->place(body())), 'out_of_stock';
    is decode_json($nginx->place(body())->{body})->{available}, 0, 'the mark follows';
};

subtest 'only want of units is marked' => sub {
    CheckoutTest::fresh();
    $redis->load(18, stock => 5, closes_at => 1000);
    $redis->load(19, stock => 5, per_user_limit => 1);
    $redis->load(20, stock => 5, max_quantity => 2);
    is code($nginx->place(body(product_id => 18))), 'sale_ended';
    is code($nginx->place(body(product_id => 19, quantity => 2))), 'purchase_limit';
    is decode_json($nginx->place(body(product_id => 20, quantity => 3))->{body})->{code}, 'invalid_request';
    is code($nginx->place(body(product_id => 21))), 'unknown_product';
    $redis->load(18, stock => 5, version => 2);
    $redis->load(21, stock => 5);
    is $nginx->place(body(product_id => $_))->{status}, 202, "product $_" for 18 .. 21;
};

subtest 'more products than the zone holds' => sub {
    CheckoutTest::fresh();
    $redis->load($_, stock => 0) for 1000 .. 1600;
    for my $round (1 .. 2) {
        my @codes = map { code($nginx->place(body(product_id => $_))) } 1000 .. 1600;
        is scalar(grep { $_ eq 'out_of_stock' } @codes), 601, "round $round";
    }
};

subtest 'G15 units return: sellable within the time of the mark, on every nginx and worker process' => sub {
    CheckoutTest::fresh(17, stock => 0);
    my @edges = map { CheckoutTest::Nginx->start(server(''), workers => 2, http => 'checkout_zone checkout:64k;') } 1 .. 2;
    for my $edge (@edges) { is code($edge->place(body())), 'out_of_stock' for 1 .. 6 }
    my $before = calls();
    $_->place(body()) for (@edges) x 5;
    cmp_ok calls() - $before, '<=', 4, 'the mark is shared by the worker processes';
    my ($sold, $stop) = (0, 0);
    $redis->load(17, stock => 1000, version => 2);
    my $start = time;
    for my $edge (@edges) {
        for (my $until = $start + 1; time < $until; sleep 0.005) { last if $edge->place(body())->{status} == 202 }
    }
    cmp_ok time - $start, '<', 0.3, 'sold again';
    is join(' ', map { $_->place(body())->{status} } (@edges) x 8), join(' ', (202) x 16), 'by all';
    $_->stop for @edges;
};

subtest 'off' => sub {
    CheckoutTest::fresh(17, stock => 0);
    my $edge = CheckoutTest::Nginx->start(server('checkout_sold_out_cache off;'), http => 'checkout_zone checkout:64k;');
    $edge->place(body());
    my $before = calls();
    $edge->place(body()) for 1 .. 5;
    is calls() - $before, 5, 'Redis is asked each time';
    $redis->load(17, stock => 1, version => 2);
    is $edge->place(body())->{status}, 202, 'and nothing is remembered';
    $edge->stop;
};

subtest 'counters' => sub {
    CheckoutTest::fresh(17, stock => 5);
    my $edge = CheckoutTest::Nginx->start(server(''), workers => 2, http => 'checkout_zone checkout:64k;');
    my $answer = $edge->get('/metrics');
    is $answer->{status}, 200;
    like $answer->{headers}, qr{^Content-Type: text/plain; version=0\.0\.4; charset=utf-8\r?$}m;
    my $zero = PrometheusText::parse($answer->{body});
    is $zero->{checkout_orders_total}{type}, 'counter';
    is $zero->{checkout_orders_total}{samples}{'{outcome="queued"}'}, 0, 'present before the first order';
    my $id = decode_json($edge->place(body())->{body})->{order_identifier};
    $edge->place_together((body()) x 4);
    $edge->place(body()) for 1 .. 3;
    $edge->place(body(quantity => 0));
    $edge->place(body(), 'Idempotency-Key: ');
    $edge->get("/api/orders/$id");
    $edge->get('/api/orders/nonsense');
    $edge->get('/api/place-order');
    my $m = metrics($edge);
    my %want = (queued => 5, out_of_stock => 3, invalid_request => 2, method_not_allowed => 1, unavailable => 0);
    is $m->{checkout_orders_total}{samples}{"{outcome=\"$_\"}"}, $want{$_}, $_ for sort keys %want;
    is $m->{checkout_reads_total}{samples}{'{outcome="found"}'}, 1, 'reads found';
    is $m->{checkout_reads_total}{samples}{'{outcome="order_not_found"}'}, 1, 'reads not found';
    cmp_ok $m->{checkout_sold_out_local_total}{samples}{''}, '>=', 1, 'sold out, told here';
    my $asked = 8 - $m->{checkout_sold_out_local_total}{samples}{''};
    is $m->{checkout_batch_orders}{samples}{_sum}, $asked, 'orders in calls';
    is $m->{checkout_script_seconds}{samples}{_count}, $m->{checkout_batch_orders}{samples}{_count}, 'calls timed';
    is $m->{checkout_queue_orders}{samples}{"{server=\"127.0.0.1:@{[ $redis->port ]}\",database=\"1\"}"}, 5, 'queue length';
    cmp_ok $m->{checkout_redis_connections}{samples}{''}, '>=', 1, 'connected';
    my $post = $edge->connect;
    print $post "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    is CheckoutTest::Nginx::answer($post)->{status}, 405;

    $edge->reload;
    sleep 0.5;
    is orders($edge, 'queued'), 5, 'kept over a reload';
    is metrics($edge)->{checkout_redis_connections}{samples}{''}, 0, 'the connections of the old process do not count';
    $edge->place(body(product_id => 99));
    is orders($edge, 'unknown_product'), 1;
    is metrics($edge)->{checkout_redis_connections}{samples}{''}, 1, 'connected again';
    $edge->stop;
};

subtest 'time-outs, losses and connections' => sub {
    CheckoutTest::fresh(17, stock => 5);
    my $edge = CheckoutTest::Nginx->start(server('checkout_timeout 300ms;'), http => 'checkout_zone checkout:64k;');
    is $edge->place(body())->{status}, 202;
    $redis->client->client_kill('type', 'normal', 'skipme', 'yes');
    is $edge->place(body())->{status}, 202;
    Suspend::stop($redis->{pid});
    is code($edge->place(body())), 'outcome_unknown';
    Suspend::go_on($redis->{pid});
    my $m = metrics($edge);
    is $m->{checkout_timeouts_total}{samples}{''}, 1, 'time-outs';
    cmp_ok $m->{checkout_redis_losses_total}{samples}{''}, '>=', 1, 'losses';
    cmp_ok $m->{checkout_redis_connects_total}{samples}{''}, '>=', 2, 'connects';
    is $m->{checkout_orders_total}{samples}{'{outcome="outcome_unknown"}'}, 1;
    $edge->stop;
};

unlike $nginx->log, qr/\[alert\]|\[emerg\]/, 'no process died';
$nginx->stop;
$redis->stop;
done_testing;
