# Reads from the gate: GET /api/orders/<identifier>, GET /api/get-redis-stock/<id>, GET /healthz.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use POSIX qw(strftime);
use Test::Nginx::Socket 'no_plan';

our $Config = <<'END';
    checkout_redis $TEST_NGINX_REDIS;
    location ~ ^/api/orders/(?<order>[^/]+)$ {
        checkout_order_status $order;
    }
    location ~ ^/api/get-redis-stock/(?<product>[^/]+)$ {
        checkout_stock $product;
    }
    location = /healthz {
        checkout_health;
    }
    location = /closed {
        checkout_redis 127.0.0.1:1;
        checkout_timeout 300ms;
        checkout_stock 17;
    }
END

our $Id = '017f22e2-79b0-7000-8000-000000000001';

# A record in the bucket of today, or of so many days ago.
sub CheckoutTest::record {
    my ($days, $record) = @_;
    my $day = strftime('%Y-%m-%d', gmtime(time - 86400 * $days));
    CheckoutTest::redis()->client->hset("orders:$day", $main::Id, $record);
}

add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('config', $main::Config);
    $block->set_value('init', 'CheckoutTest::fresh(17, stock => 3)') if !defined $block->init;
    $block->set_value('no_error_log', "[alert]\n[crit]") if !defined $block->no_error_log;
});

run_tests();

END {
    CheckoutTest::redis()->stop if CheckoutTest::redis();
}

__DATA__

=== TEST 1: an order in the queue
--- init
CheckoutTest::fresh(); CheckoutTest::record(0, 'queued - 17 2 18446744073709551615 1763700000123')
--- request eval
"GET /api/orders/$::Id"
--- response_headers
Content-Type: application/json
--- response_body eval
qq({"data":{"order_identifier":"$::Id","status":"queued","user_id":18446744073709551615,"items":[{"product_id":17,"quantity":2,"unit_price":null}],"total_price":null,"pay_by":null,"failure_code":null,"payment_id":null,"paid_at":null,"created_at":null,"updated_at":null}})



=== TEST 2: W14 an order of yesterday that failed says why
--- init
CheckoutTest::fresh(); CheckoutTest::record(1, 'failed out_of_stock 17 2 42 1763700000123')
--- request eval
"GET /api/orders/$::Id"
--- response_body_like: "status":"failed",.*"failure_code":"out_of_stock"



=== TEST 3: an older one is not the gate's
--- init
CheckoutTest::fresh(); CheckoutTest::record(2, 'failed out_of_stock 17 2 42 1763700000123')
--- request eval
"GET /api/orders/$::Id"
--- error_code: 404
--- response_body chomp
{"message":"訂單不存在。","code":"order_not_found"}



=== TEST 3b: one that another clock, ahead of this one, has dated tomorrow
--- init
CheckoutTest::fresh(); CheckoutTest::record(-1, 'queued - 17 2 42 1763700000123')
--- request eval
"GET /api/orders/$::Id"
--- response_body_like: "status":"queued"



=== TEST 4: what is no identifier
--- request eval
[map { "GET /api/orders/$_" } 'x', 'x%20y', uc($::Id) , "$::Id-", "%27%20OR%201=1", 'a' x 5000]
--- error_code eval
[(404) x 6]
--- response_body_like eval
[('order_not_found') x 6]



=== TEST 5: a record that is none
--- init
CheckoutTest::fresh(); CheckoutTest::record(0, 'nonsense')
--- request eval
"GET /api/orders/$::Id"
--- error_code: 503
--- response_body_like: "code":"unavailable"



=== TEST 6: HEAD
--- request eval
["HEAD /healthz", "HEAD /api/get-redis-stock/17"]
--- response_body eval
["", ""]



=== TEST 7: the live stock of a product
--- request eval
["GET /api/get-redis-stock/17", "GET /api/get-redis-stock/18"]
--- error_code eval
[200, 404]
--- response_body eval
['{"product_id":17,"redis_stock":3,"in_flight":0,"loaded":true}', '{"message":"商品不存在","code":"unknown_product"}']



=== TEST 8: half loaded is not loaded
--- init
CheckoutTest::fresh(17, stock => 3); CheckoutTest::redis->client->del('product:17:stock');
--- request
GET /api/get-redis-stock/17
--- response_body chomp
{"product_id":17,"redis_stock":null,"in_flight":0,"loaded":false}



=== TEST 9: what is no product id
--- request eval
[map { "GET /api/get-redis-stock/$_" } 'x', '-1', '017', '1.0', '9223372036854775808', '17x']
--- error_code eval
[(404) x 6]
--- response_body_like eval
[('unknown_product') x 6]



=== TEST 10: a stock that is no number
--- init
CheckoutTest::fresh(17, stock => 3); CheckoutTest::redis->client->set('product:17:stock', '","x":"');
--- request
GET /api/get-redis-stock/17
--- error_code: 503
--- response_body_like: "code":"unavailable"



=== TEST 11: Redis away
--- request
GET /closed
--- error_code: 503
--- response_headers
Retry-After: 1
--- response_body_like: "code":"unavailable"
--- no_error_log
[alert]



=== TEST 12: health
--- request
GET /healthz
--- response_body chomp
{"status":"ok"}



=== TEST 13: wrong methods
--- request eval
["POST /healthz\n{}", "PUT /api/get-redis-stock/17\n{}", "DELETE /api/orders/x"]
--- error_code eval
[405, 405, 405]
--- response_headers eval
["Allow: GET, HEAD", "Allow: GET, HEAD", "Allow: GET, HEAD"]
--- response_body_like eval
[('"code":"method_not_allowed"') x 3]



=== TEST 14: G8 the scripts are forgotten
--- init
CheckoutTest::fresh(17, stock => 3); CheckoutTest::redis->client->script('flush');
--- request eval
["GET /api/get-redis-stock/17", "GET /api/get-redis-stock/17"]
--- response_body_like eval
['"redis_stock":3', '"redis_stock":3']
