# POST /api/place-order as a client sees it: the contract, and the plain forms of G2, G3 and G16.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use Test::Nginx::Socket 'no_plan';

our $Config = <<'END';
    checkout_redis $TEST_NGINX_REDIS;
    location = /api/place-order {
        checkout_place_order;
    }
    location = /small {
        client_body_buffer_size 128;
        checkout_place_order;
    }
    location = /paged {
        error_page 400 415 422 = /page;
        checkout_place_order;
    }
    location = /page {
        return 299 page;
    }
    location = /limited {
        client_max_body_size 64;
        checkout_place_order;
    }
    location = /few {
        checkout_queue_limit 1;
        checkout_place_order;
    }
END

our $Json = "Content-Type: application/json";
our $Long = '{"note":"' . ('x' x 3000) . '","product_id":17,"quantity":1,"user_id":42}';



add_block_preprocessor(sub {
    my ($block) = @_;
    $block->set_value('config', $main::Config) if !defined $block->config;
    $block->set_value('more_headers', $main::Json) if !defined $block->more_headers;
    $block->set_value('init', 'CheckoutTest::fresh(17, stock => 3)') if !defined $block->init;
    $block->set_value('no_error_log', "[alert]\n[crit]") if !defined $block->no_error_log;
});

run_tests();

END {
    CheckoutTest::redis()->stop if CheckoutTest::redis();
}

__DATA__

=== TEST 1: an order is accepted
--- request
POST /api/place-order
{"product_id":17,"quantity":2,"user_id":42}
--- error_code: 202
--- response_headers_like
Content-Type: application/json
Location: /api/orders/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}
--- response_body_like chomp
^\{"message":"訂單已提交,正在處理中。","order_identifier":"([0-9a-f-]{36})","status":"queued","status_url":"/api/orders/\1"\}$



