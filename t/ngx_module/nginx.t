# The module among nginx's own: variables in log_format, error_page, limit_req, auth_request, access, realip, HTTP/2,
# subrequests.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use JSON;
use Test::More;
use Time::HiRes qw(sleep time);

my $redis = CheckoutTest::redis();

sub body { my (%o) = @_; return encode_json({ product_id => 17, quantity => 1, user_id => 42, %o }) }
sub code { my ($answer) = @_; return $answer ? decode_json($answer->{body})->{code} // 'none' : 'no answer' }

# Marks of the subtest before are forgotten.
sub fresh { CheckoutTest::fresh(@_); sleep 0.25 }

my $http = <<'END';
    checkout_zone checkout:64k;
    limit_req_zone $binary_remote_addr zone=one:1m rate=1r/s;
    log_format checkout '$uri [$checkout_status] [$checkout_code] [$checkout_order] [$checkout_product] [$checkout_batch] $status';
END

my $config = "checkout_redis 127.0.0.1:@{[ $redis->port ]};" . <<'END';
    access_log checkout.log checkout;
    location = /api/place-order { checkout_place_order; }
    location = /api/paged { checkout_place_order; error_page 400 422 401 503 = @page; }
    location @page { default_type text/plain; return 499 "a page for $checkout_code"; }
    location ~ ^/api/orders/(?<order>.+)$ { checkout_order_status $order; }
    location = /api/stock { checkout_stock 17; }
    location ~ ^/paged/orders/(?<order>.+)$ { checkout_order_status $order; error_page 404 405 = @page; }
    location ~ ^/paged/stock/(?<product>.+)$ { checkout_stock $product; error_page 404 = @page; }
    location = /limited { limit_req zone=one; limit_req_status 429; checkout_place_order; }
    location = /private {
        auth_request /who;
        auth_request_set $who $upstream_http_x_user;
        checkout_user $who;
        checkout_place_order;
    }
    location = /who { internal; proxy_pass http://127.0.0.1:$server_port/login; proxy_pass_request_body off; proxy_set_header Content-Length ""; }
    location = /login {
        if ($http_authorization = "Bearer good") { add_header X-User 77 always; return 204; }
        if ($http_authorization = "Bearer nobody") { return 204; }
        return 401;
    }
    location = /guarded { auth_request /api/stock; checkout_place_order; }
    location = /odd { auth_request /api/place-order; checkout_health; }
    location = /denied { deny all; checkout_place_order; }
    location = /real {
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Forwarded-For;
        allow 192.0.2.7;
        deny all;
        checkout_place_order;
    }
    location = /mirrored { mirror /copy; checkout_place_order; }
    location = /copy { internal; checkout_stock 17; }
    location = /healthz { checkout_health; }
    location = /if {
        checkout_place_order;
        if ($http_x_debug) { add_header X-Debug $http_x_debug always; }
    }
    location ~ ^/if/(?<which>.+)$ {
        checkout_order_status $which;
        if ($http_x_debug) { add_header X-Debug $http_x_debug always; }
    }
    location = /if-stock {
        checkout_stock 17;
        limit_except GET { deny all; }
        if ($http_x_debug) { add_header X-Debug $http_x_debug always; }
    }
END

my $nginx = CheckoutTest::Nginx->start($config, http => $http, listen => 'http2');
my $plain = CheckoutTest::Nginx->start($config, http => $http);

sub place_at {
    my ($path, $body, @headers) = @_;
    my $socket = $plain->connect;
    print $socket CheckoutTest::Nginx::order_request($body, @headers) =~ s{/api/place-order}{$path}r;
    return CheckoutTest::Nginx::answer($socket);
}

# The newest line of the access log, once there are more lines than last time and it is about this path.
my $lines_seen = 0;

sub logged {
    my ($path) = @_;
    for (1 .. 100) {
        open my $file, '<', "$plain->{dir}/checkout.log" or die $!;
        my @lines = <$file>;
        if (@lines > $lines_seen && $lines[-1] =~ /^\Q$path\E .*\n/) {
            $lines_seen = @lines;
            return $lines[-1] =~ s/\n//r;
        }
        sleep 0.02;
    }
    return 'nothing';
}

my $uuid = qr/[0-9a-f]{8}-[0-9a-f-]{27}/;

subtest 'variables' => sub {
    fresh(17, stock => 3);
    my $answer = place_at('/api/place-order', body());
    my $id = decode_json($answer->{body})->{order_identifier};
    is logged('/api/place-order'), "/api/place-order [queued] [-] [$id] [17] [1] 202";
    place_at('/api/place-order', body(quantity => 9));
    is logged('/api/place-order'), '/api/place-order [out_of_stock] [out_of_stock] [-] [17] [1] 400';
    place_at('/api/place-order', body(quantity => 9));
    is logged('/api/place-order'), '/api/place-order [out_of_stock] [out_of_stock] [-] [17] [-] 400', 'from the mark';
    place_at('/api/place-order', '{}');
    is logged('/api/place-order'), '/api/place-order [invalid_request] [invalid_request] [-] [-] [-] 422';
    $plain->get("/api/orders/$id");
    is logged("/api/orders/$id"), "/api/orders/$id [queued] [-] [$id] [17] [-] 200";
    $plain->get('/healthz');
    is logged('/healthz'), '/healthz [-] [-] [-] [-] [-] 200';
    $plain->place_together((body()) x 2);
    like logged('/api/place-order'), qr/\[queued\] \[-\] \[$uuid\] \[17\] \[2\] 202$/, 'the size of the call';
};

subtest 'error_page, which may speak of the refusal' => sub {
    fresh(17, stock => 0);
    my $answer = place_at('/api/paged', body());
    is "$answer->{status} $answer->{body}", '499 a page for out_of_stock';
    like logged('/api/paged'), qr/\[out_of_stock\] \[out_of_stock\] .* 499$/, 'in the log too';
    is place_at('/api/paged', '[]')->{body}, 'a page for invalid_request';
    is $plain->get('/paged/orders/017f22e2-79b0-7000-8000-00000000000f')->{body}, 'a page for order_not_found', 'after Redis was asked';
    is $plain->get('/paged/orders/x')->{body}, 'a page for order_not_found', 'and without';
    is place_at('/paged/orders/x', body())->{body}, 'a page for method_not_allowed';
    is $plain->get('/paged/stock/99')->{body}, 'a page for unknown_product';
};

subtest 'handlers go on inside if and limit_except' => sub {
    fresh(17, stock => 3);
    my @debug = ('X-Debug: yes');
    my $answer = place_at('/if', body(), @debug);
    is $answer->{status}, 202;
    like $answer->{headers}, qr/^X-Debug: yes/m, 'it is the block that answers';
    my $id = decode_json($answer->{body})->{order_identifier};
    for my $path ("/if/$id", '/if-stock') {
        my $socket = $plain->connect;
        print $socket "GET $path HTTP/1.1\r\nHost: test\r\nX-Debug: yes\r\nConnection: close\r\n\r\n";
        my $got = CheckoutTest::Nginx::answer($socket);
        is $got->{status}, 200, $path;
        like $got->{headers}, qr/^X-Debug: yes/m;
    }
    is place_at('/if-stock', body())->{status}, 403;
};

subtest 'limit_req, access, realip' => sub {
    fresh(17, stock => 30);
    my @answers = map { place_at('/limited', body()) } 1 .. 3;
    is join(' ', map { $_->{status} } @answers), '202 429 429';
    is place_at('/denied', body())->{status}, 403;
    is place_at('/real', body())->{status}, 403;
    is place_at('/real', body(), 'X-Forwarded-For: 192.0.2.7')->{status}, 202;
    is CheckoutTest::stock(17), 28;
};

subtest 'auth_request' => sub {
    fresh(17, stock => 30);
    is place_at('/private', body())->{status}, 401;
    is code(place_at('/private', body(), 'Authorization: Bearer nobody')), 'unauthorized', 'logged in as nobody';
    my $answer = place_at('/private', body(), 'Authorization: Bearer good');
    is $answer->{status}, 202;
    my $order = decode_json($plain->get('/api/orders/' . decode_json($answer->{body})->{order_identifier})->{body});
    is $order->{data}{user_id}, 77, 'the user of the login';
    is place_at('/guarded', body())->{status}, 202, 'a read of the gate as subrequest';
    is place_at('/mirrored', body())->{status}, 202, 'and as mirror';
    is place_at('/odd', body())->{status}, 500, 'no order is placed in a subrequest';
    is CheckoutTest::stock(17), 27;
};

subtest 'HTTP/2' => sub {
    my $version = `curl --version 2>/dev/null`;
    plan skip_all => 'no curl with HTTP/2' if $version !~ /HTTP2/;
    fresh(17, stock => 3);
    my $file = "$nginx->{dir}/order";
    open my $f, '>', $file or die $!;
    print $f body();
    close $f;
    my $curl = "curl -s -S -i --max-time 5 --http2-prior-knowledge -H 'Content-Type: application/json'";
    my $url = "http://127.0.0.1:@{[ $nginx->port ]}";
    my $said = `$curl --data-binary \@$file $url/api/place-order`;
    like $said, qr{^HTTP/2 202}, 'accepted';
    like $said, qr{^location: /api/orders/$uuid\r?$}m;
    my ($id) = $said =~ /"order_identifier":"($uuid)"/;
    like `$curl $url/api/orders/$id`, qr{^HTTP/2 200.*"status":"queued"}s, 'read';
    like `$curl -H 'Idempotency-Key: k' --data-binary \@$file $url/api/place-order`, qr{^HTTP/2 202.*-8[0-9a-f]{3}-}s, 'a key';
    like `$curl -I $url/api/stock`, qr{^HTTP/2 200}, 'HEAD';
    like `$curl -H 'Transfer-Encoding:' -H 'Content-Length:' -T $file -X POST $url/api/place-order`, qr{^HTTP/2 202}, 'a body without a length';
    like `$curl --data-binary \@$file $url/api/place-order`, qr{^HTTP/2 400.*"available":0}s, 'sold out';
};

unlike $_->log, qr/\[alert\]|\[emerg\]/, 'no process died' for $nginx, $plain;
$_->stop for $nginx, $plain;
$redis->stop;
done_testing;
