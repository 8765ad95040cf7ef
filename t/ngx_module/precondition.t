# A filter of nginx ends a request while its answer is sent: If-Match and If-Unmodified-Since of an answer that has neither make
# nginx answer 412 itself, which forgets what modules keep of the request. Every endpoint that waits has such answers; the worker
# process lives on, also where an error_page makes the same request wait once more.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use CheckoutStack;
use Digest::SHA qw(hmac_sha256);
use HttpBurst;
use JSON::PP;
use MIME::Base64 qw(decode_base64 encode_base64);
use Test::More;
use Time::HiRes qw(sleep);

my $stack = CheckoutStack->start;
my $env = $stack->{env};
my $files = File::Temp->newdir("$CheckoutTest::root/.run/files-XXXXXX");
my $secret = 'whsec_' . encode_base64('a' x 24, '');
my $token = 'an-admin-token-of-the-tests';
my $serial = 0;

sub file { my ($name, $text) = @_; open my $f, '>', "$files/$name" or die $!; print $f $text; close $f; return "$files/$name" }

# Every endpoint, below a prefix.
sub endpoints {
    my ($prefix, $page) = @_;
    return <<"END";
    location $prefix/ {
        $page
        location = $prefix/stock { checkout_stock 1; }
        location ~ ^$prefix/orders/(?<order>[^/]+)\$ { checkout_order_status \$order; }
        location ~ ^$prefix/cancel/(?<order>[^/]+)\$ { checkout_cancel_order \$order; }
        location = $prefix/query { checkout_query "SELECT id FROM products WHERE id = ?" \$arg_id:uint=1; }
        location = $prefix/readyz { checkout_ready; }
        location = $prefix/readyz-too { checkout_ready; }
        location = $prefix/init-stock { checkout_init_stock; checkout_admin_token_file @{[ file('token', "$token\n") ]}; }
        location = $prefix/webhook { checkout_webhook standard; checkout_webhook_secret_file @{[ file('secret', "$secret\n") ]}; }
        location = $prefix/place-order { checkout_place_order; }
        location = $prefix/metrics { checkout_metrics; }
        location = $prefix/healthz { checkout_health; }
    }
END
}

my %pages = (none => '', text => 'error_page 412 = @text;', health => 'error_page 412 = @health;',
    refusal => 'error_page 412 = @refusal;', uri => 'error_page 412 /none/healthz;', stock => 'error_page 412 = @stock;',
    query => 'error_page 412 = @query;', ready => 'error_page 412 = @ready;', same => 'error_page 412 /same/stock;');

my $nginx = CheckoutTest::Nginx->start(join('', map { endpoints("/$_", $pages{$_}) } sort keys %pages) . <<'END', http => <<"HTTP");
    location @text { return 200 "a page"; }
    location @health { checkout_health; }
    location @refusal { checkout_place_order; }
    location @stock { checkout_stock 1; }
    location @query { checkout_query "SELECT id FROM products WHERE id = 1"; }
    location @ready { checkout_ready; }
END
    upstream mysql { server unix:$env->{MYSQL_SOCKET} max_fails=0; }
    checkout_zone checkout:1m;
    checkout_redis 127.0.0.1:$env->{REDIS_PORT} database=$env->{REDIS_DB};
    checkout_mysql database=$env->{MYSQL_DATABASE} user=$env->{MYSQL_USER} password_file=@{[ file('mysql', $env->{MYSQL_PASSWORD}) ]};
    checkout_read_from mysql;
    checkout_primary mysql;
    checkout_timeout 3s;
HTTP

my ($worker) = $nginx->workers;

