# Outgoing events: signed, sent until the shop has them, never lost and never stuck behind one that hangs.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use CheckoutTest ();
use Digest::SHA qw(hmac_sha256);
use HttpSink;
use JSON::PP ();
use IO::Socket::INET;
use MIME::Base64 qw(decode_base64 encode_base64);
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $test = WorkerTest->start;
my $sink = HttpSink->start;
my @secrets = map { 'whsec_' . encode_base64($_ x 24, '') } 'x', 'y';
my $secret_file = "$sink->{dir}/secret";

sub write_secrets { open my $out, '>', $secret_file or die $!; print $out map { "$_\n" } @_; close $out }
write_secrets($secrets[0]);

sub worker {
    my (%o) = @_;
    my %env = (URL => $o{url} // $sink->url, SECRET_FILE => $secret_file, TIMEOUT => '1s', %{ $o{events} // {} });
    return $test->worker(%o, env => { map { ("CHECKOUT_EVENTS_$_" => $env{$_}) } keys %env });
}

# Events in the outbox; returns their ids.
sub events {
    my ($n, $body) = @_;
    my $primary = $test->stack->primary;
    return map {
        $primary->do('INSERT INTO outgoing_events (order_identifier, type, body) VALUES (?, ?, ?)', undef, WorkerTest::identifier(), 'order.paid',
            $body // qq({"type":"order.paid","timestamp":"2026-11-21T06:30:00.000Z","data":{"number":$_}}));
        $primary->last_insert_id;
    } 1 .. $n;
}

sub row { my ($id) = @_; return $test->stack->primary->selectrow_hashref('SELECT *, next_try_at > NOW(3) AS later FROM outgoing_events WHERE id = ?', undef, $id) }
sub webhook_id { my ($row) = row($_[0]); return "evt_$row->{order_identifier}_" . $row->{type} =~ s/^order\.//r }
sub undelivered { return $test->value('SELECT COUNT(*) FROM outgoing_events WHERE delivered_at IS NULL') }

sub begin {
    $test->clear;
    $test->forget_log;
    $sink->forget;
    $sink->say($_[0] // '200');
}

sub signature {
    my ($request, $secret) = @_;
    my $h = $request->{headers};
    return 'v1,' . encode_base64(hmac_sha256("$h->{'webhook-id'}.$h->{'webhook-timestamp'}.$request->{body}", decode_base64($secret =~ s/^whsec_//r)), '');
}

subtest 'an event arrives, signed as Standard Webhooks wants it' => sub {
    begin();
    my ($id) = events(1, q({"type":"order.paid","data":{"text":"' \\\\ 訂單"}}));
    worker();
    ok($test->wait_until(sub { undelivered() == 0 }), 'delivered');
    my ($request, @more) = $sink->requests;
    is(scalar @more, 0, 'once');
    is($request->{line}, 'POST /hook HTTP/1.1', 'a POST');
    is($request->{headers}{'content-type'}, 'application/json', 'of JSON');
    is($request->{headers}{'webhook-id'}, webhook_id($id), 'with its id');
    like($request->{headers}{'webhook-id'}, qr/^evt_[0-9a-f-]{36}_paid$/, 'made of the order and its move');
    cmp_ok(abs($request->{headers}{'webhook-timestamp'} - time), '<', 5, 'the time of the try');
    is($request->{headers}{'webhook-signature'}, signature($request, $secrets[0]), 'and the signature');
    my $row = row($id);
    is(join(' ', map { $row->{$_} // 'null' } qw(tries next_try_at dead_at last_error)), '1 null null null', 'and is done');
    sleep 0.7;
    is(scalar(my @all = $sink->requests), 1, 'and not sent again');
};

subtest 'two secrets sign, while one takes the other\'s place' => sub {
    begin();
    write_secrets(@secrets);
    events(1);
    worker();
    ok($test->wait_until(sub { undelivered() == 0 }), 'delivered');
    my ($request) = $sink->requests;
    is($request->{headers}{'webhook-signature'}, join(' ', map { signature($request, $_) } @secrets), 'with both signatures');
    write_secrets($secrets[0]);
};

subtest 'the shop fails: again later, with the same id and a new time' => sub {
    begin('500');
    my ($id) = events(1);
    worker();
    ok($test->wait_until(sub { my @requests = $sink->requests; @requests >= 2 }, 10), 'tried twice within seconds');
    is(row($id)->{last_error}, 'HTTP 500', 'and it is written down why');
    $sink->say('200');
    ok($test->wait_until(sub { undelivered() == 0 }, 15), 'delivered once the shop works');
    my @requests = $sink->requests;
    is(join(' ', map { $_->{headers}{'webhook-id'} } @requests), join(' ', (webhook_id($id)) x @requests), 'one id');
    cmp_ok($requests[-1]{headers}{'webhook-timestamp'}, '>', $requests[0]{headers}{'webhook-timestamp'}, 'another time');
    is($_->{headers}{'webhook-signature'}, signature($_, $secrets[0]), 'signed anew') for @requests;
    cmp_ok($requests[1]{time} - $requests[0]{time}, '>', 0.45, 'not at once');
};

subtest 'whatever is no 2xx is no delivery' => sub {
    for my $word (qw(404 500 302 redirect cut close hang)) {
        begin($word);
        my ($id) = events(1);
        my $pid = worker();
        ok($test->wait_until(sub { (row($id)->{last_error} // '') ne '' }, 10), "$word: " . (row($id)->{last_error} // 'nothing'));
        my $row = row($id);
        ok(!$row->{delivered_at} && !$row->{dead_at} && $row->{later}, "$word: again later");
        my @requests = $sink->requests;
        is(scalar(grep { $_->{line} ne 'POST /hook HTTP/1.1' } @requests), 0, "$word: not followed anywhere");
        $test->end_worker($pid);
    }
    begin('flood');
    my ($id) = events(1);
    worker();
    ok($test->wait_until(sub { undelivered() == 0 }, 10), 'of a long answer the status counts');
};

subtest 'no shop at all' => sub {
    begin();
    my ($id) = events(1);
    worker(url => 'http://127.0.0.1:9/hook');
    ok($test->wait_until(sub { (row($id)->{last_error} // '') =~ /connect/i }, 10), 'why: ' . (row($id)->{last_error} // ''));
    ok($test->wait_until(sub { $test->log_holds(qr/level=warn.*event=outgoing_event_failed.*tries=1/) }, 5), 'and it is in the log');
};

subtest 'TLS: the certificate and its name are checked' => sub {
    my $dir = $sink->{dir};
    my $quietly = sub { system("@_ > $dir/openssl.log 2>&1") == 0 or die qx(cat $dir/openssl.log) };
    for my $name ('ca', 'other') {
        $quietly->("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout $dir/$name.key -out $dir/$name.pem -subj /CN=$name");
    }
    open my $ext, '>', "$dir/ext" or die $!;
    print $ext "subjectAltName=IP:127.0.0.1\n";
    close $ext;
    $quietly->("openssl req -newkey rsa:2048 -nodes -keyout $dir/server.key -out $dir/server.csr -subj /CN=server");
    $quietly->("openssl x509 -req -in $dir/server.csr -CA $dir/ca.pem -CAkey $dir/ca.key -CAcreateserial -days 2 -extfile $dir/ext -out $dir/server.pem");
    my $nginx = CheckoutTest::Nginx->start("ssl_certificate $dir/server.pem; ssl_certificate_key $dir/server.key; location / { return 200; }", listen => 'ssl');
    my $url = 'https://127.0.0.1:' . $nginx->port . '/';
    for my $case ([ 'another authority', $url, "$dir/other.pem" ], [ 'the authorities of the system', $url, '' ],
        [ 'another name', $url =~ s/127\.0\.0\.1/localhost/r, "$dir/ca.pem" ], [ 'no certificate at all', $url =~ s/https/http/r, '' ])
    {
        my ($name, $to, $ca) = @$case;
        begin();
        my ($id) = events(1);
        worker(url => $to, events => { CA_FILE => $ca });
        ok($test->wait_until(sub { row($id)->{last_error} }, 10) && !row($id)->{delivered_at}, "$name: not sent: " . (row($id)->{last_error} // ''));
    }
    begin();
    events(1);
    worker(url => $url, events => { CA_FILE => "$dir/ca.pem" });
    ok($test->wait_until(sub { undelivered() == 0 }, 10), 'the right one: sent');
};

subtest 'dead after so many tries, or when the shop wants no more' => sub {
    begin('500');
    my ($id) = events(1);
    my $pid = worker(events => { TRIES => 2 });
    ok($test->wait_until(sub { row($id)->{dead_at} }, 15), 'dead after two tries');
    is(row($id)->{tries}, 2, 'two');
    my $name = webhook_id($id);
    ok($test->wait_until(sub { $test->log_holds(qr/level=error.*event=outgoing_event_dead id=$name .*too many tries/) }, 5), 'an error in the log');
    $test->end_worker($pid);
    begin('410');
    ($id) = events(1);
    worker();
    ok($test->wait_until(sub { row($id)->{dead_at} }, 10), '410: dead at once');
    ok($test->wait_until(sub { $test->log_holds(qr/event=outgoing_event_dead.*wants no more/) }, 5), 'and says why');
    sleep 0.7;
    is(scalar(my @requests = $sink->requests), 1, 'not asked again');

    my ($code, $text) = $test->stack->checkoutctl('events', 'list');
    is($code, 0, 'checkoutctl events list');
    $name = webhook_id($id);
    like($text, qr/$id\b.*$name.*order\.paid.*dead.*HTTP 410/s, 'and lists it');
    $sink->say('200');
    is(($test->stack->checkoutctl('events', 'retry', $name =~ s/paid/cancelled/r))[0], 3, 'no such event of that order');
    is(($test->stack->checkoutctl('events', 'retry', $name))[0], 0, 'retry');
    ok($test->wait_until(sub { undelivered() == 0 }, 10), 'brings it to the shop');
    unlike(($test->stack->checkoutctl('events', 'list'))[1], qr/evt_/, 'nothing is left to list');
};

subtest 'checkoutctl events drop' => sub {
    begin();
    my ($one, $two) = events(2);
    my ($code, $text) = $test->stack->checkoutctl('events', 'drop', $one);
    is($code, 2, 'wants --yes');
    is(($test->stack->checkoutctl('events', 'drop', $one, '--yes'))[0], 0, 'drops');
    is(($test->stack->checkoutctl('events', 'drop', '999999999', '--yes'))[0], 3, 'no such event');
    is(($test->stack->checkoutctl('events', 'drop', $_, '--yes'))[0], 2, "$_ is none") for 'evt_1', 'evt_', 'x', "evt_x' OR 1", webhook_id($two) . '.x';
    worker();
    ok($test->wait_until(sub { row($two)->{delivered_at} }, 10), 'the other is sent');
    is(join(' ', map { $_->{headers}{'webhook-id'} } $sink->requests), webhook_id($two), 'and it alone');
    is(row($one)->{last_error}, 'dropped by hand', 'the dropped one says so');
};

subtest 'one that hangs keeps no others waiting; bounded in number' => sub {
    begin('hang');
    events(3);
    my $pid = worker(events => { TIMEOUT => '5s', PARALLEL => 4 });
    ok($test->wait_until(sub { my @requests = $sink->requests; @requests == 3 }, 5), 'three hang');
    $sink->say('200');
    my @ids = events(40);
    my $begin = time;
    ok($test->wait_until(sub { undelivered() == 3 }, 5), sprintf 'forty others pass in %.1f s', time - $begin);
    ok($test->wait_until(sub { undelivered() == 0 }, 20), 'and these three follow');
};

subtest 'killed after the shop had it: sent again with the same id' => sub {
    begin();
    my ($id) = events(1);
    my $pid = worker(failpoint => 'outbox.finish.before');
    ok($test->wait_until(sub { $test->has_ended($pid) }, 10), 'killed between answer and commit');
    is(scalar(my @requests = $sink->requests), 1, 'the shop has it');
    is(undelivered(), 1, 'and nobody knows');
    worker();
    sleep 1;
    is(scalar(@requests = $sink->requests), 1, 'as long as the lease lasts nothing is sent');
    ok($test->wait_until(sub { undelivered() == 0 }, 15), 'then another worker delivers it');
    is(join(' ', map { $_->{headers}{'webhook-id'} } $sink->requests), join(' ', (webhook_id($id)) x 2), 'under the same id');
};

subtest 'MySQL lost its last events: what comes after them has ids of its own' => sub {
    begin();
    worker();
    my ($lost) = events(1);
    ok($test->wait_until(sub { undelivered() == 0 }, 5), 'told');
    $test->sql('TRUNCATE outgoing_events');
    $test->sql("ALTER TABLE outgoing_events AUTO_INCREMENT = $lost");
    my ($next) = events(1);
    is($next, $lost, 'the row gets the same number again');
    ok($test->wait_until(sub { undelivered() == 0 }, 5), 'told');
    my ($first, $second) = map { $_->{headers}{'webhook-id'} } $sink->requests;
    isnt($second, $first, 'as another event');
};

subtest 'an answer that MySQL refuses keeps no others waiting' => sub {
    begin('500');
    my ($refused, $other) = events(2);
    my $order = row($refused)->{order_identifier};
    $test->sql("ALTER TABLE outgoing_events ADD CONSTRAINT refuses CHECK (order_identifier <> '$order' OR last_error IS NULL)");
    worker();
    ok($test->wait_until(sub { row($other)->{last_error} }, 10), 'the one behind it is written');
    ok($test->log_holds(qr/level=error.*event=outbox_answer_refused/), 'the one is logged');
    ok($test->wait_until(sub { $test->value('SELECT next_try_at > NOW(3) + INTERVAL 1 SECOND FROM outgoing_events WHERE id = ?', $refused) }, 5),
        'and is due again after its lease');
    $test->sql('ALTER TABLE outgoing_events DROP CONSTRAINT refuses');
    $sink->say('200');
    $test->sql('UPDATE outgoing_events SET next_try_at = NOW(3)');
    ok($test->wait_until(sub { undelivered() == 0 }, 10), 'both arrive');
};

sub received_events { return map { JSON::PP::decode_json($_->{body}) } $sink->requests }

subtest 'orders that fail after their 202' => sub {
    begin('200');
    $test->load(1, 10);
    $test->load(2, 10);
    $test->load(3, 2_000_000_000, price => '9999999999.99');
    my @ids = ($test->place_new(1, 3), $test->place_new(2, 2));
    $test->place([ 3, [ my $refused = WorkerTest::identifier(), 1_999_999_000, 77 ] ]);
    $test->change_stock(1, -9);
    $test->sql('DELETE FROM stock_movements WHERE product_id = 2');
    $test->sql('DELETE FROM products WHERE id = 2');
    my $pid = worker(failpoint => 'order.commit.after');
    ok($test->wait_until(sub { $test->has_ended($pid) }, 10), 'killed when they were committed');
    worker();
    ok($test->wait_until(sub { my @events = received_events(); @events >= 5 }, 20), 'the shop is told');
    $test->wait_drained;
    is_deeply({ map { $_->{data}{order_identifier} => "$_->{type} $_->{data}{status} $_->{data}{failure_code}" } received_events() },
        { $ids[1] => 'order.failed failed out_of_stock', $ids[2] => 'order.failed failed out_of_stock', $refused => 'order.failed failed rejected',
          map { $ids[$_] => 'order.failed failed product_gone' } 3, 4 }, 'of each, and why');
    is($test->value('SELECT COUNT(*) FROM outgoing_events'), 5, 'once');
    my ($one) = grep { $_->{data}{order_identifier} eq $ids[1] } received_events();
    like(delete $one->{timestamp}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'when');
    is_deeply($one->{data}, { order_identifier => $ids[1], user_id => 2, status => 'failed', product_id => 1, quantity => 1, total_price => '0.00',
        currency => 'TWD', payment_id => undef, failure_code => 'out_of_stock' }, 'in the form of the other events');
};

subtest 'orders that fail, and no shop that wants to know' => sub {
    begin('200');
    $test->load(1, 10);
    $test->place_new(1, 3);
    $test->change_stock(1, -10);
    $test->worker(name => 'w');
    ok($test->wait_until(sub { $test->value("SELECT COUNT(*) FROM orders WHERE status = 'failed'") == 3 }, 10), 'failed');
    is($test->value('SELECT COUNT(*) FROM outgoing_events'), 0, 'no event');
};

subtest 'workers share the events' => sub {
    begin('slow 0.05');
    my @ids = events(200);
    my @pids = map { worker(name => "w$_", events => { TIMEOUT => '20s' }) } 1 .. 3;
    ok($test->wait_until(sub { undelivered() == 0 }, 20), 'all delivered');
    my %times;
    $times{ $_->{headers}{'webhook-id'} }++ for $sink->requests;
    is(scalar keys %times, 200, 'each');
    is_deeply([ grep { $times{$_} > 1 } keys %times ], [], 'once');
};

subtest 'stopped while the shop is slow: handed back at once' => sub {
    begin('hang');
    my ($id) = events(1);
    my $pid = worker(events => { TIMEOUT => '20s' });
    ok($test->wait_until(sub { my @requests = $sink->requests; @requests == 1 }, 5), 'on its way');
    my $begin = time;
    is($test->end_worker($pid), 0, 'the worker ends in order');
    cmp_ok(time - $begin, '<', patient(5), sprintf 'the worker ends in %.1f s', time - $begin);
    ok(!row($id)->{later}, 'the event is due');
    $sink->say('200');
    worker();
    ok($test->wait_until(sub { undelivered() == 0 }, 5), 'and another worker delivers it');
};

subtest 'MySQL away while the shop answers' => sub {
    begin('slow 1.5');
    events(5);
    my $pid = worker(events => { TIMEOUT => '10s' });
    ok($test->wait_until(sub { my @requests = $sink->requests; @requests == 5 }, 5), 'on their way');
    $test->stack->end_process('KILL', $test->stack->{env}{MYSQL_PID});
    sleep 2;
    $test->stack->start_server('mysql');
    ok($test->wait_until(sub { undelivered() == 0 }, 20), 'the answers are written once MySQL is back');
    is(scalar(my @requests = $sink->requests), 5, 'and nothing was sent again');
};

begin();
ok(!$test->log_holds(qr/\Q$_\E/), 'no secret in the log') for @secrets;
done_testing;
