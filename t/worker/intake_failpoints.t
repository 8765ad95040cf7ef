# Every moment at which the worker can die or lose a connection: each fail point, with each kind of batch.
#
# FULL=1 crosses lost connections with all kinds of batches too (else the kinds take turns), and runs every point at its
# first, second and third pass. POINTS=regex runs only those points.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PaymentEvents;
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $root = "$FindBin::Bin/../..";
my $test = WorkerTest->start;
my $cells = 0;


# --- the effects in the source ---------------------------------------------------------------------------------

# Sources of the worker and those that it shares with nginx. checkoutctl's own are run by people, who see what became of
# a command; the jobs of the edge run in nginx alone.
sub worker_sources {
    return grep { !m{/(?:ctl/|checkoutctl|repair/rebuild|redis/(?:order_records|queue_view|beats)|mysql/(?:order_read|stock_init|prepared|row_json)\.)} }
        glob "$root/{worker,common}/{*.c,*/*.c}";
}

sub text_of {
    my ($file) = @_;
    open my $in, '<', $file or die "$file: $!";
    local $/;
    return scalar <$in>;
}

my $call = qr/\b(?:redis_call|redis_script|redisConnect\w*|db_run|db_text|db_rows|db_any|db_change_one_each|db_change_rows|mysql_real_connect|mysql_rollback|
                   mysql_commit|mysql_query|http_client_start)\(/x;
my $primitive = qr/\b(?:redisCommand\w*|redisAppend\w*|redisGetReply|mysql_real_query|mysql_send_query|mysql_stmt_\w+)\(/;

# What dial() calls is inside EFFECT("….connect", dial(…)), what log_in() calls is inside enter(), the commit of payments and
# expiry inside EFFECT("….commit", …); db_any() itself is a call.
my %wrapped_by_name = map { $_ => 1 } qw(dial enter log_in db_any change_thread_commit);

sub calls_outside {
    my ($file) = @_;
    my ($function, @outside) = ('');
    my @lines = split /\n/, text_of($file);
    for my $i (0 .. $#lines) {
        $function = $1 if $lines[$i] =~ /^(\w+)\(/;
        next if $lines[$i] !~ /^\s/ || $lines[$i] !~ $call || $wrapped_by_name{$function};
        push @outside, "$file:" . ($i + 1) . ": $lines[$i]" if $lines[$i] !~ /EFFECT\("[a-z_.]+", /;
    }
    return @outside;
}

subtest 'every outside effect has its fail points' => sub {
    my @outside = map { calls_outside($_) } worker_sources();
    is(join("\n", @outside), '', 'no call of Redis or MySQL stands outside EFFECT()');
    for my $file (grep { !m{/(?:mysql/db|redis/connection)\.c$} } worker_sources()) {
        unlike(text_of($file), $primitive, "$file calls the libraries only through mysql/db.h and redis/connection.h");
    }
};

my %seen;
# Those of the outbox and of the gateway's calls are driven by t/worker/outbound_failpoints.t, the changes that an operator
# asks for by t/worker/single_change_failpoints.t, the count of buyers by t/worker/buyers.t, what MySQL lost
# and its recovery by t/worker/recovery.t. The inbox's job runs in nginx alone, see t/ngx_module/webhook.t.
my @effects = grep { !$seen{$_}++ && !/^(?:outbox|gateway|single_change|inbox|buyers|loss|recovery)\.|^gate\.close_gone/ } map { text_of($_) =~ /EFFECT\("([a-z_.]+)"/g } worker_sources();
cmp_ok(scalar @effects, '>=', 25, scalar(@effects) . ' effects');

subtest 'a release build has none' => sub {
    my $program = "$test->{stack}{build}/checkout-worker";
    unlike(scalar qx(nm $program), qr/failpoint/, 'no function');
    unlike(scalar qx(strings $program), qr/CHECKOUT_FAILPOINT|order\.commit/, 'no name');
    like(scalar qx(nm $test->{stack}{build}/failpoints/checkout-worker), qr/failpoint_hit/, 'the test build has them');
};


# --- batches ---------------------------------------------------------------------------------------------------

# Product 1 is sold by the piece, product 2 has a limit for each buyer, product 3 is for orders that MySQL refuses.
my @id;

sub accepted {
    $test->place_new(1, 5);
    $test->place_new(2, 3);
    $test->place_new(1, 4);
    return { pending_payment => 12 };
}

sub mixed {
    accepted();
    $test->change_stock(1, -15);    # five are left of twenty
    return { pending_payment => 8, failed => 4 };
}

sub failed {
    accepted();
    $test->change_stock(1, -20);
    $test->change_stock(2, -20);
    return { failed => 12 };
}

sub duplicates {
    my @orders = map { [ WorkerTest::identifier(), 1, $_ ] } 1 .. 3;
    $test->place([ 2, @orders ], [ 2, $orders[0] ], [ 2, [ $orders[1][0], 2, 2 ] ], [ 1, [ WorkerTest::identifier(), 2, 9 ] ]);
    return { pending_payment => 4 };
}

my @kinds = ([ accepted => \&accepted ], [ mixed => \&mixed ], [ failed => \&failed ], [ duplicates => \&duplicates ]);


# --- what brings a worker to its rarer points ------------------------------------------------------------------

sub edit_by_hand {
    $test->sql('UPDATE products SET stock = stock + 5 WHERE id = 3');
    $test->{supplied}{3} += 5;
}

sub garbage {
    $test->redis->xadd('order-processing-queue', '*', 'foo', 'bar');
    $test->{dead_letters}++;
}

# An entry of this worker's own that somebody deleted before it was settled.
sub deleted_entry {
    $test->redis->xgroup('CREATE', 'order-processing-queue', 'checkout-worker', 0, 'MKSTREAM');
    my $entry = $test->redis->xadd('order-processing-queue', '*', 'foo', 'bar');
    $test->redis->xreadgroup('GROUP', 'checkout-worker', 'fp-1', 'STREAMS', 'order-processing-queue', '>');
    $test->redis->xdel('order-processing-queue', $entry);
}

# The total of this order is too large for its column.
sub refused_order {
    my ($expected) = @_;
    $test->place([ 3, [ WorkerTest::identifier(), 1_999_999_000, 77 ] ]);
    $expected->{failed}++;
}

# Also where all other orders fail there is stock to take.
sub sold {
    my ($expected) = @_;
    $test->place_new(3, 1);
    $expected->{pending_payment}++;
}

# Orders that stand in MySQL alone: one not paid in time, and those of payment events, one of which has no order yet.
sub pending_order {
    my ($product, $pay_by, $units_taken) = @_;
    my $id = WorkerTest::identifier();
    $test->sql("INSERT INTO orders (order_identifier, user_id, status, total_price, pay_by, product_id, quantity)
                VALUES (?, 5, 'pending_payment', 19.80, NOW(3) + INTERVAL ? SECOND, ?, 1)", $id, $pay_by, $product);
    $test->sql('INSERT INTO order_items (order_identifier, product_id, quantity, unit_price) VALUES (?, ?, 1, 19.80)', $id, $product);
    $test->sql('UPDATE products SET stock = stock - ?, version = version + 1 WHERE id = ?', $units_taken, $product);
    $test->stack->recount;
    return $id;
}

my $events = PaymentEvents->new(sub { $test->sql(@_) });

sub overdue {
    my ($expected) = @_;
    pending_order(3, -1, 1);
    $expected->{cancelled}++;
}

sub paid_and_failed {
    my ($expected) = @_;
    $events->add(failed => pending_order(3, 600, 1));
    $events->add(succeeded => pending_order(3, 600, 1));
    $events->add($_ => WorkerTest::identifier()) for qw(succeeded refunded);
    $expected->{$_}++ for qw(failed_payment paid);
}

# Its unit would exceed the range of the stock, so MySQL refuses the change.
sub refused_event {
    my ($expected) = @_;
    $test->load(4, 2_147_483_647);
    $events->add(failed => pending_order(4, 600, 0));
    $test->book(4, 'adjust', 1);
    $expected->{pending_payment}++;
}

# A trigger of the shop refuses what it does, until the next cell.
my $triggers = 0;

sub end_triggers {
    $test->sql('DROP TRIGGER IF EXISTS not_now') if $triggers;
    $triggers = 0;
}

END { $test && eval { end_triggers() } }

sub stuck_event {
    my ($expected) = @_;
    $test->load(4, 10);
    $events->add(succeeded => pending_order(4, 600, 1));
    $test->sql("CREATE TRIGGER not_now BEFORE UPDATE ON orders FOR EACH ROW
                BEGIN IF NEW.product_id = 4 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not now'; END IF; END");
    $triggers = 1;
    $expected->{pending_payment}++;
}

# A notice that somebody left behind.
sub left_notice {
    my ($expected) = @_;
    my $id = WorkerTest::identifier();
    $test->sql("INSERT INTO orders (order_identifier, user_id, status, failure_code, product_id, quantity)
                VALUES (?, 5, 'cancelled', 'cancelled_by_buyer', 3, 1)", $id);
    $test->sql("INSERT INTO gate_notices (order_identifier, product_id, user_id, quantity, status, units) VALUES (?, 3, 5, 1, 'cancelled', 0)", $id);
    $expected->{cancelled}++;
}

# What the recount has to do: a product whose counters lack what was before, and one without counters, made by hand.
sub not_counted { $test->sql('UPDATE products SET live_units = 0, supplied_units = 0, counted_at = NULL WHERE id = 3') }
sub no_counters { $test->sql('UPDATE products SET live_units = NULL, supplied_units = NULL, counted_at = NULL WHERE id = 3') }

sub stale_gate { $test->change_stock(3, 7) }

sub lost_register { $test->redis->del('product:3:register') }

sub wrong_count { $test->redis->hset('gate', 'products', 7) }

my %needs = (
    'stream.bury' => \&garbage, 'stream.forget' => \&deleted_entry, 'order.tombstone' => \&refused_order, 'gate.push' => \&stale_gate,
    'gate.load' => \&lost_register, 'gate.correct_counts' => \&wrong_count,
    'order.take_stock' => \&sold,
    map({ $_ => \&refused_event } qw(payment.rollback payment.reject)),
    'payment.put_off' => \&stuck_event,
    map({ $_ => \&overdue } grep { /^expiry\./ } @effects),
    map({ $_ => \&paid_and_failed } grep { /^payment\.(?!reject|rollback|put_off)/ || /^(?:change|transition)\./ } @effects),
    'change.overdue' => \&overdue,
    map({ $_ => \&edit_by_hand } grep { /^sync\./ || $_ eq 'supply.book' } @effects),
    map({ $_ => \&not_counted } qw(supply.snapshot supply.sum_page supply.write_count mysql.rollback)),
    'supply.begin' => \&no_counters,
    map({ $_ => \&left_notice } qw(notices.read notices.delete)),
);

sub prepare {
    my ($effect, $kind) = @_;
    $test->clear;
    end_triggers();
    $test->load(1, 20);
    $test->load(2, 20, per_user_limit => 9);
    $test->load(3, 2_000_000_000, price => '9999999999.99');
    $test->hold(1, 2, 1);
    $test->hold(2, 3, 1);
    $needs{$effect}->({}) if $effect eq 'stream.forget';
    my $expected = $kind->();
    $needs{$effect}->($expected) if $needs{$effect} && $effect ne 'stream.forget';
    $test->forget_log;
    return $expected;
}

sub orders_by_status {
    return { map { $_->[0] => $_->[1] } @{ $test->stack->primary->selectall_arrayref('SELECT status, COUNT(*) FROM orders GROUP BY status') } };
}

# Nothing of the queue, of the inbox and of what is overdue is left to do.
sub is_done {
    return $test->redis->xlen('order-processing-queue') == 0
        && $test->value('SELECT (SELECT COUNT(*) FROM payment_events WHERE processed_at IS NULL AND tries = 0)
                              + (SELECT COUNT(*) FROM orders WHERE pay_by < NOW(3) AND status = \'pending_payment\')') == 0;
}

sub outcome_is {
    my ($name, $expected) = @_;
    $test->wait_until(\&is_done) or return fail("$name: drained");
    my $ok = $test->laws_hold($name);
    # The reconciler would hide a double release within a second; that it had nothing to correct is part of the law.
    $ok &&= !$test->log_holds(qr/event=in_flight_corrected/) && ($name =~ /^gate\.correct_counts/ || !$test->log_holds(qr/event=gate_counts_corrected/)) || fail("$name: counts were right all the time");
    my $found = orders_by_status();
    my ($one, $other) = map { my $hash = $_; join ' ', map { "$_=$hash->{$_}" } sort keys %$hash } $found, $expected;
    return $ok && ($one eq $other || fail("$name: orders $one, expected $other"));
}


# --- the cells -------------------------------------------------------------------------------------------------

# Runs into the point, dies there, and another worker does the rest: under the same name, or taking over.
sub die_there {
    my ($effect, $point, $kind, $nth) = @_;
    my ($kind_name, $set_up) = @$kind;
    my $name = "$point, pass $nth, $kind_name";
    my $expected = prepare($effect, $set_up);
    my $pid = $test->worker(name => 'fp', failpoint => "$point:$nth");
    my $died = $test->wait_until(sub { $test->has_ended($pid) }, $nth > 1 ? 1 : 6);
    # A batch passes most points once or twice; that it passes them at all is what counts.
    return pass("$name: never reached") if !$died && $nth > 1;
    return fail("$name: reached") if !$died || $test->{status} != 9;
    my $takes_over = $cells++ % 2;
    $test->redis->hset('workers', 'fp-1', 0) if $takes_over && $effect ne 'stream.forget';
    $test->worker(name => $takes_over && $effect ne 'stream.forget' ? 'other' : 'fp');
    outcome_is($name, $expected);
}

# The same process goes on over a new connection.
sub cut_there {
    my ($effect, $point, $kind, $action) = @_;
    my ($kind_name, $set_up) = @$kind;
    my $name = "$point, $action, $kind_name";
    my $expected = prepare($effect, $set_up);
    $test->worker(name => 'fp', failpoint => "$point:$action");
    my $acted = $test->wait_until(sub { text_of("$test->{log}.stderr") =~ /failpoint \Q$point $action/ }, 6);
    # The queue may be drained already by the call whose answer was lost: what counts is what the second try does.
    sleep 0.1;
    $cells++;
    return outcome_is($name, $expected) && ($acted || fail("$name: reached"));
}

my @wanted = grep { !$ENV{POINTS} || /$ENV{POINTS}/ } @effects;
my $begin = time;

subtest 'W4, W16: the worker dies at each point' => sub {
    for my $effect (@wanted) {
        for my $point ("$effect.before", "$effect.after") {
            for my $kind (@kinds) {
                die_there($effect, $point, $kind, $_) for $ENV{FULL} ? (1 .. 3) : 1;
            }
        }
    }
    done_testing;
};
diag(sprintf '%d cells in %.0f s', $cells, time - $begin);

subtest 'W5, W7: a connection is cut at each point, both ways' => sub {
    my $next_kind = 0;
    for my $effect (@wanted) {
        my $server = $effect =~ /^(?:(?:redis|gate|scan|settle|stream|transition|in_flight|loaded_products|expiring|lease)\.|monitor\.queue)/ ? 'redis' : 'mysql';
        for my $point ("$effect.before", "$effect.after") {
            for my $action ("cut_$server", "lose_$server") {
                cut_there($effect, $point, $_, $action) for $ENV{FULL} ? @kinds : $kinds[ $next_kind++ % @kinds ];
            }
        }
    }
    done_testing;
};
diag(sprintf '%d cells in %.0f s', $cells, time - $begin);

$test->clear;
end_triggers();
done_testing;
