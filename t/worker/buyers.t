# S7: the units that each buyer holds count what was bought before: a limit that is set, raised, removed in mid-sale, the end of
# the sale moved, the hash lost; and Redis that went back. The count is right whatever moves meanwhile, and whatever dies.
#
# CHECKOUT_FULL=1: everything moves for a minute; the count dies at each of its steps; and Redis goes back.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Path qw(remove_tree);
use PaymentEvents;
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $root = "$FindBin::Bin/../..";
my $test = WorkerTest->start;
my $events = PaymentEvents->new(sub { $test->sql(@_) });

sub start {
    my (%o) = @_;
    $test->clear;
    $test->forget_log;
    $test->load(1, $o{units} // 100, per_user_limit => $o{limit});
    $test->worker(name => "w$_") for 1 .. $o{workers} // 1;
}

sub state { return $test->redis->hget('product:1:register', 'buyers') // 'none' }
sub held { return $test->redis->hget('product:1:buyers', $_[0]) // 0 }
sub overdue { $test->sql('UPDATE orders SET pay_by = NOW(3) - INTERVAL 1 SECOND WHERE order_identifier = ?', $_) for @_ }
sub status { return $test->value('SELECT status FROM orders WHERE order_identifier = ?', $_[0]) // 'none' }

# As an operator does it, beside the sale.
sub set {
    my ($code, $text) = $test->stack->checkoutctl('product', 'set', 1, @_);
    is($code, 0, "product set @_") or diag($text);
}

# What the gate says to an order of so many units.
sub asked { my ($user, $quantity) = @_; return ($test->place([ 1, [ WorkerTest::identifier(), $quantity, $user ] ]))[0] }
sub sold { my $verdict = asked(@_); $test->wait_drained; return $verdict }

# Marks it to be counted; a worker does that.
sub count_again { $test->redis->hset('product:1:register', 'buyers', 'counting') }

subtest 'S7: a limit set, raised and removed in mid-sale' => sub {
    start(units => 100);
    is(sold(7, 3), 'queued');
    my ($old) = $test->place_new(1, 1, 8);
    $test->wait_drained;
    set('--per-user-limit', 4);
    is(state(), 'complete', 'counted when the command ends');
    is(sold(7, 2), 'purchase_limit 4', 'what was bought before counts');
    is(sold(7, 1), 'queued');
    is(sold(8, 4), 'purchase_limit 4');
    overdue($old);
    ok($test->wait_until(sub { held(8) == 0 }, 8), 'an older order is cancelled');
    is(sold(8, 4), 'queued', 'the buyer gets what one may have');
    is(sold(8, 1), 'purchase_limit 4', 'and no more');
    set('--per-user-limit', 5);
    is(sold(7, 1), 'queued', 'raised');
    is(sold(7, 1), 'purchase_limit 5');
    $test->laws_hold('the laws hold');
    set('--per-user-limit', 'none');
    is(sold(7, 10), 'queued', 'removed');
    ok(!$test->redis->exists('product:1:buyers'), 'nobody is counted');
    set('--per-user-limit', 20);
    is(sold(7, 6), 'purchase_limit 20', 'set again: what was bought without a limit counts too');
    is(sold(7, 5), 'queued');
    $test->laws_hold('the laws hold');
};

subtest 'S7: set while orders wait, and no worker runs' => sub {
    start(units => 100, workers => 0);
    my @ids = map { $test->place_new(1, 2, $_) } 7, 8;
    set('--per-user-limit', 3);
    is(state(), 'complete', 'the command counted it');
    is(held(7), 2, 'what waits counts');
    is(asked(7, 2), 'purchase_limit 3');
    is(asked(7, 1), 'queued');
    $test->worker(name => 'w');
    $test->wait_drained;
    $test->laws_hold('the laws hold');
};

subtest 'S7: the end of the sale moved' => sub {
    start(limit => 4);
    is(sold(7, 4), 'queued');
    my $ttl = sub { return $test->redis->pttl('product:1:buyers') };
    is($ttl->(), -1, 'without an end it does not expire');
    set('--closes-at', POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 3600)));
    cmp_ok(abs($ttl->() - 3600_000 - 168 * 3600_000), '<', 20_000, 'the end of the sale, and the time to pay');
    set('--closes-at', POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 7200)));
    cmp_ok($ttl->(), '>', 7000_000 + 168 * 3600_000, 'moved');
    set('--closes-at', POSIX::strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time - 3600)));
    is(asked(7, 1), 'sale_ended');
    $test->redis->del('product:1:buyers');
    sleep 1.5;
    is(state(), 'complete', 'over: nobody counts');
    set('--closes-at', 'none');
    is(asked(7, 1), 'purchase_limit 4', 'on again: counted from the rows');
    $test->laws_hold('the laws hold');
};

subtest 'S7: the hash is lost' => sub {
    start(limit => 4);
    is(sold(7, 4), 'queued');
    for my $lose (sub { $test->redis->del('product:1:buyers') }, sub { $test->redis->set('product:1:buyers', 'x') }) {
        $lose->();
        like(asked(7, 1), qr/^(?:rebuilding|broken)$/, 'nobody buys');
        ok($test->wait_until(sub { asked(7, 1) eq 'purchase_limit 4' }, 8), 'counted');
        $test->laws_hold('the laws hold');
    }
};

