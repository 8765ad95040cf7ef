# Who buys, and the Idempotency-Key: G11, G12, G13, G14 and G19, and the languages.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use JSON;
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(sleep time);

my $redis = CheckoutTest::redis();

sub body { my (%o) = @_; return encode_json({ product_id => 17, quantity => 1, user_id => 42, %o }) }
sub code { my ($answer) = @_; return decode_json($answer->{body})->{code} // '' }
sub id   { my ($answer) = @_; return decode_json($answer->{body})->{order_identifier} // '' }

my $config = "checkout_redis 127.0.0.1:@{[ $redis->port ]};" . <<'END';
    location = /api/place-order { checkout_place_order; }
    location = /few { checkout_queue_limit 2; checkout_place_order; }
    location ~ ^/api/orders/(?<order>.+)$ { checkout_order_status $order; }
    location /shop {
        checkout_user $http_x_user;
        location = /shop/place-order { checkout_place_order; }
        location = /shop/open { checkout_user off; checkout_place_order; }
        location ~ ^/shop/orders/(?<order>.+)$ { checkout_order_status $order; }
        location = /shop/stock { checkout_stock 17; }
    }
END

my $nginx = CheckoutTest::Nginx->start($config, http => 'checkout_zone checkout:1m;');

# One order at a path of its own.
sub place_at {
    my ($path, $body, @headers) = @_;
    my $socket = $nginx->connect;
    print $socket CheckoutTest::Nginx::order_request($body, @headers) =~ s{/api/place-order}{$path}r;
    return CheckoutTest::Nginx::answer($socket);
}

subtest 'a key names one order' => sub {
    CheckoutTest::fresh(17, stock => 10);
    my ($first, $again) = map { $nginx->place(body(), 'Idempotency-Key: abc') } 1 .. 2;
    is $first->{status}, 202;
    like id($first), qr/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab]/, 'a UUIDv8';
    is $again->{body}, $first->{body}, 'the same answer';
    is CheckoutTest::stock(17), 9, 'one deduction';
    isnt id($nginx->place(body(user_id => 43), 'Idempotency-Key: abc')), id($first), 'the key of another user';
    isnt id($nginx->place(body(), 'idempotency-key: abd')), id($first), 'another key';
    isnt id($nginx->place(body())), id($first), 'no key';
    is CheckoutTest::stock(17), 6;
    for my $other (body(quantity => 2), body(product_id => 18)) {
        $redis->load(18, stock => 5) if $other =~ /18/;
        my $answer = $nginx->place($other, 'Idempotency-Key: abc');
        is $answer->{status}, 422;
        is code($answer), 'idempotency_conflict';
    }
    is CheckoutTest::stock(17), 6, 'a conflict deducts nothing';
    my ($day) = grep { /^orders:/ } $redis->client->keys('orders:*');
    $redis->client->hset($day, id($first), 'failed out_of_stock 17 1 42 1');
    my $late = $nginx->place(body(), 'Idempotency-Key: abc');
    is $late->{status}, 202, 'known';
    is decode_json($late->{body})->{status}, 'failed', 'with its present status';
    $redis->client->rename($day, 'orders:' . strftime('%Y-%m-%d', gmtime(time + 86400)));
    $late = $nginx->place(body(), 'Idempotency-Key: abc');
    is id($late), id($first), 'known, too, where an nginx whose clock is ahead has placed it';
    is decode_json($late->{body})->{status}, 'failed';
    is CheckoutTest::stock(17), 6, 'and nothing more is deducted';
};

subtest 'a key with the same content twice in one call' => sub {
    CheckoutTest::fresh(17, stock => 10);
    my @answers = map { undef } 1 .. 2;
    my @sockets = map { $nginx->connect } 1 .. 6;
    sleep 0.1;
    kill 'STOP', $nginx->workers;
    for my $socket (@sockets) { print $socket CheckoutTest::Nginx::order_request(body(), 'Idempotency-Key: twin') }
    sleep 0.05;
    kill 'CONT', $nginx->workers;
    @answers = map { CheckoutTest::Nginx::answer($_) } @sockets;
    is join(' ', map { $_->{status} } @answers), join(' ', (202) x 6);
    my %ids = map { id($_) => 1 } @answers;
    is keys %ids, 1, 'one identifier';
    is CheckoutTest::stock(17), 9, 'one deduction';
    is CheckoutTest::queued(), 1;
};

subtest 'what is no key' => sub {
    CheckoutTest::fresh(17, stock => 10);
    for my $headers ([''], ['x' x 256], ["caf\xc3\xa9"], ["a\tb"], ['a', 'a']) {
        my $answer = $nginx->place(body(), map {"Idempotency-Key: $_"} @$headers);
        is $answer->{status}, 422;
        my $json = decode_json($answer->{body});
        is $json->{code}, 'invalid_request';
        is ref $json->{errors}{'Idempotency-Key'}, 'ARRAY', 'says which';
    }
    my $json = decode_json($nginx->place(body(quantity => 0), 'Idempotency-Key: ')->{body});
    is join(' ', sort keys %{ $json->{errors} }), 'Idempotency-Key quantity', 'all that is wrong is said';
    $json = decode_json($nginx->place('nonsense', 'Idempotency-Key: ')->{body});
    is join(' ', sort keys %{ $json->{errors} }), 'Idempotency-Key body';
    is $nginx->place(body(), 'Idempotency-Key: ' . 'x' x 255)->{status}, 202, '255 characters';
    is $nginx->place(body(), 'Idempotency-Key: ~ !')->{status}, 202, 'from space to tilde';
    is CheckoutTest::stock(17), 8;
};

subtest 'G11 the same key 100 times at once through two nginx' => sub {
    CheckoutTest::fresh(17, stock => 10);
    my $other = CheckoutTest::Nginx->start($config, workers => 2, http => 'checkout_zone checkout:1m;');
    my @sockets = map { ($_ % 2 ? $nginx : $other)->connect } 1 .. 100;
    for my $socket (@sockets) { print $socket CheckoutTest::Nginx::order_request(body(quantity => 2), 'Idempotency-Key: one') }
    my @answers = map { CheckoutTest::Nginx::answer($_) } @sockets;
    is scalar(grep { $_->{status} == 202 } @answers), 100, 'all accepted';
    my %ids = map { id($_) => 1 } @answers;
    is keys %ids, 1, 'the same identifier in every answer';
    is CheckoutTest::stock(17), 8, 'one deduction';
    is CheckoutTest::queued(), 1, 'one order';
    is code($other->place(body(quantity => 3), 'Idempotency-Key: one')), 'idempotency_conflict', 'another body';
    $other->stop;
};

subtest 'G12 who buys' => sub {
    CheckoutTest::fresh(17, stock => 10, per_user_limit => 2);
    for my $user ('', 'abc', '0', '-1', '+1', '1.5', '007', ' ', '18446744073709551616', "1'") {
        my $answer = place_at('/shop/place-order', body(), "X-User: $user");
        is $answer->{status}, 401, "user '$user'";
        is code($answer), 'unauthorized';
    }
    is place_at('/shop/place-order', body())->{status}, 401, 'no user';
    is CheckoutTest::stock(17), 10;
    my $first = place_at('/shop/place-order', body(user_id => 1), 'X-User: 7');
    is $first->{status}, 202;
    is place_at('/shop/place-order', encode_json({ product_id => 17, quantity => 1 }), 'X-User: 7')->{status}, 202,
        'the body needs no user';
    my $third = place_at('/shop/place-order', body(user_id => 2), 'X-User: 7');
    is $third->{status}, 403, 'the trusted user counts';
    is code($third), 'purchase_limit';
    is place_at('/shop/place-order', body(user_id => 'x'), 'X-User: 18446744073709551615')->{status}, 202,
        'the largest id, and what the body says is passed over';
    is code($nginx->get("/shop/orders/@{[ id($first) ]}", 'X-User: 8')), 'order_not_found', 'the order of another';
    is code($nginx->get("/shop/orders/@{[ id($first) ]}")), 'unauthorized', 'a reader without a name';
    my $mine = $nginx->get("/shop/orders/@{[ id($first) ]}", 'X-User: 7');
    is decode_json($mine->{body})->{data}{user_id}, 7, 'one\'s own';
    is $nginx->get('/shop/stock')->{status}, 200, 'stock is for everyone';
    is place_at('/shop/open', body(user_id => 99))->{status}, 202, 'off in an inner location';
    isnt id(place_at('/shop/place-order', body(), 'X-User: 5', 'Idempotency-Key: k')),
        id(place_at('/shop/place-order', body(), 'X-User: 6', 'Idempotency-Key: k')), 'keys of two users';
};

subtest 'G13 the sale window is Redis\'s' => sub {
    CheckoutTest::fresh(17, stock => 3, opens_at => int((time + 2) * 1000));
    my $early = $nginx->place(body());
    is code($early), 'sale_not_started';
    is $early->{status}, 403;
    like $early->{headers}, qr/^Retry-After: [12]\r?$/m;
    is CheckoutTest::queued(), 0, 'nothing is written';
    sleep 2.1;
    is $nginx->place(body())->{status}, 202, 'open';
    CheckoutTest::fresh(17, stock => 3, closes_at => 1000);
    my $late = $nginx->place(body());
    is "$late->{status} @{[ code($late) ]}", '403 sale_ended';
    unlike $late->{headers}, qr/^Retry-After/m;
};

subtest 'G14 no worker: the cap of the queue' => sub {
    CheckoutTest::fresh(17, stock => 10);
    my @answers = map { place_at('/few', body()) } 1 .. 4;
    is join(' ', map { $_->{status} } @answers), '202 202 503 503';
    is code($answers[3]), 'queue_full';
    like $answers[3]{headers}, qr/^Retry-After: \d+\r?$/m;
    is CheckoutTest::stock(17), 8, 'nothing is deducted for them';
};

subtest 'G19 the key that took the last unit, after sold out was marked' => sub {
    CheckoutTest::fresh(17, stock => 1);
    my $first = $nginx->place(body(), 'Idempotency-Key: last');
    is $first->{status}, 202;
    is $nginx->place(body())->{status}, 400, 'marked';
    my $again = $nginx->place(body(), 'Idempotency-Key: last');
    is $again->{status}, 202, 'keyed requests pass by the mark';
    is id($again), id($first);
    is $nginx->place(body(), 'Idempotency-Key: other')->{status}, 400;
};

subtest 'codes stay, words follow Accept-Language' => sub {
    CheckoutTest::fresh(17, stock => 0);
    my %by_language = map { $_ => decode_json($nginx->place(body(), "Accept-Language: $_")->{body}) } 'en', 'en-US,zh;q=0.5', 'zh-TW', 'ent', 'de';
    is $_->{code}, 'out_of_stock' for values %by_language;
    is $by_language{$_}{message}, 'Not enough units are left.', $_ for 'en', 'en-US,zh;q=0.5';
    isnt $by_language{$_}{message}, 'Not enough units are left.', $_ for 'zh-TW', 'ent', 'de';
};

unlike $nginx->log, qr/\[alert\]|\[emerg\]/, 'no process died';
$nginx->stop;
$redis->stop;
done_testing;