=== TEST 2: English for those who prefer it
--- request
POST /api/place-order
{"product_id":17,"quantity":1,"user_id":42}
--- more_headers
Content-Type: Application/JSON; charset=utf-8
Accept-Language: en-GB,en;q=0.9
--- error_code: 202
--- response_body_like: ^\{"message":"The order is submitted



=== TEST 3: too little stock says what is left
--- request
POST /api/place-order
{"product_id":17,"quantity":4,"user_id":42}
--- error_code: 400
--- response_body chomp
{"message":"商品庫存不足。","code":"out_of_stock","available":3}



=== TEST 4: G2 wrong quantities are refused without asking Redis
--- request eval
[map { "POST /api/place-order\n{\"product_id\":17,\"quantity\":$_,\"user_id\":42}" }
    1000000000, '9223372036854775807', -1, 0, 1.5, '"1"', 'true', 'null', '1e2', '9007199254740993', 1001]
--- error_code eval
[(422) x 11]
--- response_body_like eval
[('"code":"invalid_request","errors":\{"quantity":\["') x 11]



=== TEST 5: G2 a field that is left out
--- request eval
["POST /api/place-order\n{\"product_id\":17,\"user_id\":42}", "POST /api/place-order\n{\"quantity\":1,\"user_id\":42}",
 "POST /api/place-order\n{\"product_id\":17,\"quantity\":1}", "POST /api/place-order\n{}"]
--- error_code eval
[(422) x 4]
--- response_body_like eval
['"errors":\{"quantity":\["[^]]*"\]\}', '"errors":\{"product_id":\["[^]]*"\]\}', '"errors":\{"user_id":\["[^]]*"\]\}',
 '"errors":\{"product_id":.*"quantity":.*"user_id":']



=== TEST 6: G2 the wrong ones left the stock alone
--- init
CheckoutTest::fresh(17, stock => 1)
--- request eval
["POST /api/place-order\n{\"product_id\":17,\"quantity\":1000000000,\"user_id\":42}",
 "POST /api/place-order\n{\"product_id\":17,\"quantity\":1,\"user_id\":42}",
 "POST /api/place-order\n{\"product_id\":17,\"quantity\":1,\"user_id\":42}"]
--- error_code eval
[422, 202, 400]
--- response_body_like eval
['invalid_request', 'queued', '"available":0']



=== TEST 7: G3 a product that is not loaded, with others loaded
--- request
POST /api/place-order
{"product_id":18,"quantity":1,"user_id":42}
--- error_code: 422
--- response_body chomp
{"message":"商品不存在。","code":"unknown_product"}



=== TEST 8: G3 nothing is loaded at all
--- init
CheckoutTest::fresh()
--- request
POST /api/place-order
{"product_id":18,"quantity":1,"user_id":42}
--- error_code: 503
--- response_headers
Retry-After: 5
--- response_body chomp
{"message":"商品庫存尚未載入,請稍後再試。","code":"stock_not_loaded"}



=== TEST 9: G16 not JSON, empty, deep, doubled, NUL, trailing text
--- request eval
["POST /api/place-order\nproduct_id=17", "POST /api/place-order\n", "POST /api/place-order\n" . ('[' x 5000),
 "POST /api/place-order\n{\"product_id\":17,\"quantity\":1,\"quantity\":1,\"user_id\":42}",
 "POST /api/place-order\n{\"product_id\":17,\"quantity\":1,\"user_id\":42}\0",
 "POST /api/place-order\n{\"product_id\":17,\"quantity\":1,\"user_id\":42} x",
 "POST /api/place-order\n[17,1,42]"]
--- error_code eval
[(422) x 7]
--- response_body_like eval
['"errors":\{"body":', '"errors":\{"body":', '"errors":\{"body":', '"errors":\{"quantity":', '"errors":\{"body":',
 '"errors":\{"body":', '"errors":\{"body":']



=== TEST 10: G16 a body in several packets
--- raw_request eval
["POST /api/place-order HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 43\r\n\r\n",
 "{\"product_id\":17,", "\"quantity\":1,\"user", "_id\":42}"]
--- raw_request_middle_delay: 0.05
--- error_code: 202
--- response_body_like: "status":"queued"



=== TEST 11: G16 a body over the buffer goes through a file
--- request eval
"POST /small\n$::Long"
--- error_code: 202
--- response_body_like: "status":"queued"



=== TEST 12: G16 a chunked body, in one piece and over the buffer
--- raw_request eval
["POST /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
 sprintf("%x\r\n%s\r\n", 1000, substr $::Long, 0, 1000), sprintf("%x\r\n%s\r\n0\r\n\r\n", length($::Long) - 1000, substr $::Long, 1000)]
--- raw_request_middle_delay: 0.05
--- error_code: 202
--- response_body_like: "status":"queued"



=== TEST 13: G16 an empty chunked body
--- raw_request eval
["POST /api/place-order HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n"]
--- error_code: 422
--- response_body_like: "errors":\{"body":



=== TEST 14: G16 a body over what the module takes
--- request eval
"POST /api/place-order\n{\"note\":\"" . ('x' x 17000) . "\"}"
--- error_code: 413
--- response_body chomp
{"message":"請求內容過大。","code":"body_too_large"}



=== TEST 15: G16 a chunked body over what the module takes
--- raw_request eval
["POST /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
 (map { sprintf "%x\r\n%s\r\n", 6000, 'x' x 6000 } 1 .. 3), "0\r\n\r\n"]
--- error_code: 413
--- response_body_like: "code":"body_too_large"



=== TEST 16: client_max_body_size is nginx's
--- request
POST /limited
{"product_id":17,"quantity":1,"user_id":42,"note":"longer than it may be"}
--- error_code: 413
--- response_body_like: 413 Request Entity Too Large



=== TEST 17: G16 wrong methods
--- request eval
["GET /api/place-order", "PUT /api/place-order\n{}", "DELETE /api/place-order"]
--- error_code eval
[405, 405, 405]
--- response_headers eval
["Allow: POST", "Allow: POST", "Allow: POST"]
--- response_body_like eval
[('"code":"method_not_allowed"') x 3]



=== TEST 18: HEAD has no body
--- request
HEAD /api/place-order
--- error_code: 405
--- response_body



=== TEST 19: G16 wrong content types
--- request
POST /api/place-order
{"product_id":17,"quantity":1,"user_id":42}
--- more_headers
Content-Type: application/jsonp
--- error_code: 415
--- response_body chomp
{"message":"請求內容必須是 application/json。","code":"unsupported_media_type"}



=== TEST 20: G16 no content type
--- raw_request eval
"POST /api/place-order HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
--- error_code: 415
--- response_body_like: "code":"unsupported_media_type"



=== TEST 21: error_page wins
--- request eval
["POST /paged\n{\"product_id\":17,\"quantity\":4,\"user_id\":42}", "POST /paged\n{}"]
--- error_code eval
[299, 299]
--- response_body eval
["page", "page"]



=== TEST 22: the cap of the queue
--- request eval
["POST /few\n{\"product_id\":17,\"quantity\":1,\"user_id\":42}", "POST /few\n{\"product_id\":17,\"quantity\":1,\"user_id\":42}"]
--- error_code eval
[202, 503]
--- response_headers eval
["", "Retry-After: 5"]
--- response_body_like eval
['queued', '"code":"queue_full"']



=== TEST 23: before the sale opens
--- init
CheckoutTest::fresh(17, stock => 3, opens_at => (time + 90) * 1000)
--- request
POST /api/place-order
{"product_id":17,"quantity":1,"user_id":42}
--- error_code: 403
--- response_headers_like
Retry-After: (?:8\d|90|91)
--- response_body_like: "code":"sale_not_started"



=== TEST 24: after it closed, and over the limits
--- init
CheckoutTest::fresh(17, stock => 3, closes_at => 1000);
CheckoutTest::redis->load(18, stock => 3, max_quantity => 2);
CheckoutTest::redis->load(19, stock => 3, per_user_limit => 1);
--- request eval
["POST /api/place-order\n{\"product_id\":17,\"quantity\":1,\"user_id\":42}",
 "POST /api/place-order\n{\"product_id\":18,\"quantity\":3,\"user_id\":42}",
 "POST /api/place-order\n{\"product_id\":19,\"quantity\":2,\"user_id\":42}"]
--- error_code eval
[403, 422, 403]
--- response_body_like eval
['"code":"sale_ended"', '"code":"invalid_request","errors":\{"quantity":\["此欄位不可大於 2。"\]\}', '"code":"purchase_limit"']



=== TEST 25: a broken product fails alone, and a key that is no number is no stock
--- init
CheckoutTest::fresh(17, stock => 3); CheckoutTest::redis->load(18, stock => 3);
CheckoutTest::redis->client->set('product:18:stock', 'many');
--- request eval
["POST /api/place-order\n{\"product_id\":18,\"quantity\":1,\"user_id\":42}",
 "POST /api/place-order\n{\"product_id\":17,\"quantity\":1,\"user_id\":42}"]
--- error_code eval
[503, 202]
--- response_body_like eval
['"code":"unavailable"', 'queued']
