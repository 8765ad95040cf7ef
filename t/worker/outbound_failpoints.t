# Every moment at which the worker can die or lose MySQL while it sends events to the shop, or asks the gateway: each fail point
# of worker/outbound/outbox.c and worker/outbound/gateway.c. What is sent arrives, what is paid is paid once, and the laws hold.
#
# POINTS=regex runs only those points.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use DemoGateway;
use HttpSink;
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $root = "$FindBin::Bin/../..";
my $test = WorkerTest->start;
my $sink = HttpSink->start;
my $gateway = DemoGateway->start;
open my $out, '>', "$sink->{dir}/secret" or die $!;
print $out 'whsec_' . encode_base64('s' x 24, ''), "\n";
close $out;

sub effects {
    my ($file) = @_;
    open my $in, '<', "$root/worker/outbound/$file" or die "$file: $!";
    local $/;
    my %seen;
    return grep { !$seen{$_}++ } <$in> =~ /EFFECT\("([a-z_.]+)"/g;
}

my @effects = map { effects($_) } 'outbox.c', 'gateway.c';
cmp_ok(scalar @effects, '>=', 20, scalar(@effects) . ' effects');
my $n = 3;    # events, and orders, of one cell

sub worker {
    my (%o) = @_;
    return $test->worker(%o, env => {
        CHECKOUT_EVENTS_URL => $sink->url, CHECKOUT_EVENTS_SECRET_FILE => "$sink->{dir}/secret", CHECKOUT_EVENTS_TIMEOUT => '2s',
        CHECKOUT_PAYMENT_MODE => 'gateway', CHECKOUT_PAYMENT_GATEWAY_URL => $gateway->url, CHECKOUT_PAYMENT_GATEWAY_TIMEOUT => '2s' });
}

# As if a lease or a back-off had run out.
sub due_now { eval { $test->sql("UPDATE $_ SET next_try_at = NOW(3) WHERE next_try_at > NOW(3)") } for qw(outgoing_events gateway_calls) }

# Puts work there; returns how many of the orders will be paid.
sub prepare {
    my ($effect) = @_;
    $test->clear;
    $sink->forget;
    $sink->say($effect eq 'outbox.hand_back' ? 'hang' : '200');
    $gateway->forget;
    $gateway->say($effect eq 'gateway.hand_back' ? 'hang' : $effect eq 'gateway.unknown' ? 'busy' : ());
    $test->load(1, 20);
    my @ids = $test->place_new(1, $n);
    $test->sql('INSERT INTO outgoing_events (order_identifier, type, body) VALUES (?, ?, ?)', WorkerTest::identifier(), 'order.paid', '{}') for 1 .. $n;
    if ($effect eq 'gateway.drop') {    # one is cancelled before anybody asks for it
        my $pid = $test->worker(name => 'first');
        $test->wait_until(sub { $test->value('SELECT COUNT(*) FROM orders') == $n }, 5);
        $test->end_worker($pid);
        $test->sql('INSERT INTO gateway_calls (order_identifier) VALUES (?)', $ids[0]);
        $test->stack->checkoutctl_ok('order', 'cancel', $ids[0]);
    }
    $test->forget_log;
    return $effect eq 'gateway.drop' ? $n - 1 : $n;
}

sub all_is_done {
    my ($paid) = @_;
    return $test->value("SELECT COUNT(*) FROM orders WHERE status = 'paid'") == $paid
        && $test->value('SELECT COUNT(*) FROM outgoing_events WHERE delivered_at IS NULL') == 0    # those of the orders too
        && $test->value('SELECT COUNT(*) FROM gateway_calls WHERE next_try_at IS NOT NULL') == 0;
}

sub outcome_is {
    my ($name, $paid) = @_;
    $sink->say('200');
    $gateway->say();
    $test->wait_until(sub { due_now(); all_is_done($paid) }, 10) or return fail("$name: all is done");
    my (%sent, %decided);
    $sent{ $_->{headers}{'webhook-id'} }++ for $sink->requests;
    %decided = $gateway->payments;
    my $events = $test->value("SELECT COUNT(*) FROM payment_events WHERE provider = 'gateway'");
    my $rows = $test->stack->primary->selectcol_arrayref(
        "SELECT CONCAT('evt_', order_identifier, '_', SUBSTRING(type, 7)) FROM outgoing_events");
    return fail("$name: each event was sent") if grep { !$sent{$_} } @$rows;
    return fail("$name: each paid order by one event, $events events") if $events != $paid || keys %decided != $paid;
    return $test->laws_hold($name);
}

# A point that is reached when the worker leaves: something must be on its way then.
sub provoke {
    my ($effect, $pid) = @_;
    return if $effect !~ /hand_back/;
    my $on_its_way = sub { my @requests = $effect =~ /^outbox/ ? $sink->requests : $gateway->requests; scalar @requests };
    $test->wait_until($on_its_way, 5);
    kill 'TERM', $pid;
}

sub run_cell {
    my ($effect, $point, $action) = @_;
    my $paid = prepare($effect);
    my $pid = worker(name => 'fp', failpoint => $action eq 'kill' ? $point : "$point:$action");
    provoke($effect, $pid);
    my $said = sub { open my $in, '<', "$test->{log}.stderr" or return 0; local $/; return (<$in> // '') =~ /failpoint \Q$point $action/ };
    my $acted = $test->wait_until($said, 6);
    my $leaves = $action eq 'kill' || $effect =~ /hand_back/;
    if ($leaves && $test->wait_until(sub { $test->has_ended($pid) }, 6)) {
        $test->redis->hset('workers', 'fp-1', 1);
        worker(name => 'other');
    }
    return outcome_is("$point, $action", $paid) && ($acted || fail("$point, $action: reached"));
}

my $begin = time;
my $cells = 0;
for my $action (qw(kill cut_mysql lose_mysql)) {
    subtest "each point: $action" => sub {
        for my $effect (grep { !$ENV{POINTS} || /$ENV{POINTS}/ } @effects) {
            # A connection that is lost behind a statement is the next one's loss.
            run_cell($effect, $_, $action), $cells++ for $action eq 'kill' ? ("$effect.before", "$effect.after") : "$effect.before";
        }
        done_testing;
    };
}
diag(sprintf '%d cells in %.0f s', $cells, time - $begin);

$test->clear;
done_testing;
