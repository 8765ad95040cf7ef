# S13: what is finished moves out of MySQL: laws and audit hold before and after, also where the command is killed before
# or after any of its effects and run again; identifiers stay. POINTS=regex kills at some points alone.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use JSON::PP;
use PaymentEvents;
use POSIX qw(strftime);
use Test::More;

my $stack  = CheckoutStack->start;
my $root   = "$FindBin::Bin/../..";
my $events = PaymentEvents->new(sub { $stack->do(@_) });
my $file   = "$stack->{dir}/archive.jsonl.gz";
my $before = strftime('%Y-%m-%d', gmtime(time - 30 * 86400));
unlink $file;

sub archive { my @words = @_; return $stack->checkoutctl('archive', '--before', $before, '--json', @words) }

sub archive_ok {
    my ($code, $text) = archive(@_);
    is($code, 0, "archive @_") or diag($text);
    return decode_json($text);
}

# The orders of one product, by number, with their status as MySQL has it.
sub orders { return @{ $stack->primary->selectcol_arrayref('SELECT order_identifier FROM orders WHERE product_id = ? ORDER BY user_id', undef, @_) } }
sub status { return $stack->value('SELECT status FROM orders WHERE order_identifier = ?', @_) }

sub keyed {
    my ($product, $user) = @_;
    my $answer = $stack->request('POST', '/api/place-order', CheckoutStack::order_json($product, 2, $user),
        'Idempotency-Key' => "key-$product-$user");
    return decode_json($answer->{body})->{order_identifier};
}

# Product 1: an order of each status, of 2 units each. Product 2: limited, on sale. Product 3: one completed order.
sub fill {
    $stack->add_product(1, 100);
    $stack->add_product(2, 50, '--per-user-limit', 5);
    $stack->add_product(3, 40);
    my %order = map { $_ => keyed(1, $_) } 1 .. 7;
    $order{20} = keyed(2, 20);
    $order{30} = keyed(3, 30);
    $order{8} = keyed(1, 8);
    $stack->wait_drained;
    $events->add(succeeded => $order{$_}, id => "evt_paid_$_", amount => '39.60') for 1, 2, 5, 6, 20, 30;
    $events->add(failed => $order{3}, id => 'evt_failed_3');
    CheckoutStack::wait_until(sub { !$stack->value('SELECT COUNT(*) FROM payment_events WHERE processed_at IS NULL') });
    $stack->checkoutctl_ok('order', 'complete', $order{$_}) for 1, 2, 20, 30;
    $stack->checkoutctl_ok('order', 'cancel', $order{4});
    $stack->checkoutctl_ok('order', 'refund', $_) for @order{ 2, 5 };
    # 1 completed, 2 refunded after it was completed, 3 failed_payment, 4 cancelled, 5 refunded, 6 paid, 7 and 8 unpaid
    $stack->do("INSERT INTO gateway_calls (order_identifier, next_try_at) VALUES (?, NULL)", $order{1});
    $stack->do("INSERT INTO outgoing_events (order_identifier, type, body, delivered_at, next_try_at) VALUES (?, 'order.paid', '{}', NOW(3), NULL)", $order{1});
    $stack->do("INSERT INTO outgoing_events (order_identifier, type, body) VALUES (?, 'order.paid', '{}')", $order{6});
    $stack->{supplied}{1} -= 2;    # with the buyer of order 2
    make_old();
    return %order;
}

# As if all but order 8 had happened 40 days ago.
sub make_old {
    my ($young) = $stack->primary->selectrow_array('SELECT order_identifier FROM orders WHERE user_id = 8');
    $stack->do("UPDATE orders SET updated_at = updated_at - INTERVAL 40 DAY, created_at = created_at - INTERVAL 40 DAY WHERE order_identifier <> ?", $young);
    $stack->do("UPDATE $_ - INTERVAL 40 DAY") for 'stock_movements SET created_at = created_at',
        'payment_events SET received_at = received_at - INTERVAL 40 DAY, processed_at = processed_at',
        'outgoing_events SET created_at = created_at - INTERVAL 40 DAY, delivered_at = delivered_at';
}