subtest 'what the release before loaded sells on, and is counted beside once all programs are new' => sub {
    start(limit => 4);
    is(sold(7, 3), 'queued');
    is(($test->stack->checkoutctl('migrate', '--unfinish'))[0], 0);
    $test->redis->hdel('product:1:register', 'buyers');
    $test->redis->hdel('product:1:buyers', 0);
    $test->redis->hset('product:1:buyers', 8, 4);    # an error of old
    sleep 1.6;
    is(state(), 'none', 'old programs may run');
    is(sold(7, 1), 'queued', 'it sells');
    is(($test->stack->checkoutctl('migrate', '--finish'))[0], 0, 'all programs are new');
    ok($test->wait_until(sub { state() eq 'complete' }, 8), 'counted');
    is(held(8), 0, 'from the rows');
    $test->laws_hold('the laws hold');
};

subtest 'counted again and again while everything moves' => sub {
    start(units => 2000, limit => 1000, workers => 2);
    my @ids;
    my $until = time + ($ENV{CHECKOUT_FULL} ? 60 : 8);
    while (time < $until) {
        count_again() if rand() < 0.1 && state() eq 'complete';
        for my $user (1 .. 3) {
            my $id = WorkerTest::identifier();
            push @ids, $id if ($test->place([ 1, [ $id, 1, $user ] ]))[0] eq 'queued';
        }
        my $id = @ids > 5 ? $ids[ rand @ids ] : next;
        my $what = rand;
        $what < 0.3 ? overdue($id)
            : $what < 0.6 ? $events->add(failed => $id)
            : $what < 0.9 ? $events->add(succeeded => $id)
            : $events->add(refunded => $id);
    }
    cmp_ok(scalar @ids, '>', 30, scalar(@ids) . ' orders');
    $test->wait_drained(30);
    $test->wait_until(sub { $test->value('SELECT COUNT(*) FROM payment_events WHERE processed_at IS NULL') == 0 }, 20);
    $test->laws_hold('the units are right', seconds => 20);
};

# Every outside effect of a count.
sub effects {
    my %seen;
    local $/;
    return grep { !$seen{$_}++ } map { open my $in, '<', $_ or die $!; <$in> =~ /EFFECT\("(buyers\.[a-z_]+)"/g } glob "$root/worker/{repair/buyers_*,lifecycle/buyers}.c";
}

subtest 'a count that is killed, or cut off, at any step' => sub {
    plan skip_all => 'CHECKOUT_FULL=1 runs it' if !$ENV{CHECKOUT_FULL};
    my $cells = 0;
    start(units => 500, limit => 100);
    my @ids = map { $test->place_new(1, 2, $_) } 7, 8;
    $test->wait_drained;
    $test->end_worker($_) for keys %{ $test->{workers} };
    for my $effect (grep { !/finished|mark|moved/ } effects()) {
        my $cut = $effect =~ /(?:snapshot|sums|notices|rows|limited|time)$/ ? 'cut_mysql' : 'lose_redis';
        for my $point ("$effect.before", "$effect.after", "$effect.before:$cut") {
            asked(7, 1);
            count_again();
            $test->redis->hdel('workers', 'lease:buyers');
            # In flight while it is counted, with a notice: both kinds of orders in doubt.
            overdue($ids[ $cells / 10 ]) if $cells++ % 10 == 8 && $cells < 20;
            my $pid = $test->worker(name => 'dies', failpoint => $point);
            $test->wait_until(sub { $test->has_ended($pid) || state() eq 'complete' }, 10);
            $test->end_worker($pid, 'KILL');
        }
    }
    $test->redis->hdel('workers', 'lease:buyers');
    count_again();
    $test->worker(name => 'next');
    $test->wait_drained;
    $test->laws_hold("$cells cells", seconds => 20);
};

# Redis as it was some time ago.
sub redis_back_to {
    my ($meanwhile) = @_;
    my ($dir, $copy) = ("$test->{stack}{dir}/redis", "$test->{stack}{dir}/redis-before");
    $test->redis->bgrewriteaof;
    $test->wait_until(sub { $test->redis->info->{aof_rewrite_in_progress} == 0 });
    sleep 1.2;    # its file is written each second
    remove_tree($copy);
    system('cp', '-a', $dir, $copy) == 0 or die 'cp';
    $meanwhile->();
    $test->stack->end_process('KILL', $test->stack->{env}{REDIS_PID});
    remove_tree($dir);
    system('cp', '-a', $copy, $dir) == 0 or die 'cp';
    $test->stack->start_server('redis');
}

subtest 'Redis went back: its buyers are counted again' => sub {
    plan skip_all => 'CHECKOUT_FULL=1 runs it' if !$ENV{CHECKOUT_FULL};
    start(limit => 9);
    my ($kept, $late) = map { $test->place_new(1, 1, $_) } 7, 8;
    $test->wait_drained;
    ok($test->wait_until(sub { $test->redis->hget('gate', 'seen') }, 8), 'a worker watches');
    redis_back_to(sub {
        $events->add(failed => $_) for $kept, $late;
        $test->wait_until(sub { held(7) + held(8) == 0 }, 8);
        is(sold(9, 5), 'queued', 'an order that Redis will not know');
    });
    ok($test->wait_until(sub { $test->log_holds(qr/event=redis_changed/) }, 20), 'it is noticed');
    $test->laws_hold('counted from the rows', seconds => 30);
    is(held(9), 5);
    $events->add(succeeded => $late);
    ok($test->wait_until(sub { status($late) eq 'paid' }, 8));
    $test->laws_hold('and what follows is counted once');
};

$test->clear;
done_testing;
