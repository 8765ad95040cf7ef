# S6: what Redis still has to be told of a committed change. Redis away while orders fall due, are cancelled, are paid late;
# a worker that dies between commit and telling; nginx and checkoutctl that cannot tell. The units of every buyer, and the
# records, are right within seconds, without a rebuild.
#
# CHECKOUT_FULL=1: 1,000 orders and 30 s, as the case says; else less.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PaymentEvents;
use Suspend;
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $test = WorkerTest->start;
my $events = PaymentEvents->new(sub { $test->sql(@_) });
my ($orders, $seconds) = $ENV{CHECKOUT_FULL} ? (1002, 30) : (240, 3);

sub start {
    my ($units) = @_;
    $test->clear;
    $test->forget_log;
    $test->load(1, $units // 20, per_user_limit => 9);
}

sub status { return $test->value('SELECT status FROM orders WHERE order_identifier = ?', $_[0]) // 'none' }
sub notices { return $test->value('SELECT COUNT(*) FROM gate_notices') }
sub held { return $test->redis->hget('product:1:buyers', $_[0]) // 0 }
sub overdue { $test->sql('UPDATE orders SET pay_by = NOW(3) - INTERVAL 1 SECOND WHERE order_identifier = ?', $_) for @_ }
sub forget_records { my @keys = $test->redis->keys('orders:*'); $test->redis->del(@keys) if @keys }

subtest "S6: Redis away for $seconds s while $orders orders fall due, are cancelled, are paid late" => sub {
    start($orders);
    $test->worker(name => 'w');
    my @ids;
    push @ids, $test->place_new(1, $orders / 6) for 1 .. 6;
    $test->wait_drained(30) or die 'not drained';
    my @due = splice @ids, 0, $orders / 3;
    my @cancelled = splice @ids, 0, $orders / 3;
    my @late = @ids;
    $events->add(failed => $_) for @late;
    ok($test->wait_until(sub { $test->value("SELECT COUNT(*) FROM orders WHERE status = 'failed_payment'") == @late }, 20), 'a third failed');
    ok($test->wait_until(sub { notices() == 0 }, 8), 'and the gate was told');
    Suspend::stop($test->stack->{env}{REDIS_PID});
    my $back = time + $seconds;
    overdue(@due);
    $events->add(succeeded => $_) for @late;
    my $refused = 0;
    for my $id (@cancelled[0 .. 19]) {
        my $answer = $test->stack->request('POST', "/api/orders/$id/cancel");
        $refused++ if $answer->{status} != 200;
    }
    sleep $back - time if $back > time;
    Suspend::go_on($test->stack->{env}{REDIS_PID});
    for my $id (@cancelled) {
        my $answer;
        $test->wait_until(sub { $answer = $test->stack->request('POST', "/api/orders/$id/cancel"); $answer->{status} != 503 }, 8);
        is($answer->{status}, 200, 'cancelled') if $answer->{status} != 200;
    }
    diag("$refused of 20 cancellations were asked again");
    ok($test->wait_until(sub { !$test->value("SELECT COUNT(*) FROM orders WHERE status IN ('pending_payment', 'failed_payment')") }, 30),
        'all moved');
    is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'paid'"), @late, 'those that were paid late are paid');
    $test->laws_hold('the buyers\' units are right', seconds => 15);
};

subtest 'S6: a worker dies between the commit and telling the gate' => sub {
    for my $case ([ expiry => 'cancelled', sub { overdue($_[0]) } ], [ payments => 'failed_payment', sub { $events->add(failed => $_[0]) } ]) {
        my ($kind, $status, $cause) = @$case;
        for my $point ($kind eq 'expiry' ? ('expiry.commit.after', 'transition.script.after') : 'transition.script.before') {
            start();
            my $first = $test->worker(name => 'first');
            my ($id) = $test->place_new(1, 1, 7);
            $test->wait_drained;
            $test->end_worker($first);
            my $pid = $test->worker(name => 'dies', failpoint => $point);
            $cause->($id);
            ok($test->wait_until(sub { $test->has_ended($pid) }, 10), "$kind: killed at $point");
            is(status($id), $status, 'committed');
            is(notices(), 1, 'its notice waits');
            $test->worker(name => 'next');
            $test->laws_hold("$kind, $point: the next worker tells it");
        }
    }
};

subtest 'S6: Redis dies between the commit and telling the gate' => sub {
    start();
    my $first = $test->worker(name => 'first');
    my ($id) = $test->place([ 1, [ WorkerTest::identifier(), 2, 7 ] ]) && $test->place_new(1, 1, 7);
    $test->wait_drained;
    $test->end_worker($first);
    my $pid = $test->worker(name => 'dies', failpoint => 'expiry.commit.after');
    overdue($id);
    $test->wait_until(sub { $test->has_ended($pid) }, 10);
    $test->stack->end_process('KILL', $test->stack->{env}{REDIS_PID});
    $test->worker(name => 'next');
    sleep 1;
    $test->stack->start_server('redis');
    $test->laws_hold('told once it is back', seconds => 30);
    is(held(7), 2);
};

subtest 'an order without a record gets one, so that a repeat finds it told' => sub {
    start();
    my $first = $test->worker(name => 'first');
    my ($id) = $test->place_new(1, 1, 7);
    $test->wait_drained;
    forget_records();
    overdue($id);
    ok($test->wait_until(sub { held(7) == 0 }, 10), 'cancelled: the units are back');
    like($test->record($id), qr/^cancelled payment_expired 1 1 7 \d+$/, 'by a record of today');
    ok($test->wait_until(sub { notices() == 0 }, 8));
    $test->sql("INSERT INTO gate_notices (order_identifier, product_id, user_id, quantity, status, failure_code, units)
                VALUES (?, 1, 7, 1, 'cancelled', 'payment_expired', -1)", $id);
    my ($other) = $test->place_new(1, 1, 7);
    $test->wait_drained;
    ok($test->wait_until(sub { notices() == 0 }, 10), 'told again');
    is(held(7), 1, 'which moves nothing');
    $events->add(succeeded => $id);
    ok($test->wait_until(sub { held(7) == 2 }, 10), 'paid after all');
    $test->laws_hold('the laws hold');
};

subtest 'changes of one order without a record are told in their order' => sub {
    start();
    my $first = $test->worker(name => 'first');
    my ($id) = $test->place_new(1, 1, 7);
    $test->wait_drained;
    $test->end_worker($first);
    my $pid = $test->worker(name => 'dies', failpoint => 'expiry.commit.after');
    forget_records();
    overdue($id);
    $test->wait_until(sub { $test->has_ended($pid) }, 10);
    $events->add(succeeded => $id);
    $test->worker(name => 'next');
    ok($test->wait_until(sub { status($id) eq 'paid' }, 8), 'cancelled, and paid late');
    $test->laws_hold('the units are counted once');
    is(held(7), 1);
};

subtest 'what was told in passing is not told twice' => sub {
    start(100);
    $test->worker(name => 'w', env => { CHECKOUT_LOG_LEVEL => 'debug' });
    my @ids = $test->place_new(1, 60);
    $test->wait_drained;
    $events->add(succeeded => $_) for @ids;
    ok($test->wait_until(sub { $test->value("SELECT COUNT(*) FROM orders WHERE status = 'paid'") == 60 && notices() == 0 }, 10), 'paid, and no notice is left');
    ok(!$test->log_holds(qr/event=notices_told/), 'the sweep had nothing to do');
    $test->laws_hold('the laws hold');
};

subtest 'a notice that is too old to be told: the buyers are counted anew' => sub {
    start();
    my $first = $test->worker(name => 'first');
    my ($id) = $test->place_new(1, 1, 7);
    $test->wait_drained;
    $test->end_worker($first);
    my $pid = $test->worker(name => 'dies', failpoint => 'expiry.commit.after');
    overdue($id);
    $test->wait_until(sub { $test->has_ended($pid) }, 10);
    forget_records();
    $test->redis->hdel('product:1:buyers', 7);    # it was told, in a record that expired
    $test->sql('UPDATE gate_notices SET created_at = NOW(3) - INTERVAL 1 DAY');
    $test->worker(name => 'next');
    $test->laws_hold('counted from the rows', seconds => 20);
    is(held(7), 0);
};

$test->clear;
done_testing;
