# P1 to P5, P7, P9, P10: the order's life, by workers, the gate's scripts and a real MySQL.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use JSON::PP;
use PaymentEvents;
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $test = WorkerTest->start;
my $events = PaymentEvents->new(sub { $test->sql(@_) });

sub start {
    my (%o) = @_;
    $test->clear;
    $test->forget_log;
    $test->load(1, $o{units} // 20, per_user_limit => $o{limit} // 9);
    $test->worker(name => "w$_", env => $o{env}) for 1 .. $o{workers} // 1;
}

# Orders of 1 by as many users, committed and settled.
sub order {
    my ($count) = @_;
    my @ids = $test->place_new(1, $count // 1);
    $test->wait_drained or die 'not drained';
    return wantarray ? @ids : $ids[0];
}

sub status { return $test->value('SELECT status FROM orders WHERE order_identifier = ?', $_[0]) // 'none' }
sub outcome { return $test->value('SELECT outcome FROM payment_events WHERE id = ?', $_[0]) // 'none' }
sub stock { return $test->value('SELECT stock FROM products WHERE id = 1') }

sub status_becomes {
    my ($id, $status, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $test->wait_until(sub { status($id) eq $status }, 8);
    is(status($id), $status, $name // $status);
}

sub outcome_becomes {
    my ($event, $outcome, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $test->wait_until(sub { outcome($event) eq $outcome }, 8);
    is(outcome($event), $outcome, $name // $outcome);
}

sub all_processed {
    $test->wait_until(sub { $test->value('SELECT COUNT(*) FROM payment_events WHERE processed_at IS NULL') == 0 }, 20);
}

sub overdue {
    $test->sql("UPDATE orders SET pay_by = NOW(3) - INTERVAL 1 SECOND WHERE order_identifier = ?", $_) for @_;
}

sub units_moved {
    my ($id) = @_;
    return join ' ', map { "$_->[0]$_->[1]" } @{ $test->stack->primary->selectall_arrayref(
        "SELECT kind, IF(units < 0, units, CONCAT('+', units)) FROM stock_movements WHERE order_identifier = ? ORDER BY id", undef, $id) };
}

# A Perl process for each, all at once.
sub at_once {
    my (@subs) = @_;
    my @pids;
    my $go = time + 0.2;
    for my $sub (@subs) {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            my $db = $test->stack->connect_to($test->stack->{env}{MYSQL_SOCKET});
            sleep $go - time if $go > time;
            eval { $sub->($db) };
            POSIX::_exit($@ ? 1 : 0);
        }
        push @pids, $pid;
    }
    my $failed = 0;
    for (@pids) { waitpid $_, 0; $failed++ if $? }
    return $failed;
}


subtest 'P1: the same success ten times, in parallel' => sub {
    start(workers => 2);
    my $id = order();
    my $body = PaymentEvents::body('succeeded', $id);
    my $failed = at_once(map { my $n = $_; sub { $_[0]->do("INSERT INTO payment_events (id, provider, body) VALUES (?, 'standard', ?)",
        undef, "p1-$n", $body) } } 1 .. 10);
    is($failed, 0);
    all_processed();
    is(status($id), 'paid');
    is($test->value("SELECT GROUP_CONCAT(n ORDER BY n) FROM (SELECT CONCAT(outcome, COUNT(*)) AS n FROM payment_events GROUP BY outcome) x"),
        'paid1,repeat9', 'paid once');
    is($test->value('SELECT payment_id FROM orders WHERE paid_at IS NOT NULL'), "pay_$id", 'the payment is noted');
    my $twice = $events->add(succeeded => $id, payment_id => 'other');
    outcome_becomes($twice, 'paid_twice', 'a second payment is flagged');
    is(status($id), 'paid', 'and the order stays');
    ok($test->wait_until(sub { $test->log_holds(qr/payment_flagged .*outcome=paid_twice/) }, 3), 'the log says so');
    is(stock(), 19);
    $test->laws_hold('the laws hold');
};

subtest 'two payments of one order: one that goes back does not take the goods along' => sub {
    start();
    my $id = order();
    my $counts = sub { return $test->value('SELECT payment_id FROM orders WHERE order_identifier = ?', $id) };
    outcome_becomes($events->add(succeeded => $id, payment_id => 'p1'), 'paid');
    outcome_becomes($events->add(succeeded => $id, payment_id => 'p2', amount => '5.00'), 'amount_mismatch', 'another one must be right as well');
    outcome_becomes($events->add(succeeded => $id, payment_id => "p$_"), 'paid_twice') for 3, 4, 5;
    outcome_becomes($events->add(refunded => $id, payment_id => 'p4'), 'other_payment', 'one that does not count goes back');
    outcome_becomes($events->add(refunded => $id, payment_id => 'p1'), 'payment_replaced', 'the one that counts goes back');
    is($test->row($id), 'paid', 'the order stays paid');
    is($counts->(), 'p3', 'by another one');
    is(units_moved($id), '', 'its unit is not on sale');
    is(stock(), 19);
    outcome_becomes($events->add(refunded => $id, payment_id => 'p1'), 'other_payment', 'the same again');
    is($counts->(), 'p3');
    outcome_becomes($events->add(refunded => $id, payment_id => 'p3'), 'payment_replaced');
    is($counts->(), 'p5', 'not one that went back');
    outcome_becomes($events->add(refunded => $id, payment_id => 'p5'), 'refunded', 'the last one ends it');
    is($test->row($id), 'refunded');
    is(stock(), 20);
    ok($test->wait_until(sub { $test->log_holds(qr/payment_flagged .*outcome=payment_replaced/) }, 3), 'the log says so');

    my $other = order();
    my @all = map { $events->add($_->[0] => $other, payment_id => $_->[1]) } [ succeeded => 'q1' ], [ succeeded => 'q2' ], [ refunded => 'q1' ];
    outcome_becomes($all[2], 'payment_replaced', 'also when they come at once');
    is($test->row($other), 'paid');
    $test->laws_hold('the laws hold');
};

subtest 'P2: failure after success; success after failure' => sub {
    start();
    my ($paid, $failed, $late) = order(3);
    $events->add(succeeded => $paid);
    status_becomes($paid, 'paid');
    outcome_becomes($events->add(failed => $paid), 'ignored', 'a failure after the success changes nothing');
    is(status($paid), 'paid');

    $events->add(failed => $_) for $failed, $late;
    status_becomes($_, 'failed_payment') for $failed, $late;
    is(stock(), 19, 'two units are back');
    is($test->record($failed) =~ s/ \d+$//r, "failed_payment payment_failed 1 1 2", 'the gate knows why');
    outcome_becomes($events->add(succeeded => $late), 'paid_late', 'late success, there is stock');
    is(status($late), 'paid');
    is(units_moved($late), 'failure+1 failure-1', 'the book says both');
    is(stock(), 18);
    $test->laws_hold('the laws hold with a late payment');

    $test->change_stock(1, -18);
    outcome_becomes($events->add(succeeded => $failed), 'refund_pending', 'late success, and no stock');
    is(status($failed), 'refund_pending');
    ok($test->wait_until(sub { $test->log_holds(qr{level=error.*event=refund_pending order=$failed}) }, 3), 'loudly');
    is(stock(), 0);
    my ($code, $text) = $test->stack->checkoutctl('payments', '--json');
    like($text, qr/"outcome":\s*"refund_pending"/, 'payments lists it');
    outcome_becomes($events->add(refunded => $failed), 'refunded', 'the money went back');
    is(status($failed), 'refunded');
    $test->laws_hold('the laws hold');
};

subtest 'P2: success for an order that never had stock' => sub {
    start(units => 5);
    $test->end_worker($_) for keys %{ $test->{workers} };
    my ($one, $other, $cheap) = $test->place_new(1, 3);
    $test->change_stock(1, -5);
    $test->worker(name => 'b');
    $test->wait_drained;
    is($test->row($_), 'failed out_of_stock') for $one, $other, $cheap;
    outcome_becomes($events->add(succeeded => $one), 'refund_pending', 'no stock');
    is($test->value('SELECT total_price FROM orders WHERE order_identifier = ?', $one), '19.80', 'what was paid is noted');
    $test->change_stock(1, 2);
    outcome_becomes($events->add(succeeded => $other), 'paid_late', 'there is stock now');
    is($test->value('SELECT CONCAT(quantity, " x ", unit_price) FROM order_items WHERE order_identifier = ?', $other), '1 x 19.80',
        'it has its item');
    outcome_becomes($events->add(succeeded => $cheap, amount => '9.80'), 'refund_pending', 'its price was never that');
    is(stock(), 1);
    outcome_becomes($events->add(refunded => $one), 'refunded', 'the whole of it went back');
    $test->laws_hold('the laws hold');
};

subtest 'P3: failure and expiry at the same instant; two sweeps; cancel against pay' => sub {
    start(units => 60, limit => 99, workers => 2);
    my @ids = order(40);
    my @events = map { $events->add(failed => $_) } @ids[0 .. 19];
    overdue(@ids[0 .. 29]);
    my @paid = map { $events->add(succeeded => $_) } @ids[30 .. 39];
    for (@ids[30 .. 39]) { my ($code) = $test->stack->checkoutctl('order', 'cancel', $_); }
    all_processed();
    $test->wait_until(sub { $test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment'") == 0 }, 10);
    like(status($_), qr/^(?:failed_payment|cancelled)$/, 'one of both') for @ids[0 .. 19];
    is(status($_), 'cancelled', 'expired') for @ids[20 .. 29];
    is(status($_), 'paid', 'paid, before or after the cancellation') for @ids[30 .. 39];
    is($test->value("SELECT MAX(n) FROM (SELECT COUNT(*) AS n FROM stock_movements WHERE order_identifier IS NOT NULL AND units > 0
                      GROUP BY order_identifier) x"), 1, 'exactly one transition owns the release');
    is(stock(), 50);
    $test->laws_hold('the laws hold');
};

subtest 'P4: killed between the commit and the push' => sub {
    for my $what (qw(failed expired)) {
        start();
        my $id = order();
        is($test->stock_at_gate(1), 19);
        $test->end_worker($_) for keys %{ $test->{workers} };
        my $pid = $test->worker(name => 'fp', failpoint => 'transition.script.before',
            env => { CHECKOUT_WORKER_RECONCILE_INTERVAL => '1h' });
        sleep 0.7;    # its reconciler looks at start, and then no more
        $what eq 'failed' ? $events->add(failed => $id) : overdue($id);
        ok($test->wait_until(sub { $test->has_ended($pid) }), "$what: it dies");
        is(stock(), 20, 'committed');
        is($test->stock_at_gate(1), 19, 'not pushed');
        $test->worker(name => 'other');
        ok($test->wait_until(sub { $test->stock_at_gate(1) == 20 }, 5), 'right within seconds of a restart');
        sleep 0.5;
        is($test->stock_at_gate(1), 20, 'once');
        is(stock(), 20);
        my ($code, $text) = $test->stack->checkoutctl('rebuild');
        is($code, 0, 'rebuild') or diag($text);
        $test->laws_hold('and then the record and the buyer\'s count are right too');
    }
};

subtest 'what the shop is told is written in the same transaction' => sub {
    my $secret = "$test->{stack}{dir}/events.secret";
    open my $out, '>', $secret or die $!;
    print {$out} "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n";
    close $out;
    # Nobody listens there, so all of it stays.
    start(env => { CHECKOUT_EVENTS_URL => 'http://127.0.0.1:1/', CHECKOUT_EVENTS_SECRET_FILE => $secret });
    my ($paid, $failed, $expired, $cancelled) = order(4);
    my $odd = q{p"a\\y'1};
    outcome_becomes($events->add(succeeded => $paid, payment_id => $odd), 'paid');
    outcome_becomes($events->add(succeeded => $paid, payment_id => "$odd-2"), 'paid_twice');
    ok($test->wait_until(sub { $test->log_holds(qr{outcome=paid_twice .*payment="p'a/y'1-2"}) }, 3), 'the log is logfmt whatever a payment is called');
    outcome_becomes($events->add(failed => $failed), 'failed_payment');
    overdue($expired);
    status_becomes($expired, 'cancelled');
    is($test->stack->request('POST', "/api/orders/$cancelled/cancel")->{status}, 200, 'nginx knows that the shop is told');
    $test->change_stock(1, -stock());
    outcome_becomes($events->add(succeeded => $failed), 'refund_pending');
    my %types;
    for my $row (@{ $test->stack->primary->selectall_arrayref('SELECT order_identifier, type, body FROM outgoing_events ORDER BY id') }) {
        my $body = decode_json($row->[2]);
        is($body->{type}, $row->[1], "$row->[1]: the body says so");
        like($body->{timestamp}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        is($body->{data}{order_identifier}, $row->[0]);
        is($body->{data}{payment_id}, $odd, 'the payment is told as the provider calls it') if $row->[1] eq 'order.paid';
        is("$body->{data}{total_price} $body->{data}{currency}", '19.80 TWD');
        push @{ $types{ $row->[0] } }, "$row->[1] $body->{data}{status}";
    }
    is_deeply(\%types, { $paid => ['order.paid paid'], $failed => [ 'order.failed failed_payment', 'order.refund_pending refund_pending' ],
        $expired => ['order.cancelled cancelled'], $cancelled => ['order.cancelled cancelled'] }, 'each move once');
    start();
    my $id = order();
    $test->wait_until(sub { $test->value("SELECT value FROM settings WHERE name = 'events'") eq 'off' });
    is($test->stack->request('POST', "/api/orders/$id/cancel")->{status}, 200);
    is($test->value('SELECT COUNT(*) FROM outgoing_events'), 0, 'without a url nothing is written');
};

subtest 'P5: wrong amount or currency' => sub {
    start();
    my ($id, $failed) = order(2);
    for my $wrong ([ amount => '19.79' ], [ amount => '19.81' ], [ amount => '1980' ], [ amount => '0.00' ]) {
        outcome_becomes($events->add(succeeded => $id, @$wrong), 'amount_mismatch', "@$wrong");
    }
    outcome_becomes($events->add(succeeded => $id, currency => 'USD'), 'currency_mismatch');
    is(status($id), 'pending_payment', 'not paid');
    my @bodies = ('', '{', '[]', '{"type":"payment.succeeded"}', '{"type":"payment.succeeded","data":{"order_identifier":"x"}}',
        qq({"type":"payment.succeeded","data":{"order_identifier":"$id","payment_id":"p","amount":19.80,"currency":"TWD"}}),
        qq({"type":"payment.succeeded","data":{"order_identifier":"$id","payment_id":"p","amount":"19.805","currency":"TWD"}}),
        qq({"type":"payment.succeeded","data":{"order_identifier":"$id","payment_id":"p","amount":"-19.80","currency":"TWD"}}),
        qq({"type":"payment.succeeded","data":{"order_identifier":"$id","payment_id":"p","amount":"1e3","currency":"TWD"}}),
        qq({"type":"payment.succeeded","data":{"order_identifier":"$id","amount":"19.80","currency":"TWD"}}),
        qq({"type":"payment.succeeded","data":{"order_identifier":"$id","payment_id":"p","amount":"19.80","currency":"TWD"}} x), "\xff\xfe");
    outcome_becomes($events->add(x => $id, body => $_), 'malformed', "malformed: $_") for @bodies;
    outcome_becomes($events->add(x => $id, body => '{"type":"payment.created","data":{}}'), 'ignored', 'another type');
    is(status($id), 'pending_payment', 'still not paid');
    outcome_becomes($events->add(succeeded => $id, amount => '19.8'), 'paid', 'the right amount');
    outcome_becomes($events->add(refunded => $id, amount => '5.00'), 'partial_refund', 'a part of it went back');
    is(status($id), 'paid', 'the order stays');
    $events->add(failed => $failed);
    status_becomes($failed, 'failed_payment');
    outcome_becomes($events->add(succeeded => $failed, amount => '1.00'), 'amount_mismatch', 'late and wrong');
    is(status($failed), 'failed_payment');
    is($test->value("SELECT COUNT(*) FROM payment_events WHERE outcome = 'malformed'"), scalar @bodies, 'all are kept');
    $test->laws_hold('the laws hold');
};

subtest 'Stripe: minor units, its own names' => sub {
    start();
    my @ids = order(5);
    my $stripe = sub {
        my ($type, $id, $object) = @_;
        return $events->add($type => $id, provider => 'stripe',
            body => qq({"id":"evt","type":"$type","data":{"object":{$object,"metadata":{"order_identifier":"$id"}}}}));
    };
    outcome_becomes($stripe->('checkout.session.completed', $ids[0],
        '"amount_total": 1980, "currency":"twd","payment_intent":"pi_1","payment_status":"paid"'), 'paid');
    outcome_becomes($stripe->('payment_intent.succeeded', $ids[0], '"id":"pi_1","amount_received":1980,"currency":"twd"'), 'repeat',
        'the same payment under its other name');
    outcome_becomes($stripe->('charge.refunded', $ids[0],
        '"id":"ch_1","payment_intent":"pi_1","amount":1980,"amount_refunded":980,"currency":"twd"'), 'partial_refund');
    outcome_becomes($stripe->('charge.refunded', $ids[0],
        '"id":"ch_1","payment_intent":"pi_1","amount":1980,"amount_refunded":1980,"currency":"twd"'), 'refunded');
    outcome_becomes($stripe->('checkout.session.completed', $ids[1],
        '"amount_total":1980,"currency":"twd","payment_intent":"pi_2","payment_status":"unpaid"'), 'ignored', 'not paid yet');
    outcome_becomes($stripe->('payment_intent.succeeded', $ids[1], '"id":"pi_2","amount_received":19.80,"currency":"twd"'), 'malformed',
        'no whole number');
    outcome_becomes($stripe->('payment_intent.succeeded', $ids[1], '"id":"pi_2","amount_received":19800,"currency":"twd"'),
        'amount_mismatch');
    outcome_becomes($stripe->('payment_intent.succeeded', $ids[1], '"id":"pi_2","amount_received":1980,"currency":"twd"'), 'paid');
    outcome_becomes($stripe->('checkout.session.expired', $ids[2], '"payment_intent":null'), 'failed_payment');
    outcome_becomes($stripe->('payment_intent.payment_failed', $ids[3], '"id":"pi_4"'), 'failed_payment');
    outcome_becomes($events->add(x => $ids[4], provider => 'stripe',
        body => '{"type":"payment_intent.succeeded","data":{"object":{"id":"pi","amount_received":5,"currency":"usd","metadata":{}}}}'),
        'ignored', 'somebody else\'s payment');
    $test->laws_hold('the laws hold');
};

subtest 'P7: an event before its order' => sub {
    start();
    my $id = WorkerTest::identifier();
    my ($paid, $refund) = ($events->add(succeeded => $id), $events->add(refunded => WorkerTest::identifier()));
    ok($test->wait_until(sub { ($test->value('SELECT tries FROM payment_events WHERE id = ?', $paid) // 0) >= 1 }), 'it waits');
    is(outcome($paid), 'none', 'without an outcome');
    is(status($id), 'none');
    my $other = order();
    outcome_becomes($events->add(succeeded => $other), 'paid', 'others do not wait for it');
    $test->place([ 1, [ $id, 1, 7 ] ]);
    outcome_becomes($paid, 'paid', 'applied when the order has come');
    is(status($id), 'paid');
    $test->sql("UPDATE payment_events SET received_at = NOW(3) - INTERVAL 49 HOUR, next_try_at = NOW(3) WHERE id = ?", $refund);
    outcome_becomes($refund, 'unknown_order', 'given up after two days, flagged');
    my $early = order();
    my $money_back = $events->add(refunded => $early);
    ok($test->wait_until(sub { ($test->value('SELECT tries FROM payment_events WHERE id = ?', $money_back) // 0) >= 1 }),
        'a refund before its payment waits too');
    $events->add(succeeded => $early);
    outcome_becomes($money_back, 'refunded', 'both in the end');
    is($test->row($early), 'refunded', 'without a reason: nothing failed');
    $test->laws_hold('the laws hold');
};

subtest 'P9: the payment clock starts at the commit' => sub {
    start();
    $test->end_worker($_) for keys %{ $test->{workers} };
    $test->load(2, 5);
    $test->sql('UPDATE products SET payment_timeout = 3600, version = version + 1 WHERE id = 2');
    my ($id) = $test->place_new(1, 1);
    my ($other) = $test->place_new(2, 1);
    sleep 2.2;
    $test->worker(name => 'late', env => { CHECKOUT_WORKER_PAYMENT_TIMEOUT => '2s' });
    $test->wait_drained;
    is($test->value('SELECT ROUND(TIMESTAMPDIFF(MICROSECOND, created_at, pay_by) / 1000000) FROM orders WHERE order_identifier = ?', $id), 2,
        'pay_by says so');
    is($test->value('SELECT ROUND(TIMESTAMPDIFF(MICROSECOND, created_at, pay_by) / 1000000) FROM orders WHERE order_identifier = ?', $other), 3600,
        'a product may have its own time');
    is(status($id), 'pending_payment', 'it waited longer than that in the queue, and is not overdue');
    status_becomes($id, 'cancelled', 'but is in the end');
    is($test->row($id), 'cancelled payment_expired');
    is(status($other), 'pending_payment');
    $test->laws_hold('the laws hold');
};

subtest 'law 6: money that came in time is never too late, however late it is looked at' => sub {
    start(units => 600);
    my @ids = order(600);
    $test->end_worker($_) for keys %{ $test->{workers} };
    my ($unpaid, @paid) = @ids;
    $events->add(succeeded => $_) for @paid;
    sleep 0.1;
    $test->sql('UPDATE orders SET pay_by = NOW(3)');
    sleep 0.1;
    $test->worker(name => "late$_") for 1, 2;
    all_processed();
    is($test->value("SELECT GROUP_CONCAT(DISTINCT outcome) FROM payment_events"), 'paid', 'all are paid, none too late');
    status_becomes($unpaid, 'cancelled', 'and the one without a payment expires');
    is($test->value('SELECT COUNT(*) FROM stock_movements WHERE order_identifier IS NOT NULL'), 1, 'no other unit came back meanwhile');
    $test->laws_hold('the laws hold');

    start();
    my ($waits, $back) = order(2);
    $test->sql("INSERT INTO payment_events (id, provider, body, order_identifier, type, tries, next_try_at)
                VALUES ('w', 'standard', ?, ?, 'payment.succeeded', 3, NOW(3) + INTERVAL 3 SECOND)", PaymentEvents::body(succeeded => $waits), $waits);
    my $refund = $events->add(refunded => $back);
    ok($test->wait_until(sub { ($test->value('SELECT tries FROM payment_events WHERE id = ?', $refund) // 0) >= 1 }), 'a refund waits');
    overdue($waits, $back);
    status_becomes($back, 'cancelled', 'a refund that waits keeps no order');
    is(status($waits), 'pending_payment', 'a payment that waits does');
    status_becomes($waits, 'paid');
    $test->laws_hold('the laws hold');
};

# Another session, as a person has it.
sub session { return $test->stack->connect_to($test->stack->{env}{MYSQL_SOCKET}) }

sub tries { return $test->value('SELECT tries FROM payment_events WHERE id = ?', $_[0]) // 0 }

# A trigger of the shop refuses each move of that product's orders.
sub refuse_changes_of {
    my ($product) = @_;
    $test->sql("CREATE TRIGGER not_now BEFORE UPDATE ON orders FOR EACH ROW BEGIN IF NEW.product_id = $product AND NEW.status <> OLD.status
                THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not \"now\"'; END IF; END");
}

sub all_paid {
    my ($name, $seconds, @ids) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $begin = time;
    my $paid = sub { return scalar grep { $_->[0] eq 'paid' } @{ $test->stack->primary->selectall_arrayref('SELECT status FROM orders') } };
    ok($test->wait_until(sub { $paid->() == @ids }, $seconds), $name) or diag($paid->(), ' of ', scalar @ids, ' are paid');
    note(sprintf '%.1f s', time - $begin);
}

subtest 'an order that somebody locks keeps no other payment and no expiry waiting' => sub {
    start(units => 400);
    my ($locked, $unpaid, @others) = order(302);
    my $person = session();
    $person->begin_work;
    $person->selectall_arrayref('SELECT 1 FROM orders WHERE order_identifier = ? FOR UPDATE', undef, $locked);
    my $event = $events->add(succeeded => $locked);
    $events->add(succeeded => $_) for @others;
    sleep 0.05;
    overdue($unpaid);
    all_paid('all others are paid', 12, @others);
    status_becomes($unpaid, 'cancelled', 'what is overdue expires');
    ok($test->log_holds(qr/level=warn.*event=payment_put_off id="$event" order=$locked code=1205 /), 'the log says what is put off');
    cmp_ok(tries($event), '>=', 1, 'it is tried again');
    is(outcome($event), 'none', 'it is not done');
    $person->rollback;
    overdue($locked);
    status_becomes($locked, 'paid', 'paid in time, and done as soon as it can be');
    is($test->value("SELECT GROUP_CONCAT(DISTINCT outcome) FROM payment_events"), 'paid', 'no payment came too late');
    $test->laws_hold('the laws hold');
};

subtest 'a trigger of the shop that refuses one product\'s payments keeps no others waiting' => sub {
    start(units => 400);
    $test->load(2, 20);
    my @refused = $test->place_new(2, 3);
    my @others = order(100);
    refuse_changes_of(2);
    my @events = map { $events->add(succeeded => $_) } @refused;
    $events->add(succeeded => $_) for @others;
    sleep 0.05;
    overdue(@refused);
    all_paid('all others are paid', 8, @others);
    is(status($_), 'pending_payment', 'not paid, and not expired') for @refused;
    ok($test->wait_until(sub { tries($_) >= 1 }, 5), 'it waits') for @events;
    ok($test->log_holds(qr/event=payment_put_off .*code=1644 error="not 'now'"/), 'the log says why');
    $test->sql('DROP TRIGGER not_now');
    status_becomes($_, 'paid', 'paid when the trigger is gone') for @refused;
    is($test->value("SELECT GROUP_CONCAT(DISTINCT outcome) FROM payment_events"), 'paid', 'none came too late');
    $test->laws_hold('the laws hold');
};

subtest 'a product that somebody locks keeps no other expiry waiting; nor does a trigger' => sub {
    start(units => 400);
    $test->load(2, 20);
    $test->load(3, 20);
    my @locked = order(300);    # more than one look has room for
    my @free = map { $test->place_new(2, 1) } 1 .. 5;
    my @refused = $test->place_new(3, 2);
    $test->wait_drained;
    my $person = session();
    $person->begin_work;
    $person->selectall_arrayref('SELECT 1 FROM products WHERE id = 1 FOR UPDATE');
    $test->sql("UPDATE orders SET pay_by = NOW(3) - INTERVAL 9 SECOND WHERE product_id = 1");
    overdue(@free);
    my $begin = time;
    status_becomes($_, 'cancelled', 'free') for @free;
    cmp_ok(time - $begin, '<', patient(2), 'soon');
    is($test->value("SELECT COUNT(*) FROM orders WHERE product_id = 1 AND status = 'pending_payment'"), 300, 'the others stay');
    ok($test->wait_until(sub { $test->log_holds(qr/event=expiry_failed code=1205/) }, 6), 'in the end the lock is waited for');
    my ($later) = $test->place_new(2, 1);
    $test->wait_drained;
    overdue($later);
    status_becomes($later, 'cancelled', 'and no other one keeps waiting for it');
    refuse_changes_of(3);
    $person->rollback;
    overdue(@refused);
    $test->sql("UPDATE orders SET pay_by = NOW(3) - INTERVAL 10 SECOND WHERE product_id = 3");
    $test->wait_until(sub { $test->value("SELECT COUNT(*) FROM orders WHERE product_id = 1 AND status = 'pending_payment'") == 0 }, 10);
    is(stock(), 400, 'released: they expire, behind some that a trigger refuses');
    is(status($_), 'pending_payment') for @refused;
    $test->sql('DROP TRIGGER not_now');
    status_becomes($_, 'cancelled', 'and these when the trigger is gone') for @refused;
    $test->laws_hold('the laws hold');
};

# What expiry and a late payment commit, without a word to the gate.
sub move_by_hand {
    my ($id, $status, $code, $units) = @_;
    $test->sql('UPDATE orders SET status = ?, failure_code = ? WHERE order_identifier = ?', $status, $code, $id);
    $test->sql('UPDATE products SET stock = stock + ?, live_units = live_units - ?, version = version + 1 WHERE id = 2', $units, $units);
    $test->sql("INSERT INTO stock_movements (product_id, kind, units, stock_after, order_identifier)
                SELECT id, 'cancel', ?, stock, ? FROM products WHERE id = 2", $units, $id);
    $test->sql("INSERT INTO gate_notices (order_identifier, product_id, user_id, quantity, status, failure_code, units)
                SELECT order_identifier, product_id, user_id, quantity, status, failure_code, ? FROM orders WHERE order_identifier = ?",
        -$units, $id);
}

subtest 'a rebuild between the commit of a move and the gate being told of it' => sub {
    start();
    $test->load(2, 20, per_user_limit => 9);
    my ($expired) = $test->place_new(2, 1, 7);
    my ($paid) = $test->place_new(2, 1, 8);
    $test->place_new(2, 1, 7);
    $test->wait_drained;
    $events->add(failed => $paid);
    ok($test->wait_until(sub { $test->record($paid) =~ /^failed_payment / }, 5));
    $test->end_worker($_) for keys %{ $test->{workers} };
    my $held = sub { return join ' ', map { $test->redis->hget('product:2:buyers', $_) // 0 } 7, 8 };
    is($held->(), '2 0');
    move_by_hand($expired, 'cancelled', 'payment_expired', 1);
    move_by_hand($paid, 'paid', undef, -1);
    is(($test->stack->checkoutctl('rebuild'))[0], 0, 'rebuilt');
    like($held->(), qr/^(?:2 0|1 1)$/, 'what buyers hold is what its records say, before or after');
    my ($version, $stock) = $test->stack->primary->selectrow_array('SELECT version, stock FROM products WHERE id = 2');
    my @buckets = map { 'orders:' . POSIX::strftime('%Y-%m-%d', gmtime(time + 86400 * $_)) } 0, -1, 1;
    $test->script('transition', [ @buckets, CheckoutRedis::product_keys(2), 'product:2:buyers' ],
        [ 0, 1, $version, $stock, 0, 0, 9, 0, 'open', $expired, 'cancelled', 'payment_expired', 1, 7, 1, -1, $paid, 'paid', '-', 1, 8, 1, 1 ]);
    $test->sql('DELETE FROM gate_notices');
    is($held->(), '1 1', 'and then it is told');
    $test->laws_hold('the laws hold');
    is(($test->stack->checkoutctl('rebuild'))[0], 0, 'another rebuild');
    is($held->(), '1 1', 'counts the same');
};

END { $test && eval { $test->sql('DROP TRIGGER IF EXISTS not_now') } }

subtest 'P10: cancelled while still queued' => sub {
    start(units => 10, limit => 3);
    $test->end_worker($_) for keys %{ $test->{workers} };
    my $id = WorkerTest::identifier();
    $test->place([ 1, [ $id, 3, 7 ] ]);
    is($test->redis->hget('product:1:buyers', 7), 3);
    my ($code, $text) = $test->stack->checkoutctl('order', 'cancel', $id);
    is($code, 0, 'cancelled') or diag($text);
    ($code, $text) = $test->stack->checkoutctl('order', 'cancel', $id, '--json');
    is($code, 0, 'and again');
    like($text, qr/"changed":\s*false/);
    like($test->record($id), qr/^cancelled cancelled_by_operator 1 3 7 /, 'the record says so');
    is($test->redis->hget('product:1:buyers', 7), undef, 'the buyer may buy again at once');
    ($code, $text) = $test->stack->checkoutctl('rebuild');
    is($code, 0) or diag($text);
    is($test->redis->hget('product:1:buyers', 7), undef, 'a rebuild counts it the same');
    is($test->stock_at_gate(1), 7, 'its units are in flight until a worker has seen it');
    $test->worker(name => 'a');
    $test->wait_drained;
    is($test->row($id), 'cancelled cancelled_by_operator');
    is($test->stock_at_gate(1), 10, 'all units are back');
    is($test->redis->hget('product:1:buyers', 7), undef, 'the units did not come back a second time');
    $test->laws_hold('the laws hold');

    # Paid while it waits and cancelled: the goods are the buyer's, and count.
    $test->end_worker($_) for keys %{ $test->{workers} };
    my $both = WorkerTest::identifier();
    $test->place([ 1, [ $both, 3, 7 ] ]);
    my $money = $events->add(succeeded => $both, amount => '59.40');
    $test->stack->checkoutctl('order', 'cancel', $both);
    my ($entry) = @{ $test->redis->xrange('order-processing-queue', '-', '+') };
    $test->redis->xdel('order-processing-queue', $entry->[0]);
    $test->worker(name => 'paid');
    outcome_becomes($money, 'paid_late');
    $test->redis->xadd('order-processing-queue', '*', @{ $entry->[1] });
    $test->wait_drained;
    ok($test->wait_until(sub { $test->record($both) =~ /^paid / }, 3), 'its record says paid');
    is($test->redis->hget('product:1:buyers', 7), 3, 'the buyer holds three');
    is(($test->stack->checkoutctl('order', 'refund', $both))[0], 0, 'until they are refunded') for 1, 2;
    is($test->redis->hget('product:1:buyers', 7), undef, 'once');
    $test->laws_hold('the laws hold after a late payment');

    # The gate lost or forgot a record as `paid`, and MySQL has no row: nothing is made up.
    my $strange = WorkerTest::identifier();
    $test->redis->hset('orders:' . WorkerTest::today(), $strange, 'paid - 1 1 7 1763700000123');
    ($code, $text) = $test->stack->checkoutctl('order', 'cancel', $strange);
    is($code, 2, 'a paid order that MySQL lost is not cancelled');
    is($test->row($strange), 'no row');
    $test->redis->hdel('orders:' . WorkerTest::today(), $strange);

    # A worker that committed the order and died before it settled.
    my $sold = WorkerTest::identifier();
    $test->end_worker($_) for keys %{ $test->{workers} };
    $test->place([ 1, [ $sold, 2, 8 ] ]);
    my $pid = $test->worker(name => 'fp', failpoint => 'settle.script.before');
    $test->wait_until(sub { $test->has_ended($pid) });
    is($test->row($sold), 'pending_payment', 'sold, not settled');
    ($code, $text) = $test->stack->checkoutctl('order', 'cancel', $sold);
    is($code, 0, 'cancelled');
    is($test->redis->hget('product:1:buyers', 8), undef, 'the units are the buyer\'s again');
    $test->place([ 1, [ WorkerTest::identifier(), 1, 8 ] ]);
    $test->worker(name => 'b');
    $test->wait_drained;
    is($test->redis->hget('product:1:buyers', 8), 1, 'and come back once only');
    is($test->row($sold), 'cancelled cancelled_by_operator');
    $test->laws_hold('the laws hold after a late settle');
};

subtest 'cancel, complete, refund by the operator' => sub {
    start();
    my ($id, $other) = order(2);
    my $ctl = sub { my @r = $test->stack->checkoutctl('order', @_); return $r[0] };
    is($ctl->(complete => $id), 2, 'an unpaid order cannot be completed');
    is($ctl->(refund => $id), 2, 'nor refunded');
    $events->add(succeeded => $_) for $id, $other;
    status_becomes($_, 'paid') for $id, $other;
    is($ctl->(cancel => $id), 2, 'a paid one cannot be cancelled');
    is($ctl->(complete => $id), 0);
    is($ctl->(complete => $id), 0, 'again');
    is(stock(), 18);
    is($ctl->(refund => $id, '--reason', "broken 'glass'"), 0, 'the goods are out');
    is(stock(), 18, 'no stock comes back');
    is(units_moved($id), 'adjust-1', 'the book says so');
    $test->{supplied}{1}--;
    is($ctl->(refund => $other), 0, 'paid only');
    is(stock(), 19, 'its unit is back');
    is($ctl->(cancel => WorkerTest::identifier()), 3, 'no such order');
    $test->laws_hold('the laws hold');
};

$test->clear;
done_testing;
