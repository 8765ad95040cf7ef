# POST /api/webhook/…: an event of a payment provider is taken when somebody with a secret signed it, and acknowledged once it
# is committed in MySQL (P1, P6, P8).
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use CheckoutTest ();
use CheckoutStack;
use Digest::SHA qw(hmac_sha256 hmac_sha256_hex);
use HttpBurst;
use JSON::PP;
use MIME::Base64 qw(decode_base64 encode_base64);
use Test::More;
use Time::HiRes qw(time);

binmode Test::More->builder->$_, ":utf8" for qw(output failure_output todo_output);

my $root  = $CheckoutTest::root;
my $stack = CheckoutStack->start;
$stack->end_workers;    # here nobody applies what is kept
my $files = File::Temp->newdir("$root/.run/files-XXXXXX");
my @secrets = map { 'whsec_' . encode_base64($_ x 24, '') } 'a' .. 'c';
my $key = 'whsec_a_key_as_stripe_has_them';

sub file { my ($name, $text) = @_; open my $f, '>:raw', "$files/$name" or die $!; print $f $text; close $f; return "$files/$name" }

sub config {
    my ($standard) = @_;
    return <<"END";
        checkout_mysql database=$stack->{env}{MYSQL_DATABASE} user=$stack->{env}{MYSQL_USER} password_file=@{[ file('mysql', $stack->{env}{MYSQL_PASSWORD}) ]};
        checkout_mysql_connect_timeout 1s;
        checkout_primary mysql_primary;
        checkout_timeout 2s;
        client_max_body_size 80k;
        client_body_buffer_size 8k;
        location = /api/webhook/payment { checkout_webhook standard; $standard }
        location = /api/webhook/stripe { checkout_webhook stripe; checkout_webhook_secret_file @{[ file('stripe', "$key\n") ]}; }
        location = /metrics { checkout_metrics; }
END
}

my $both = 'checkout_webhook_secret_file ' . file('old', "$secrets[0]\n") . ' ' . file('new', "\r\n$secrets[1]\r\n") . ';';
my $http = "checkout_zone checkout:1m; upstream mysql_primary { server unix:$stack->{env}{MYSQL_SOCKET} max_fails=0; }";
my $edge = CheckoutTest::Nginx->start(config($both), http => $http);
my $serial = 0;

sub new_id { return sprintf 'msg_%d_%d', $$, ++$serial }

