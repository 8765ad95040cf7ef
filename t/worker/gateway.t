# Payment by a gateway that is asked: each order once, whatever the gateway, MySQL or the worker does meanwhile; what is
# unknown is asked again and never assumed.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use DemoGateway;
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $test = WorkerTest->start;
my $token = 'a token of the gateway';
my $gateway = DemoGateway->start(token => $token, late => 2);
my $token_file = "$gateway->{dir}/token";
open my $out, '>', $token_file or die $!;
print $out "$token\n";
close $out;

sub worker {
    my (%o) = @_;
    my %env = (MODE => 'gateway', GATEWAY_URL => $gateway->url, GATEWAY_SECRET_FILE => $token_file, GATEWAY_TIMEOUT => '1s', %{ $o{payment} // {} });
    return $test->worker(%o, env => { %{ $o{env} // {} }, map { ("CHECKOUT_PAYMENT_$_" => $env{$_}) } keys %env });
}

sub begin {
    $test->clear;
    $test->forget_log;
    $gateway->forget;
    $gateway->say(@_);
    $test->load(1, 100);
}

# Orders of one unit, placed at the gate; returns their identifiers.
sub orders { my ($n) = @_; return $test->place_new(1, $n) }
sub status { my ($id) = @_; return $test->value('SELECT status FROM orders WHERE order_identifier = ?', $id) // 'none' }
sub call { my ($id) = @_; return $test->stack->primary->selectrow_hashref('SELECT *, next_try_at > NOW(3) AS later FROM gateway_calls WHERE order_identifier = ?', undef, $id) }
sub is_status { my ($id, $status, $name, $seconds) = @_; $test->wait_until(sub { status($id) eq $status }, $seconds // 10); is(status($id), $status, $name) }
sub asked { my ($id) = @_; return scalar grep { $_->[1] eq $id } $gateway->requests }
sub due_now { eval { $test->sql('UPDATE gateway_calls SET next_try_at = NOW(3) WHERE next_try_at IS NOT NULL') } }

# Money that was taken is money of orders that are paid, or that has to go back.
sub money_is_right {
    my ($name) = @_;
    my %decided = $gateway->payments;
    my @taken = sort grep { $decided{$_}{status} eq 'succeeded' } keys %decided;
    my @counted = map { $_->[0] } @{ $test->stack->primary->selectall_arrayref(
        "SELECT order_identifier FROM orders WHERE status IN ('paid', 'completed', 'refund_pending') ORDER BY order_identifier") };
    is_deeply(\@counted, \@taken, "$name: money taken is money of paid orders, or has to go back");
    $test->laws_hold($name);
}

subtest 'taken' => sub {
    begin();
    my ($id) = orders(1);
    worker();
    is_status($id, 'paid', 'paid');
    my $event = $test->stack->primary->selectrow_hashref('SELECT * FROM payment_events');
    is($event->{id}, "$id:succeeded", 'by one event');
    is($event->{provider}, 'gateway', 'of the gateway');
    like($event->{body}, qr/"payment\.succeeded".*"$id".*"19\.80".*"TWD".*"pay_/, 'that says what was paid');
    ok(call($id)->{answered_at} && !call($id)->{next_try_at}, 'the call is done');
    sleep 0.8;
    is(asked($id), 1, 'asked once');
    money_is_right('taken');
};

subtest 'declined' => sub {
    begin('fail');
    my ($id) = orders(1);
    worker();
    is_status($id, 'failed_payment', 'failed');
    like($test->value('SELECT body FROM payment_events'), qr/"payment\.failed".*"card_declined"/, 'with its reason');
    is(asked($id), 1, 'asked once');
    $test->wait_until(sub { $test->stock_at_gate(1) == 100 }, 5);
    is($test->stock_at_gate(1), 100, 'its unit can be sold again');
    money_is_right('declined');
};

for my $word (qw(hang error garbage busy cut lost late)) {
    subtest "unknown, then known: $word" => sub {
        begin($word);
        my ($id) = orders(1);
        worker();
        ok($test->wait_until(sub { (call($id) // {})->{last_error} }, 10), 'unknown: ' . ((call($id) // {})->{last_error} // ''));
        is(status($id), 'pending_payment', 'nothing is assumed');
        ok(!call($id)->{answered_at}, 'the call is open');
        is(call($id)->{last_error}, 'HTTP 200: no JSON object, or text behind it', 'and says what is wrong') if $word eq 'garbage';
        $gateway->say();
        due_now();
        is_status($id, 'paid', 'asked again, and paid');
        cmp_ok(asked($id), '>=', 2, 'with the same key');
        is($test->value('SELECT COUNT(*) FROM payment_events'), 1, 'by one event');
        money_is_right($word);
    };
}

subtest 'an answer that comes twice' => sub {
    begin('twice');
    my ($id) = orders(1);
    worker();
    is_status($id, 'paid', 'paid');
    is($test->value('SELECT COUNT(*) FROM payment_events'), 1, 'by one event');
    money_is_right('twice');
};

subtest 'a wrong token, a gateway that is not there' => sub {
    begin();
    my ($id) = orders(1);
    my $pid = worker(payment => { GATEWAY_SECRET_FILE => '' });
    ok($test->wait_until(sub { ((call($id) // {})->{last_error} // '') eq 'HTTP 401' }, 10), 'refused: unknown');
    is(status($id), 'pending_payment', 'nothing is assumed');
    $test->end_worker($pid);
    $pid = worker(payment => { GATEWAY_URL => 'http://127.0.0.1:9/' });
    due_now();
    ok($test->wait_until(sub { ((call($id) // {})->{last_error} // '') =~ /connect/i }, 10), 'nobody there: unknown');
    $test->end_worker($pid);
    worker();
    due_now();
    is_status($id, 'paid', 'paid in the end');
    ok(!$test->log_holds(qr/\Q$token\E/), 'the token is in no log');
};

subtest 'one order that hangs keeps no others waiting' => sub {
    begin();
    my ($slow, @others) = orders(30);
    $gateway->say("hang $slow");
    my $begin = time;
    worker(payment => { GATEWAY_TIMEOUT => '5s', GATEWAY_PARALLEL => 4 });
    ok($test->wait_until(sub { $test->value("SELECT COUNT(*) FROM orders WHERE status = 'paid'") == 29 }, 10), sprintf '29 others are paid in %.1f s', time - $begin);
    is(status($slow), 'pending_payment', 'the one waits');
    $gateway->say();
    is_status($slow, 'paid', 'and is paid when it was asked for again', 15);
    money_is_right('hang');
};

for my $case ([ lost => 'paid', 'it took the money: the unit is there, paid after all' ], [ hang => 'cancelled', 'it took nothing, and does not now' ]) {
    my ($word, $status, $name) = @$case;
    subtest "P3: the order expires while the answer is on its way: $word" => sub {
        begin($word);
        my ($id) = orders(1);
        my $pid = worker(env => { CHECKOUT_WORKER_PAYMENT_TIMEOUT => '2s' });
        is_status($id, 'cancelled', 'expired and cancelled');
        ok(!call($id)->{answered_at}, 'but what the gateway did is not known');
        $gateway->say();
        due_now();
        ok($test->wait_until(sub { call($id)->{answered_at} }, 10), 'asked again, and answered');
        is(($gateway->requests)[-1][3], 'cancelled', 'with a word that the order does not wait any more');
        is_status($id, $status, $name);
        money_is_right("expired, $status");
    };
}

subtest 'P2: the same, and the unit was sold to somebody else' => sub {
    begin();
    $test->change_stock(1, -99);
    $test->push_product(1, 0);
    my ($id) = orders(1);
    $gateway->say("lost $id");
    my $pid = worker(env => { CHECKOUT_WORKER_PAYMENT_TIMEOUT => '2s' });
    is_status($id, 'cancelled', 'expired and cancelled, though the money was taken');
    $test->wait_until(sub { $test->stock_at_gate(1) == 1 }, 5);
    my ($other) = orders(1);
    is_status($other, 'paid', 'somebody else buys it');
    $gateway->say();
    due_now();
    is_status($id, 'refund_pending', 'the money has to go back');
    ok($test->wait_until(sub { $test->log_holds(qr/level=error.*refund_pending|level=error.*$id/) }, 5), 'loudly');
    money_is_right('sold to somebody else');
};

subtest 'cancelled before the gateway was asked' => sub {
    begin();
    my ($id) = orders(1);
    my $pid = $test->worker(name => 'w');
    is_status($id, 'pending_payment', 'in MySQL');
    $test->end_worker($pid);
    $test->sql('INSERT INTO gateway_calls (order_identifier) VALUES (?)', $id);
    is(($test->stack->checkoutctl('order', 'cancel', $id))[0], 0, 'cancelled');
    worker();
    ok($test->wait_until(sub { !defined call($id)->{next_try_at} }, 10), 'its call is dropped');
    is(asked($id), 0, 'and the gateway never asked');
    money_is_right('cancelled');
};

subtest 'cancelled while the gateway could not be reached' => sub {
    begin();
    my ($id) = orders(1);
    my $pid = worker(payment => { GATEWAY_URL => 'http://127.0.0.1:9/' });
    ok($test->wait_until(sub { due_now(); ((call($id) // {})->{tries} // 0) > 1 && (call($id)->{last_error} // '') =~ /connect/i }, 10), 'tried, and nobody there');
    $test->wait_until(sub { !call($id)->{asked_at} }, 5);
    is(call($id)->{asked_at}, undef, 'so it was never asked for');
    $test->end_worker($pid);
    is(($test->stack->checkoutctl('order', 'cancel', $id))[0], 0, 'cancelled');
    worker();
    due_now();
    ok($test->wait_until(sub { !defined call($id)->{next_try_at} }, 10), 'its call is dropped');
    is(asked($id), 0, 'and the gateway never asked');
    is(status($id), 'cancelled', 'it stays cancelled');
    money_is_right('not reached');
};

for my $case ([ hang => 'cancelled', 'it took nothing, and the order stays cancelled' ], [ lost => 'paid', 'it took the money, and the unit is there' ]) {
    my ($word, $status, $name) = @$case;
    subtest "cancelled when the gateway had been asked: $word" => sub {
        begin($word);
        my ($id) = orders(1);
        worker();
        ok($test->wait_until(sub { asked($id) }, 10), 'asked');
        ok(call($id)->{asked_at}, 'which is written down');
        is(($gateway->requests)[0][3], '-', 'as of an order that waits');
        is(($test->stack->checkoutctl('order', 'cancel', $id))[0], 0, 'cancelled');
        ok($test->wait_until(sub { (call($id)->{last_error} // '') =~ /./ }, 10), 'no answer');
        ok(call($id)->{asked_at}, 'it may have been asked for');
        $gateway->say();
        due_now();
        ok($test->wait_until(sub { call($id)->{answered_at} }, 10), 'asked again, and answered');
        is_status($id, $status, $name);
        money_is_right("asked before: $word");
    };
}

subtest 'mode webhook: nobody is asked, but what is open is finished' => sub {
    begin('hang');
    my ($open) = orders(1);
    my $pid = worker();
    ok($test->wait_until(sub { asked($open) }, 5), 'asked');
    is($test->end_worker($pid), 0, 'the worker ends in order');
    $gateway->say();
    worker(payment => { MODE => 'webhook' });
    my ($new) = orders(1);
    is_status($open, 'paid', 'the open call is finished');
    is_status($new, 'pending_payment', 'a new order waits for its webhook');
    sleep 1;
    is(asked($new), 0, 'and is not asked for');
};

subtest 'two workers, one request each' => sub {
    begin();
    my @ids = orders(60);
    worker(name => "w$_") for 1, 2;
    ok($test->wait_until(sub { $test->value("SELECT COUNT(*) FROM orders WHERE status = 'paid'") == 60 }, 20), 'all paid');
    my %times;
    $times{ $_->[1] }++ for $gateway->requests;
    is_deeply([ grep { ($times{$_} // 0) != 1 } @ids ], [], 'each was asked for once');
    money_is_right('two workers');
};

subtest 'killed at its work again and again' => sub {
    begin();
    my @ids = orders(60);
    for my $round (1 .. 4) {
        my $pid = worker(name => "k$round");
        $test->wait_until(sub { (() = $gateway->requests) >= $round * 10 }, 5);
        $test->end_worker($pid, 'KILL');
        $test->redis->hdel('workers', "k$round-1");
    }
    worker(name => 'last');
    $test->wait_until(sub { due_now(); $test->value("SELECT COUNT(*) FROM orders WHERE status = 'paid'") == 60 }, 20);
    is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'paid'"), 60, 'all are paid');
    is($test->value('SELECT COUNT(*) FROM payment_events'), 60, 'by one event each');
    # A worker that died before it told the gate leaves a record behind; rebuild mends that.
    my ($code, $text) = $test->stack->checkoutctl('rebuild');
    is($code, 0, 'rebuild') or diag($text);
    money_is_right('killed');
};

done_testing;