# Law 1 from plain SQL: what is wrong.
sub law_1 {
    my @wrong;
    for my $row (@{ $stack->primary->selectall_arrayref(
        "SELECT p.id, p.stock, (SELECT COALESCE(SUM(m.units), 0) FROM stock_movements m WHERE m.product_id = p.id AND m.kind IN ('load', 'adjust', 'archive')),
                (SELECT COALESCE(SUM(i.quantity), 0) FROM order_items i JOIN orders o USING (order_identifier)
                  WHERE i.product_id = p.id AND o.status IN ('pending_payment', 'paid', 'completed')),
                COALESCE(p.live_units, -1), COALESCE(p.supplied_units, -1) FROM products p") })
    {
        my ($id, $stock, $supplied, $live, $live_units, $supplied_units) = @$row;
        push @wrong, "product $id: stock $stock, live $live, supplied $supplied" if $stock + $live != $supplied;
        push @wrong, "product $id: counters $live_units, $supplied_units" if $live_units >= 0 && $stock + $live_units != $supplied_units;
    }
    return join '; ', @wrong;
}

sub lines {
    my $text = qx(zcat $file);
    is($?, 0, 'zcat reads the file');
    return map { decode_json($_) } split /\n/, $text;
}

my %order = fill();
$stack->laws_hold;

subtest 'S13: --dry-run counts and changes nothing' => sub {
    my $n = archive_ok('--dry-run');
    is_deeply([ @$n{qw(orders order_items gateway_calls outgoing_events)} ], [ 6, 6, 1, 1 ], 'orders, items, calls, events');
    is($n->{left}{limited}, 1, 'the order of a limited product on sale stays');
    cmp_ok($n->{stock_movements}, '>=', 3, 'movements');
    is($n->{payment_event_bodies}, 7, 'bodies of events');
    is($stack->value('SELECT COUNT(*) FROM orders WHERE archived_at IS NOT NULL'), 0, 'no stub');
    ok(!-e $file, 'no file');
};

subtest 'S13: wrong use' => sub {
    for my $words ([], ['--discard', '--to', $file], ['--to']) {
        my ($code) = archive(@$words);
        is($code, 2, "archive @$words");
    }
    for my $date ('yesterday', '2999-01-01', '2026-02-31') {
        my ($code) = $stack->checkoutctl('archive', '--before', $date, '--discard');
        is($code, 2, $date);
    }
    open my $out, '>', $file or die; print {$out} "something else\n"; close $out;
    my ($code, $text) = archive('--to', $file);
    is($code, 2, 'a file of somebody else');
    like($text, qr/was not made by this command/, 'is refused');
    unlink $file;
};

subtest 'S13: what another session has locked is left, and said' => sub {
    my $other = $stack->connect_to($stack->{env}{MYSQL_SOCKET});
    $other->begin_work;
    $other->do('SELECT * FROM products WHERE id = 3 FOR UPDATE');
    $other->do('SELECT * FROM orders WHERE order_identifier = ? FOR UPDATE', undef, $order{4});
    my $n = archive_ok('--to', $file);
    is($n->{orders}, 4, 'the others go');
    cmp_ok($n->{left}{locked}, '>=', 2, 'counted');
    is(law_1(), '', 'law 1');
    $other->rollback;
    $other->disconnect;
    $n = archive_ok('--to', $file);
    is($n->{orders}, 2, 'the next run takes them');
};

subtest 'S13: what has gone, and what stays' => sub {
    is_deeply($stack->primary->selectall_arrayref(
        'SELECT status, user_id, total_price, product_id, quantity, payment_id FROM orders WHERE archived_at IS NOT NULL ORDER BY status'),
        [ map { [ $_, 0, '0.00', undef, undef, undef ] } qw(completed completed failed_payment cancelled refunded refunded) ], 'stubs');
    is($stack->value('SELECT COUNT(*) FROM order_items'), 4, 'items of paid, unpaid and limited orders');
    is($stack->value('SELECT COUNT(*) FROM gateway_calls'), 0, 'calls of the gateway');
    is($stack->value('SELECT COUNT(*) FROM outgoing_events'), 1, 'an event that was not delivered stays');
    is($stack->value("SELECT COUNT(*) FROM payment_events WHERE body <> ''"), 0, 'bodies');
    is($stack->value('SELECT COUNT(*) FROM payment_events'), 7, 'ids stay');
    is($stack->value("SELECT COUNT(*) FROM stock_movements WHERE kind <> 'archive' AND created_at < NOW() - INTERVAL 30 DAY"), 0, 'movements');
    like($stack->value("SELECT MIN(actor) FROM stock_movements WHERE kind = 'archive'"), qr/^\w/, 'who did it');
    is(law_1(), '', 'law 1');
    $stack->{supplied}{1} -= 2;    # the completed order
    $stack->{supplied}{3} -= 2;
    $stack->laws_hold;
};

subtest 'S13: the file' => sub {
    my %seen;
    $seen{ $_->{table} }{ $_->{row}{id} // $_->{row}{order_identifier} } = $_->{row} for lines();
    is_deeply([ sort keys %seen ], [qw(gateway_calls order_items orders outgoing_events payment_events stock_movements)], 'tables');
    my $row = $seen{orders}{ $order{1} };
    is_deeply([ @$row{qw(status user_id total_price payment_id)} ], [ 'completed', 1, '39.60', "pay_$order{1}" ], 'an order');
    is(decode_json($seen{payment_events}{evt_paid_1}{body})->{type}, 'payment.succeeded', 'the body of an event');
    is((stat $file)[2] & 0777, 0600, 'is its owner\'s alone');
};

subtest 'S13: a stub is nobody\'s order' => sub {
    $stack->redis->del($stack->redis->keys('orders:*'));
    is($stack->order_status($order{1})->{status}, 'HTTP 404', 'its status');
    is($stack->request('POST', "/api/orders/$order{4}/cancel")->{status}, 404, 'its cancellation');
    my $list = decode_json($stack->request('GET', '/api/orders?user_id=1')->{body});
    is_deeply($list->{data}, [], 'its buyer\'s list');
    my ($code, $text) = $stack->checkoutctl('order', 'refund', $order{1});
    is($code, 2, 'its refund by hand');
    like($text, qr/archived/, 'says why');
    ($code, $text) = $stack->checkoutctl('order', 'show', $order{1});
    like($text, qr/archived_at/, 'order show has the stub');
};

subtest 'S13: an old event is a repeat; money that moves for a stub is flagged' => sub {
    is($stack->do('INSERT IGNORE INTO payment_events (id, provider, body) VALUES (?, ?, ?)', 'evt_paid_1', 'standard', '{}') + 0, 0, 'its id is there');
    $events->add(refunded => $order{1}, id => 'evt_late_refund', amount => '39.60');
    $events->add(succeeded => $order{4}, id => 'evt_late_payment', amount => '39.60');
    $events->add(failed => $order{3}, id => 'evt_late_failure');
    CheckoutStack::wait_until(sub { !$stack->value('SELECT COUNT(*) FROM payment_events WHERE processed_at IS NULL') });
    my %outcome = map { $_ => $stack->value('SELECT outcome FROM payment_events WHERE id = ?', $_) } qw(evt_late_refund evt_late_payment evt_late_failure);
    is_deeply(\%outcome, { evt_late_refund => 'archived', evt_late_payment => 'archived', evt_late_failure => 'repeat' }, 'outcomes');
    my ($code, $text) = $stack->checkoutctl('payments');
    like($text, qr/evt_late_refund/, 'payments lists it');
    is(status($order{1}), 'completed', 'the stub stays');
    is(status($order{4}), 'cancelled', 'this one too');
    $stack->laws_hold;
};

subtest 'S13: a late repeat of its order makes no second one' => sub {
    my $stock = $stack->db_stock(1);
    is(keyed(1, 1), $order{1}, 'the same identifier, accepted again');
    $stack->wait_drained;
    is($stack->value('SELECT COUNT(*) FROM orders WHERE order_identifier = ?', $order{1}), 1, 'one row');
    is($stack->value('SELECT COUNT(*) FROM order_items WHERE order_identifier = ?', $order{1}), 0, 'no items');
    is($stack->db_stock(1), $stock, 'no stock');
    is($stack->order_status($order{1})->{status}, 'completed', 'the record has the stub\'s verdict');
    $stack->laws_hold;
};

subtest 'S13: a limited product goes once its sale is over; what is done is not done again' => sub {
    $stack->checkoutctl_ok('product', 'close', 2);
    my $n = archive_ok('--discard');
    is($n->{orders}, 1, 'its order');
    $stack->{supplied}{2} -= 2;
    my $movements = $stack->value('SELECT COUNT(*) FROM stock_movements');
    $n = archive_ok('--to', $file);
    is_deeply([ @$n{qw(orders order_items gateway_calls stock_movements payment_event_bodies outgoing_events)} ], [ (0) x 6 ], 'nothing is left');
    is($stack->value('SELECT COUNT(*) FROM stock_movements'), $movements, 'also of movements');
    $stack->laws_hold;
};

# --- killed -------------------------------------------------------------------------------------------------------------

sub effects {
    my %seen;
    return grep { !$seen{$_}++ } map { open my $in, '<', $_ or die "$_: $!"; join('', <$in>) =~ /EFFECT\("(archive\.[a-z_]+)"/g } glob "$root/worker/ctl/archive*.c";
}

sub archive_until {
    my ($point) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        $ENV{CHECKOUT_FAILPOINT} = $point;
        { exec "$stack->{build}/failpoints/checkoutctl", '-c', $stack->{env}{WORKER_CONF}, 'archive', '--before', $before, '--to', $file }
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return $? & 127;
}

# Rows as plain SQL makes them: two products, completed and cancelled orders, an event and a movement of each.
sub fill_fast {
    $stack->do("DELETE FROM $_") for qw(outgoing_events gateway_calls payment_events order_items orders stock_movements products);
    unlink $file;
    $stack->do("INSERT INTO products (id, name, price, stock, live_units, supplied_units) VALUES (1, 'a', 1, 50, 6, 56), (2, 'b', 1, 70, NULL, NULL)");
    $stack->do("INSERT INTO stock_movements (product_id, kind, units, stock_after, created_at) VALUES (1, 'load', 50, 50, '2020-01-01'), (1, 'adjust', 6, 56, '2020-01-02'), (2, 'load', 73, 73, '2020-01-01')");
    for my $i (1 .. 9) {
        my $id = sprintf '019aa411-2f3b-7000-9c5e-%012d', $i;
        my $product = $i % 3 ? 1 : 2;
        $stack->do("INSERT INTO orders (order_identifier, user_id, status, product_id, quantity, created_at, updated_at) VALUES (?, ?, ?, ?, 1, '2020-01-01', '2020-01-01')",
            $id, $i, 'completed', $product);
        $stack->do('INSERT INTO order_items (order_identifier, product_id, quantity, unit_price) VALUES (?, ?, 1, 1)', $id, $product);
        $stack->do("INSERT INTO payment_events (id, provider, body, received_at, processed_at, outcome, order_identifier) VALUES (?, 'standard', '{}', '2020-01-01', '2020-01-01', 'paid', ?)", "evt_$i", $id);
        $stack->do("INSERT INTO outgoing_events (order_identifier, type, body, created_at, delivered_at, next_try_at) VALUES (?, 'order.paid', '{}', '2020-01-01', '2020-01-01', NULL)", $id);
        $stack->do("INSERT INTO gateway_calls (order_identifier, next_try_at) VALUES (?, NULL)", $id);
    }
}

# Of each row a line is in the file, or the row is there.
sub lost {
    my %kept;
    $kept{ $_->{table} }{ $_->{row}{order_identifier} // '' } = 1, $kept{ $_->{table} }{ $_->{row}{id} // '' } = 1 for -s $file ? lines() : ();
    my @lost;
    for my $i (1 .. 9) {
        my $id = sprintf '019aa411-2f3b-7000-9c5e-%012d', $i;
        push @lost, "order $i" if !$kept{orders}{$id} && $stack->value('SELECT user_id FROM orders WHERE order_identifier = ?', $id) != $i;
        push @lost, "item $i" if !$kept{order_items}{$id} && !$stack->value('SELECT COUNT(*) FROM order_items WHERE order_identifier = ?', $id);
        push @lost, "event $i" if !$kept{payment_events}{"evt_$i"} && $stack->value('SELECT body FROM payment_events WHERE id = ?', "evt_$i") eq '';
        push @lost, "shop's event $i" if !$kept{outgoing_events}{$id} && !$stack->value('SELECT COUNT(*) FROM outgoing_events WHERE order_identifier = ?', $id);
    }
    return join ', ', @lost;
}

$stack->end_workers;
my @effects = effects();
cmp_ok(scalar @effects, '>=', 15, scalar(@effects) . ' effects');
my $points = $ENV{POINTS} // '.';
for my $point (grep { /$points/ } map { ("$_.before", "$_.after") } @effects) {
    subtest "S13: killed at $point" => sub {
        fill_fast();
        is(archive_until($point), 9, 'the point is reached');
        is(lost(), '', 'every row is in the file, or where it was');
        is(law_1(), '', 'law 1');
        archive_ok('--to', $file);
        is(lost(), '', 'every row is in the file');
        is($stack->value('SELECT COUNT(*) FROM orders WHERE archived_at IS NOT NULL'), 9, 'the next run goes on to the end');
        is($stack->value("SELECT COUNT(*) FROM order_items") + $stack->value('SELECT COUNT(*) FROM outgoing_events') + $stack->value("SELECT COUNT(*) FROM payment_events WHERE body <> ''"), 0, 'all is gone');
        is(law_1(), '', 'law 1');
    };
}

$stack->do("DELETE FROM $_") for qw(outgoing_events gateway_calls payment_events order_items orders stock_movements products);
unlink $file;
done_testing;