# Since the last question, no worker process has died.
sub lives {
    my ($name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is($nginx->get('/none/stock')->{status}, 200, "$name: the next request is answered");
    my ($now) = $nginx->workers;
    is($now, $worker, "$name: by the same worker process");
    $worker = $now;
}

sub new_order { return $stack->place(1, 1, 1)->{data}{order_identifier} }

sub webhook {
    my ($prefix, @headers) = @_;
    my ($id, $time, $body) = (sprintf('msg_%d_%d', $$, ++$serial), int time, '{"type":"x","data":{}}');
    my $signature = 'v1,' . encode_base64(hmac_sha256("$id.$time.$body", decode_base64($secret =~ s/^whsec_//r)), '');
    return HttpBurst::request($nginx->port, 'POST', "$prefix/webhook", $body, 'webhook-id', $id, 'webhook-timestamp', $time,
        'webhook-signature', $signature, map { split /: /, $_, 2 } @headers);
}

sub init_stock {
    my ($prefix, @headers) = @_;
    return HttpBurst::request($nginx->port, 'POST', "$prefix/init-stock",
        encode_json({ product_id => 2, product_name => 'Two', initial_db_stock => 5, initial_redis_stock => 5, force => JSON::PP::true }),
        'Authorization', "Bearer $token", map { split /: /, $_, 2 } @headers);
}

$stack->add_product(1, 1000);
my $decided = new_order();
$stack->wait_drained;

# Each answers 200 where no condition is set.
my %endpoints = (
    'live stock' => sub { my ($prefix, @headers) = @_; return $nginx->get("$prefix/stock", @headers) },
    'an order, by MySQL' => sub { my ($prefix, @headers) = @_; return $nginx->get("$prefix/orders/$decided", @headers) },
    'a query' => sub { my ($prefix, @headers) = @_; return $nginx->get("$prefix/query", @headers) },
    'readiness' => sub { my ($prefix, @headers) = @_; sleep 1.05; return $nginx->get("$prefix/readyz", @headers) },
    'readiness, as it was' => sub { my ($prefix, @headers) = @_; return $nginx->get("$prefix/readyz", @headers) },
    'metrics' => sub { my ($prefix, @headers) = @_; return $nginx->get("$prefix/metrics", @headers) },
    'health' => sub { my ($prefix, @headers) = @_; return $nginx->get("$prefix/healthz", @headers) },
    'a cancellation' => sub { my ($prefix, @headers) = @_; return $nginx->request('POST', "$prefix/cancel/" . new_order(), @headers) },
    'init-stock' => \&init_stock,
    'a webhook' => \&webhook,
);

my @conditions = ('If-Match: "x"', 'If-Unmodified-Since: Sat, 21 Nov 2026 06:30:00 GMT');

subtest 'no error_page' => sub {
    for my $name (sort keys %endpoints) {
        is($endpoints{$name}->('/none')->{status}, 200, $name);
        for my $condition (@conditions) {
            is(($endpoints{$name}->('/none', $condition) // {})->{status}, 412, "$name, $condition");
            lives($name);
        }
    }
};

subtest 'an error_page that is answered at once' => sub {
    for my $page (qw(text health refusal uri)) {
        for my $name (sort keys %endpoints) {
            my $answer = $endpoints{$name}->("/$page", $conditions[0]) // {};
            like($answer->{status}, qr/^4/, "$name, page $page");
            lives("$name, page $page");
        }
    }
};

# nginx closes such a connection: it takes the answer of an error_page for complete when it comes back from a filter.
subtest 'an error_page that waits' => sub {
    for my $page (qw(stock query ready same)) {
        for my $name (sort keys %endpoints) {
            $endpoints{$name}->("/$page", $conditions[0]);
            lives("$name, page $page");
        }
    }
};

subtest 'many wait for one answer of readiness' => sub {
    for my $page (qw(none text ready same)) {
        sleep 1.05;
        my @sockets = map { $nginx->connect } 1 .. 6;
        for my $i (0 .. $#sockets) {
            my $socket = $sockets[$i];
            my $condition = $i % 2 ? '' : "$conditions[0]\r\n";
            print $socket "GET /$page/readyz HTTP/1.1\r\nHost: localhost\r\n$condition\r\n";
        }
        my @status = map { (CheckoutTest::Nginx::answer($_) // {})->{status} } @sockets;
        is_deeply([ @status[1, 3, 5] ], [ 200, 200, 200 ], "page $page: those without a condition are answered");
        lives("page $page");
    }
};

subtest 'HEAD' => sub {
    for my $path ('/none/stock', "/none/orders/$decided", '/none/query', '/none/readyz-too', '/text/stock', '/stock/stock') {
        my $socket = $nginx->connect;
        print $socket "HEAD $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n$conditions[0]\r\n\r\n";
        my $text = do { local $/; <$socket> } // '';
        like($text, qr{^HTTP/1\.1 412 .*\r\n\r\n$}s, "HEAD $path") if $path !~ m{^/stock};
        lives("HEAD $path");
    }
};

subtest 'conditions that hold' => sub {
    for my $name (sort keys %endpoints) {
        is($endpoints{$name}->('/none', 'If-Match: *')->{status}, 200, $name);
    }
    my ($etag) = $nginx->get('/none/query')->{headers} =~ /^ETag: (.*?)\r?$/m;
    is($nginx->get('/none/query', "If-Match: $etag")->{status}, 200, 'the ETag of a query');
    is($nginx->get('/none/query', "If-None-Match: $etag")->{status}, 304, 'and 304');
    lives('conditions that hold');
};

my $answer = HttpBurst::request($nginx->port, 'POST', '/none/place-order', '{"product_id":1,"quantity":1,"user_id":1}', 'If-Match', '"x"');
is($answer->{status}, 202, 'an order is no document that a condition could be about');

unlike($nginx->log, qr/\[alert\]|\[emerg\]|exited on signal/, 'nothing in the log');
$stack->{supplied} = { map { $_ => $stack->value("SELECT COALESCE(SUM(units), 0) FROM stock_movements WHERE product_id = ? AND kind IN ('load', 'adjust', 'archive')", $_) } 1, 2 };
$stack->laws_hold;
done_testing();
