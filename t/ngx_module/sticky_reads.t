# Sticky reads: what the answer to a change says, and who is believed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use Test::More;
use Time::HiRes qw(time);

my $redis = CheckoutTest::redis();

# A certificate for a name that nobody checks.
my $pem = File::Temp->new(DIR => "$CheckoutTest::root/.run");
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout $pem -out $pem.crt 2> /dev/null") == 0 or die 'openssl';
my $tls_port = CheckoutRedis::free_port();

my $nginx = CheckoutTest::Nginx->start("checkout_redis 127.0.0.1:@{[ $redis->port ]};" . <<"END", listen => "; listen 127.0.0.1:$tls_port ssl");
    ssl_certificate $pem.crt;
    ssl_certificate_key $pem;
    checkout_sticky 5s;
    location = /api/place-order { checkout_place_order; }
    location = /off/place-order { checkout_sticky off; checkout_place_order; }
    location = /api/health { checkout_health; }
    location = /who { return 200 "[\$checkout_sticky]"; }
    location = /paid { add_header Set-Cookie \$checkout_sticky_cookie; return 200 "thanks"; }
    location = /off/paid { checkout_sticky off; add_header Set-Cookie \$checkout_sticky_cookie; return 200 "thanks"; }
    location = /off/who { checkout_sticky off; return 200 "[\$checkout_sticky]"; }
END

my $order = '{"product_id":17,"quantity":1,"user_id":42}';

sub now_ms { return int(time * 1000) }
sub who { my (@headers) = @_; return $nginx->get('/who', @headers)->{body} }

# One order over TLS; the answer as it came.
sub place_over_tls {
    my $request = CheckoutTest::Nginx::order_request($order, 'Connection: close');
    open my $out, '>', "$pem.request" or die $!;
    print $out $request;
    close $out;
    my $text = `openssl s_client -quiet -connect 127.0.0.1:$tls_port < $pem.request 2> /dev/null`;
    unlink "$pem.request";
    return $text;
}

subtest 'a 202 says until when, as a cookie and as a header' => sub {
    CheckoutTest::fresh(17, stock => 10);
    my $before = now_ms();
    my $answer = $nginx->place($order);
    is($answer->{status}, 202);
    my ($until) = $answer->{headers} =~ /^Checkout-Sticky: (\d+)\r?$/m;
    ok($until, 'the header') or diag $answer->{headers};
    cmp_ok($until, '>=', $before + 4900, 'not earlier than in 5 s');
    cmp_ok($until, '<=', now_ms() + 5100, 'not later than in 5 s');
    like($answer->{headers}, qr/^Set-Cookie: checkout_sticky=$until; Path=\/; Max-Age=5; HttpOnly; SameSite=Lax\r?$/m, 'the cookie');
    is(who("Cookie: checkout_sticky=$until"), '[1]', 'the cookie is believed');
    is(who("Cookie: a=b; checkout_sticky=$until; c=d"), '[1]', 'among others too');
    is(who("Checkout-Sticky: $until"), '[1]', 'the header is believed');
    is(who("Cookie: checkout_sticky=1", "Checkout-Sticky: $until"), '[1]', 'one of them is enough');
};

subtest 'over TLS the cookie is for TLS' => sub {
    CheckoutTest::fresh(17, stock => 10);
    my $answer = place_over_tls();
    like($answer, qr/^HTTP\/1\.1 202 /);
    like($answer, qr/^Set-Cookie: checkout_sticky=\d+; Path=\/; Max-Age=5; HttpOnly; SameSite=Lax; Secure\r?$/m);
};

subtest 'any location may say it, such as the page that a buyer comes back to from paying' => sub {
    my ($until) = $nginx->get('/paid')->{headers} =~ /^Set-Cookie: checkout_sticky=(\d+); Path=\/; Max-Age=5; HttpOnly; SameSite=Lax\r?$/m;
    ok($until, 'the cookie') or return;
    is(who("Cookie: checkout_sticky=$until"), '[1]', 'is believed');
    unlike($nginx->get('/off/paid')->{headers}, qr/sticky/i, 'off: nothing is said');
};

subtest 'a refusal says nothing' => sub {
    CheckoutTest::fresh(17, stock => 0);
    my $answer = $nginx->place($order);
    is($answer->{status}, 400);
    unlike($answer->{headers}, qr/sticky/i);
};

subtest 'off' => sub {
    CheckoutTest::fresh(17, stock => 10);
    my $socket = $nginx->connect;
    print $socket CheckoutTest::Nginx::order_request($order) =~ s{/api/}{/off/}r;
    my $answer = CheckoutTest::Nginx::answer($socket);
    is($answer->{status}, 202);
    unlike($answer->{headers}, qr/sticky/i, 'nothing is said');
    is($nginx->get('/off/who', 'Checkout-Sticky: ' . (now_ms() + 1000))->{body}, '[]', 'nothing is believed');
};

subtest 'what is not believed' => sub {
    is(who(), '[]', 'nothing');
    is(who('Checkout-Sticky: ' . (now_ms() - 10)), '[]', 'a time that has passed');
    is(who('Checkout-Sticky: ' . (now_ms() + 3_600_000)), '[]', 'a time that no answer would say');
    is(who("Checkout-Sticky: $_"), '[]', "\"$_\"")
        for '', '0', '-1', 'x', '9223372036854775807', '9223372036854775808', '99999999999999999999999', now_ms() . 'x', '1e15', 'a' x 4000;
    is(who("Cookie: checkout_sticky=$_"), '[]', "cookie \"$_\"") for '', 'x', now_ms() + 3_600_000, now_ms() - 10;
};

$nginx->stop;
unlink "$pem.crt";
unlike($nginx->log, qr/\[(alert|crit|emerg)\]|Sanitizer/, 'nothing bad in the log');

done_testing;
END { $redis->stop if $redis }