sub standard {
    my ($secret, $id, $time, $body) = @_;
    return 'v1,' . encode_base64(hmac_sha256("$id.$time.$body", decode_base64($secret =~ s/^whsec_//r)), '');
}

# One event with the headers of Standard Webhooks; options: secret, id, time, signature.
sub event {
    my ($body, %o) = @_;
    my $id = $o{id} // new_id();
    my $time = $o{time} // int time;
    my $signature = $o{signature} // standard($o{secret} // $secrets[0], $id, $time, $body);
    return HttpBurst::request($edge->port, 'POST', '/api/webhook/payment', $body, 'webhook-id', $id, 'webhook-timestamp', $time,
        'webhook-signature', $signature);
}

sub stripe {
    my ($body, %o) = @_;
    my $time = $o{time} // int time;
    my $header = $o{header} // "t=$time,v1=" . hmac_sha256_hex("$time.$body", $o{key} // $key) . ',v0=' . '0' x 64;
    return HttpBurst::request($edge->port, 'POST', '/api/webhook/stripe', $body, 'Stripe-Signature', $header);
}

sub rows { return $stack->primary->selectall_arrayref('SELECT id, provider, body, processed_at FROM payment_events ORDER BY id') }
sub forget { $stack->do('DELETE FROM payment_events') }

sub code { my ($answer) = @_; return eval { decode_json($answer->{body})->{code} } // '' }

sub is_refused {
    my ($answer, $code, $name) = @_;
    is(join(' ', $answer->{status} // 'none', code($answer)), "400 $code", $name);
}

sub is_received {
    my ($answer, $name) = @_;
    is(join(' ', $answer->{status} // 'none', $answer->{body} // ''), '200 {"status":"received"}', $name);
}

forget();

my $body = '{"type":"payment.succeeded","data":{"order_identifier":"0193-x","payment_id":"pay_1","amount":"19.80","currency":"TWD"}}';

subtest 'P1: the same event ten times, in parallel' => sub {
    my $id = new_id();
    my $time = int time;
    my @request = ('POST', '/api/webhook/payment', $body, 'webhook-id', $id, 'webhook-timestamp', $time,
        'webhook-signature', standard($secrets[0], $id, $time, $body));
    my @answers = HttpBurst::burst(port => $edge->port, connections => 10, requests => [ map { [@request] } 1 .. 10 ], timeout => 10);
    is_received($_, 'each is acknowledged') for @answers;
    is(scalar @answers, 10, 'ten answers');
    is_deeply(rows(), [ [ $id, 'standard', $body, undef ] ], 'one event is kept, as it was signed, and not touched');
    is_received(event('{"another":"body"}', id => $id), 'the id alone makes it the same');
    is(rows()->[0][2], $body, 'what was kept first stays');
    forget();
};

subtest 'P6: signatures of Standard Webhooks' => sub {
    my $id = new_id();
    my $now = int time;
    is_refused(event($body, secret => $secrets[2]), 'bad_signature', 'a secret that is none of ours');
    is_refused(event($body, signature => standard($secrets[0], $id, $now, "$body "), id => $id, time => $now), 'bad_signature', 'another body');
    is_refused(event($body, signature => standard($secrets[0], $id, $now, $body), id => new_id(), time => $now), 'bad_signature', 'another id');
    is_refused(event($body, signature => standard($secrets[0], $id, $now, $body), id => $id, time => $now + 1), 'bad_signature', 'another time');
    is_refused(event($body, signature => standard($secrets[0], $id, $now, $body) =~ s/^v1/v2/r, id => $id, time => $now), 'bad_signature', 'another version');
    is_refused(event($body, signature => $_), 'bad_signature', "signature '$_'") for 'v1,', 'v1,AAAA', 'none', ',', 'v1,' . 'A' x 44;
    is_refused(event($body, time => $_), 'bad_signature', "timestamp '$_'") for 'now', '-5', "$now.5", '1e9', '9' x 30;
    is_refused(event($body, time => $now - 310), 'stale_timestamp', 'too old');
    is_refused(event($body, time => $now + 310), 'stale_timestamp', 'in the future');
    is_received(event($body, time => $now - 280), 'old enough to be late, not to be stale');
    is_refused(event($body, id => 'x' x 256), 'bad_signature', 'an id of 256 characters');
    is_received(event($body, id => 'x' x 255), 'an id of 255');
    is_refused(event($body, id => "two words"), 'bad_signature', 'an id with a space');
    is(scalar @{ rows() }, 2, 'nothing else was kept');
    for my $missing ('webhook-id', 'webhook-timestamp', 'webhook-signature') {
        my %headers = ('webhook-id' => $id, 'webhook-timestamp' => $now, 'webhook-signature' => standard($secrets[0], $id, $now, $body));
        delete $headers{$missing};
        is_refused(HttpBurst::request($edge->port, 'POST', '/api/webhook/payment', $body, %headers), 'missing_signature', "without $missing");
    }
    is_refused(HttpBurst::request($edge->port, 'POST', '/api/webhook/payment', $body, 'webhook-id', $id, 'webhook-timestamp', $now,
        'webhook-signature', standard($secrets[0], $id, $now, $body), 'webhook-id', $id), 'bad_signature', 'a header that is there twice');
    forget();
};

subtest 'P6: a secret that is being rotated' => sub {
    is_received(event($body, secret => $secrets[0]), 'the old one');
    is_received(event($body, secret => $secrets[1]), 'the new one');
    my ($id, $now) = (new_id(), int time);
    is_received(event($body, id => $id, time => $now, signature => join ' ', 'v1a,xyz', map { standard($_, $id, $now, $body) } @secrets[2, 1]),
        'several signatures, one of them good');
    is_refused(event($body, id => $id, time => $now, signature => join ' ', (standard($secrets[2], $id, $now, $body)) x 17, standard($secrets[0], $id, $now, $body)),
        'bad_signature', 'more signatures than anybody needs');
    file('old', "$secrets[2]\n");
    $edge->reload;
    ok(CheckoutStack::wait_until(sub { event($body, secret => $secrets[2])->{status} == 200 }, 5), 'after a reload the next one is good');
    ok(CheckoutStack::wait_until(sub { event($body, secret => $secrets[0])->{status} == 400 && $edge->workers == 1 }, 10), 'and the old one is not');
    file('old', "$secrets[0]\n");
    $edge->reload;
    ok(CheckoutStack::wait_until(sub { event($body, secret => $secrets[0])->{status} == 200 && $edge->workers == 1 }, 10), 'back again');
    forget();
};

subtest 'P6: Stripe' => sub {
    my $event = '{"id":"evt_1","object":"event","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","amount":1980}}}';
    my $now = int time;
    my $good = hmac_sha256_hex("$now.$event", $key);
    is_received(stripe($event), 'signed');
    is_received(stripe($event), 'again');
    is_received(stripe($event, header => "t=$now,v1=" . '0' x 64 . ",v1=$good"), 'two signatures, as while a secret is rolled');
    is_deeply([ map { [ @$_[0 .. 2] ] } @{ rows() } ], [ [ 'evt_1', 'stripe', $event ] ], 'kept once, under its own id');
    is_received(event($body, id => 'evt_1'), 'the same id at another provider');
    is(scalar @{ rows() }, 2, 'is another event');
    is_refused(stripe($event, key => 'whsec_another_key_entirely'), 'bad_signature', 'another key');
    is_refused(stripe($event, header => "t=$now,v0=$good"), 'bad_signature', 'v0 does not count');
    is_refused(stripe($event, header => "v1=$good"), 'bad_signature', 'no time');
    is_refused(stripe($event, header => "t=$now,t=$now,v1=$good"), 'bad_signature', 'two times');
    is_refused(stripe($event, time => $now - 301), 'stale_timestamp', 'too old');
    is_refused(HttpBurst::request($edge->port, 'POST', '/api/webhook/stripe', $event), 'missing_signature', 'no header');
    for my $bad ('{}', '[]', '', 'evt_1', '{"id":1}', '{"id":null}', '{"id":""}', '{"id":"evt_2","id":"evt_3"}', '{"data":{"id":"evt_4"}}', '{"id":"evt 5"}',
        '{"id":"evt_6"', '{"id":"\u0000"}', "{\"id\":\"evt_\xff\"}", '{"id":"' . 'x' x 256 . '"}', '{"id":"évt"}')
    {
        my $bytes = utf8::is_utf8($bad) ? do { my $b = $bad; utf8::encode($b); $b } : $bad;
        is_refused(stripe($bytes), 'invalid_event', 'body ' . substr($bad, 0, 30) =~ s/[^\x20-\x7e]/?/gr);
    }
    is_received(stripe('{"id":"\u0065vt_7"}'), 'an id may be written with escapes');
    is($stack->value("SELECT COUNT(*) FROM payment_events WHERE id = 'evt_7'"), 1, 'and means the same');
    forget();
};

subtest 'bodies of any bytes and sizes' => sub {
    my $bytes = join '', map { chr } 0 .. 255;
    my %bodies = (empty => '', bytes => $bytes, quotes => q{'";-- \\' OR 1=1}, most => $bytes x 256, buffer => 'x' x 8193);
    for my $name (sort keys %bodies) {
        my $id = new_id();
        is_received(event($bodies{$name}, id => $id), "$name: " . length($bodies{$name}) . ' bytes');
        ok($stack->value('SELECT body FROM payment_events WHERE id = ?', $id) eq $bodies{$name}, "$name: kept byte for byte");
    }
    is(event('x' x 65537)->{status}, 413, 'one byte more than 64 KB');
    for my $size (65536, 65537) {
        my ($id, $now, $data) = (new_id(), int time, 'y' x $size);
        my $socket = $edge->connect;
        print $socket "POST /api/webhook/payment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nwebhook-id: $id\r\nwebhook-timestamp: $now\r\n",
            'webhook-signature: ', standard($secrets[0], $id, $now, $data), "\r\n\r\n";
        printf $socket "%x\r\n%s\r\n", length $_, $_ for $data =~ /(.{1,7000})/gs;
        print $socket "0\r\n\r\n";
        is(CheckoutTest::Nginx::answer($socket)->{status}, $size > 65536 ? 413 : 200, "$size bytes in chunks");
    }
    my $answer = HttpBurst::request($edge->port, 'GET', '/api/webhook/payment');
    is($answer->{status}, 405, 'GET');
    forget();
};

subtest 'P8: MySQL is down when the event arrives' => sub {
    my $id = new_id();
    $stack->end_process('KILL', $stack->{env}{MYSQL_PID});
    my $begin = time;
    my $answer = event($body, id => $id);
    cmp_ok($answer->{status}, '>=', 500, "so that the provider sends it again: $answer->{status} " . code($answer));
    cmp_ok(time - $begin, '<', patient(4), 'said within the time-out');
    is_refused(event($body, secret => $secrets[2]), 'bad_signature', 'a bad signature is told all the same');
    $stack->start_server('mysql');
    $answer = undef;
    ok(CheckoutStack::wait_until(sub { ($answer = event($body, id => $id))->{status} == 200 }, 10), 'received once MySQL is back');
    is_deeply(rows(), [ [ $id, 'standard', $body, undef ] ], 'and kept');
    forget();
    # The stack's account may write to a MySQL that is only read_only.
    my @read_only = $stack->is_mariadb ? 'read_only' : qw(super_read_only read_only);
    $stack->administrator("SET GLOBAL $_ = 1") for reverse @read_only;
    cmp_ok(event($body, id => $id)->{status}, '>=', 500, 'a primary that must not be written to');
    $stack->administrator("SET GLOBAL $_ = 0") for @read_only;
    is_received(event($body, id => $id), 'and may again');
    forget();
};

subtest 'P8: a row that somebody else has not committed yet' => sub {
    my ($id, $other) = (new_id(), $stack->connect_to($stack->{env}{MYSQL_SOCKET}));
    $other->begin_work;
    $other->do("INSERT INTO payment_events (id, provider, body) VALUES (?, 'standard', 'x')", undef, $id);
    cmp_ok(event($body, id => $id)->{status}, '>=', 500, 'is none');
    $other->rollback;
    is_received(event($body, id => $id), 'and when it is given up, the event is kept');
    is(rows()->[0][2], $body, 'as it was signed');
    forget();
};

subtest 'counted' => sub {
    my $text = HttpBurst::request($edge->port, 'GET', '/metrics')->{body};
    for my $outcome (qw(received repeated refused failed)) {
        my ($n) = $text =~ /^checkout_webhooks_total\{outcome="$outcome"\} (\d+)$/m;
        cmp_ok($n // 0, '>', 0, "$outcome: " . ($n // 'none'));
    }
};

subtest 'nginx -t names the file and the line, and no secret' => sub {
    my $tested = sub {
        my ($config, $conf) = @_;
        my $dir = File::Temp->newdir("$root/.run/conf-XXXXXX");
        mkdir "$dir/logs";
        open my $f, '>', "$dir/nginx.conf" or die $!;
        print $f "load_module $CheckoutTest::module;\nevents {}\nhttp { $http\nserver { listen unix:$dir/s;\n", config($config), "} }\n";
        close $f;
        return scalar qx($CheckoutTest::binary -t -p $dir -e stderr -c nginx.conf 2>&1);
    };
    my %bad = (
        'behind a good one'    => [ "$secrets[0]\n\nnot_a_secret_at_all\n", qr{bad:3 does not begin with "whsec_"; the file is named in .*nginx\.conf:\d+} ],
        'too short'            => [ "whsec_c2hvcnQ=\n", qr/bad:1 is not base64 of 16 to 512 bytes/ ],
        'no base64'            => [ "whsec_%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%\n", qr/bad:1 is not base64/ ],
        'nothing in it'        => [ "\n\n", qr/no secret in ".*bad", which is named in .*nginx\.conf:\d+/ ],
        'too many of them'     => [ "$secrets[0]\n" x 17, qr/bad:17 is one too many/ ],
        'a file of another kind' => [ 'x' x 20000, qr/too long for a file of secrets/ ],
    );
    for my $name (sort keys %bad) {
        my ($text, $why) = @{ $bad{$name} };
        my $said = $tested->('checkout_webhook_secret_file ' . file('bad', $text) . ';');
        like($said, $why, $name);
        unlike($said, qr/not_a_secret_at_all|c2hvcnQ|%%%%|\Q$secrets[0]\E/, "$name: no secret is told");
    }
    like($tested->("checkout_webhook_secret_file $files/nowhere;"), qr{open\(\) ".*/nowhere" failed.*in .*nginx\.conf:\d+}, 'no such file');
    like($tested->(''), qr/"checkout_webhook" without "checkout_webhook_secret_file" in .*nginx\.conf:\d+/, 'no file');
    like($tested->("$both checkout_webhook_tolerance $_;"), qr/"checkout_webhook_tolerance" directive must be between 1s and 1h/, "tolerance $_") for '0', '2h';
    like($tested->("$both } location = /x { checkout_webhook paypal; $both"), qr/must be "standard" or "stripe"/, 'another provider');
    like($tested->("$both checkout_webhook_tolerance 1m;"), qr/test is successful/, 'and what is right is right');
};

# One event of an order as its provider sends it: method, path, body, headers.
sub standard_request {
    my ($id, $price) = @_;
    my $paid = qq({"type":"payment.succeeded","data":{"order_identifier":"$id","payment_id":"pay_$id","amount":"$price","currency":"TWD"}});
    my ($event, $time) = (new_id(), int time);
    return ('POST', '/api/webhook/payment', $paid, 'webhook-id', $event, 'webhook-timestamp', $time,
        'webhook-signature', standard($secrets[0], $event, $time, $paid));
}

sub stripe_request {
    my ($id, $price) = @_;
    my ($event, $time, $minor) = ('evt_' . new_id(), int time, $price * 100);
    my $paid = qq({"id":"$event","object":"event","type":"payment_intent.succeeded","data":{"object":{"id":"pay_$id","amount_received":$minor,)
        . qq("currency":"twd","metadata":{"order_identifier":"$id"}}}});
    return ('POST', '/api/webhook/stripe', $paid, 'Stripe-Signature', "t=$time,v1=" . hmac_sha256_hex("$time.$paid", $key));
}

sub order_status { return $stack->value('SELECT status FROM orders WHERE order_identifier = ?', $_[0]) // '' }
sub becomes { my ($id, $status) = @_; ok(CheckoutStack::wait_until(sub { order_status($id) eq $status }), $status) or diag(order_status($id)) }

# Orders that wait for their payment.
sub ordered {
    my ($count) = @_;
    my @ids = map { $stack->place(1, 1, $_)->{data}{order_identifier} } 1 .. $count;
    becomes($_, 'pending_payment') for @ids;
    return @ids;
}

for my $way ([ standard => \&standard_request ], [ stripe => \&stripe_request ]) {
    my ($provider, $request_of) = @$way;
    subtest "P1: $provider, each event ten times in parallel, while a worker applies them: paid once" => sub {
        forget();
        $stack->empty;
        $stack->add_product(1, 20);
        my @ids = ordered(10);
        my $price = $stack->value('SELECT total_price FROM orders WHERE order_identifier = ?', $ids[0]);
        my @requests = map { my @request = $request_of->($_, $price); (\@request) x 10 } @ids;
        my @answers = HttpBurst::burst(port => $edge->port, connections => 10, requests => \@requests, timeout => 20);
        is_deeply([ map { "$_->{status} $_->{body}" } @answers ], [ ('200 {"status":"received"}') x @requests ], 'each is acknowledged');
        becomes($_, 'paid') for @ids;
        is_deeply($stack->primary->selectall_arrayref('SELECT provider, outcome, COUNT(*) FROM payment_events GROUP BY provider, outcome'),
            [ [ $provider, 'paid', 10 ] ], 'by one event each');
        is($stack->value("SELECT COUNT(*) FROM orders WHERE payment_id = CONCAT('pay_', order_identifier)"), 10, 'with its own payment');
        my @late = HttpBurst::burst(port => $edge->port, connections => 10, requests => \@requests, timeout => 20);
        is(scalar(grep { $_->{status} == 200 } @late), scalar @requests, 'and all of them once more, when they are applied');
        is($stack->value('SELECT COUNT(*) FROM payment_events'), 10, 'change nothing');
        $stack->laws_hold;
    };
}

subtest 'P1: a repeat while a worker has its event in hand' => sub {
    forget();
    my $id = new_id();
    is_received(event('{"type":"other"}', id => $id), 'kept');
    my $worker = $stack->connect_to($stack->{env}{MYSQL_SOCKET});
    $worker->begin_work;
    $worker->selectrow_array('SELECT body FROM payment_events WHERE id = ? FOR UPDATE', undef, $id);
    my $begin = time;
    is_received(event('{"type":"other"}', id => $id), 'acknowledged');
    cmp_ok(time - $begin, '<', patient(0.5), 'at once');
    $worker->rollback;
    forget();
};

unlike($edge->log, qr/\Q$_\E/, 'no secret in the log') for @secrets, $key;
unlike($edge->log, qr/\[(?:alert|crit|emerg)\]|Sanitizer|runtime error/, 'nothing alarming in the log');
done_testing;
