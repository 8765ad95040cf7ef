package Campaign::Laws;

# The laws, from plain SQL and Redis and from what buyers were answered; nothing of the project's own code is asked.
#
#     my @broken = Campaign::Laws::check($shop, $load->answers);    # texts; none: all laws hold

use strict;
use warnings;

my $LIVE  = "'pending_payment', 'paid', 'completed'";
my $SHOWN = 20;    # of one kind of fault

sub check {
    my ($shop, @answers) = @_;
    my $orders = $shop->primary->selectall_hashref(
        'SELECT order_identifier, user_id, status, failure_code, product_id, quantity FROM orders', 'order_identifier');
    my @broken = (oversell($shop), one_verdict($orders, @answers), nothing_lost($shop, $orders, @answers), gate($shop),
        buyers($shop), counters($shop), paid_stays($shop, $orders, @answers), told_stays($orders, @answers), reads(@answers),
        events($shop));
    return @broken > $SHOWN ? (@broken[ 0 .. $SHOWN - 1 ], @broken - $SHOWN . ' more') : @broken;
}

# Laws 1 and 4: supplied = stock + live; a movement of units back for each order that gave some back, and one only.
sub oversell {
    my ($shop) = @_;
    my @broken;
    for my $row (@{ $shop->primary->selectall_arrayref(
        "SELECT p.id, p.stock, p.live_units, p.supplied_units, p.counted_at,
                (SELECT COALESCE(SUM(m.units), 0) FROM stock_movements m WHERE m.product_id =
                    p.id AND m.kind IN ('load', 'adjust', 'archive')) AS supplied,
                (SELECT COALESCE(SUM(i.quantity), 0) FROM order_items i JOIN orders o USING (order_identifier)
                  WHERE i.product_id = p.id AND o.status IN ($LIVE)) AS live
           FROM products p", { Slice => {} }) }) {
        push @broken, "law 1: product $row->{id} has $row->{stock} units" if $row->{stock} < 0;
        push @broken, "law 1: product $row->{id}: supplied $row->{supplied}, stock $row->{stock} + live $row->{live}"
            if $row->{supplied} != $row->{stock} + $row->{live};
        push @broken, "law 9: product $row->{id}: counters $row->{live_units} and $row->{supplied_units},"
            . " live $row->{live} and supplied $row->{supplied}"
            if defined $row->{counted_at}
            && ($row->{live_units} != $row->{live} || $row->{supplied_units} != $row->{supplied});
    }
    return @broken;
}

# Law 2: the identifiers of two different orders are never the same, and a key has one.
sub one_verdict {
    my ($orders, @answers) = @_;
    my (@broken, %of_key, %seen);
    for my $order (grep { $_->{kind} eq 'order' && $_->{id} } @answers) {
        if (defined $order->{key}) {
            my $known = $of_key{"$order->{user} $order->{key}"} //= $order->{id};
            push @broken, "law 2: key $order->{key} has orders $known and $order->{id}" if $known ne $order->{id};
        }
        elsif ($seen{ $order->{id} }++) {
            push @broken, "law 2: two orders are $order->{id}";
        }
        my $row = $orders->{ $order->{id} } or next;
        push @broken, "law 2: $order->{id} is not what was ordered"
            if $row->{user_id} != $order->{user} || $row->{product_id} != $order->{product}
                || $row->{quantity} != $order->{quantity};
    }
    return @broken;
}

# Law 3.
sub nothing_lost {
    my ($shop, $orders, @answers) = @_;
    my %accepted = map { $_->{id} => 1 } grep { $_->{kind} eq 'order' && $_->{status} == 202 } @answers;
    my %dead;
    for my $entry (@{ $shop->redis->xrange('dead-letter-queue', '-', '+') }) {
        my %field = @{ $entry->[1] };
        $dead{$1}++ while join(' ', values %field) =~ /([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/g;
    }
    my @broken = map {"law 3: accepted and lost: $_"} grep { !$orders->{$_} && !$dead{$_} } sort keys %accepted;
    push @broken, map {"law 3: a dead letter: $_"} sort keys %dead;
    return @broken;
}

# Law 5, and law 1 at the gate.
sub gate {
    my ($shop) = @_;
    my @broken;
    my $queue = $shop->redis->xlen('order-processing-queue');
    push @broken, "law 5: $queue entries are left in the queue" if $queue;
    for my $row (@{ $shop->primary->selectall_arrayref('SELECT id, stock FROM products') }) {
        my ($id, $stock) = @$row;
        my $gate = $shop->redis->get("product:$id:stock") // 'nothing';
        my $in_flight = $shop->redis->hget("product:$id:register", 'in_flight') // 'nothing';
        push @broken, "law 5: product $id: gate $gate, MySQL $stock" if $gate ne $stock;
        push @broken, "law 5: product $id: $in_flight in flight at rest" if $in_flight ne '0';
    }
    return @broken;
}

# Law 5, for the units of buyers where there is a limit.
sub buyers {
    my ($shop) = @_;
    my @broken;
    for my $id (map { $_->[0] } @{ $shop->primary->selectall_arrayref(
        'SELECT id FROM products WHERE per_user_limit > 0') }) {
        my %right = map { $_->[0] => $_->[1] } @{ $shop->primary->selectall_arrayref(
            "SELECT o.user_id, SUM(i.quantity) FROM order_items i JOIN orders o USING (order_identifier)
              WHERE i.product_id = ? AND o.status IN ($LIVE) GROUP BY o.user_id", undef, $id) };
        my %gate = @{ $shop->redis->hgetall("product:$id:buyers") };
        for my $user (sort { $a <=> $b } keys %{ { %right, %gate } }) {
            my ($has, $should) = map { $_->{$user} // 0 } \%gate, \%right;
            push @broken, "law 5: product $id: buyer $user has $has units at the gate, $should in MySQL" if $has != $should;
        }
    }
    return @broken;
}

# Law 9's counters, where they count already.
sub counters {
    my ($shop) = @_;
    my $has = $shop->value("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE()
                            AND table_name = 'products' AND column_name = 'live_units'") or return;
    return map {"law 1: product $_->{id} counts live $_->{live_units} and supplied $_->{supplied_units}: "
            . "right are $_->{live} and $_->{supplied}"}
        grep { $_->{live_units} != $_->{live} || $_->{supplied_units} != $_->{supplied} }
        @{ $shop->primary->selectall_arrayref(
        "SELECT p.id, p.live_units, p.supplied_units,
                (SELECT COALESCE(SUM(m.units), 0) FROM stock_movements m WHERE m.product_id = p.id
                    AND m.kind IN ('load', 'adjust')) AS supplied,
                (SELECT COALESCE(SUM(i.quantity), 0) FROM order_items i JOIN orders o USING (order_identifier)
                  WHERE i.product_id = p.id AND o.status IN ($LIVE)) AS live
           FROM products p WHERE p.counted_at IS NOT NULL AND p.live_units IS NOT NULL", { Slice => {} }) };
}

# Law 2: an order of which its buyer was told that it stands was not refused afterwards.
sub told_stays {
    my ($orders, @answers) = @_;
    my %told = map { $_->{id} => $_->{state} }
        grep { $_->{kind} eq 'read' && ($_->{state} // '') =~ /^(?:pending_payment|paid|completed)$/ } @answers;
    return map {"law 2: $_ was $told{$_} and is failed"}
        grep { $orders->{$_} && $orders->{$_}{status} eq 'failed' } sort keys %told;
}

# Law 6: whose payment was taken (200) has an order that stands, or money that is to go back. A MySQL that went back may
# have lost the event; then nobody but the provider knows of it.
sub paid_stays {
    my ($shop, $orders, @answers) = @_;
    my @lost = $shop->lost;
    my %paid = map { $_->{id} => 1 } grep {
        my $line = $_;
        $line->{kind} eq 'paid' && $line->{status} == 200
            && !grep { $line->{at} > $_->[0] - 1 && $line->{at} < $_->[1] + 6 } @lost
    } @answers;
    return map {"law 6: $_ was paid and is $orders->{$_}{status}"}
        grep { $orders->{$_}
            && $orders->{$_}{status} !~ /^(?:paid|completed|refund_pending|refunded)$/ } sort keys %paid;
}

# An accepted order is never unknown to its buyer.
sub reads {
    my (@answers) = @_;
    return map {"case R1: $_->{kind} of the accepted order $_->{id} was answered 404"}
        grep { $_->{kind} =~ /^(?:read|cancel)$/ && $_->{status} == 404 } @answers;
}

# All payments were applied.
sub events {
    my ($shop) = @_;
    my $left = $shop->value('SELECT COUNT(*) FROM payment_events WHERE processed_at IS NULL');
    return $left ? "$left payment events were not applied" : ();
}

1;
