# checkoutctl rebuild: after Redis or MySQL lost data.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use File::Path qw(remove_tree);
use HTTP::Tiny;
use JSON::PP;
use PaymentEvents;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep);

my $stack = CheckoutStack->start;

sub json {
    my ($code, @words) = @_;
    my ($got, $text) = $stack->checkoutctl(@words, '--json');
    is($got, $code, "@words: exit code $code") or diag($text);
    return $code > 1 ? $text : decode_json($text);
}

sub redis_stock_becomes {
    my ($product, $units, $name) = @_;
    CheckoutStack::wait_until(sub { ($stack->redis_stock($product) // 'none') eq $units }, 8);
    is($stack->redis_stock($product), $units, $name);
}


subtest 'W12: Redis lost everything, and workers stand by' => sub {
    $stack->add_product(1, 100, '--per-user-limit', 5);
    $stack->add_product(2, 50);
    $stack->place(1, 2, 7);
    $stack->place(1, 3, 8);
    is_deeply($stack->sell(product => 2, orders => 20), { 202 => 20 });
    $stack->wait_drained;
    $stack->redis->flushall;
    is($stack->place(2, 1)->{status}, 503, 'nothing is loaded');
    my $dry = json(0, 'rebuild', '--dry-run');
    is($dry->{products_loaded}, 2, '--dry-run counts');
    is($stack->redis->exists('product:1:register'), 0, 'and does nothing');
    my $report = json(0, 'rebuild');
    is($report->{products_loaded}, 2);
    is($stack->redis_stock(1), 95);
    is($stack->redis_stock(2), 30);
    is_deeply({ $stack->bought(1) }, { 7 => 2, 8 => 3 }, 'buyers, from the rows');
    is($stack->redis->hget('gate', 'products'), 2);
    is($stack->place(1, 3, 8)->{status}, 403, 'the limit still holds');
    is($stack->place(1, 2, 8)->{status}, 202, 'up to the limit');
    $stack->wait_drained;
};

subtest 'W12: everything lost with orders in the queue' => sub {
    $stack->end_workers;
    my $waiting = $stack->place(2, 5);
    is($waiting->{status}, 202);
    $stack->redis->flushall;
    pop @{ $stack->{accepted} };    # it survived nowhere
    json(0, 'rebuild');
    is($stack->redis_stock(2), 30, 'no unit is held for an order that is gone');
    $stack->start_server('worker');
};

# Redis as it was some time ago, as after the loss of the file's end.
sub redis_back_to {
    my ($copy, $meanwhile) = @_;
    my $dir = "$stack->{dir}/redis";
    $stack->redis->bgrewriteaof;
    CheckoutStack::wait_until(sub { $stack->redis->info->{aof_rewrite_in_progress} == 0 });
    remove_tree($copy);
    system('cp', '-a', $dir, $copy) == 0 or die 'cp';
    $meanwhile->();
    $stack->end_process('KILL', $stack->{env}{REDIS_PID});
    remove_tree($dir);
    system('cp', '-a', $copy, $dir) == 0 or die 'cp';
    $stack->start_server('redis');
}

subtest 'W12: Redis lost its last seconds' => sub {
    $stack->add_product(3, 100, '--per-user-limit', 50);
    $stack->place(3, 1, 5);
    $stack->end_workers;
    my $copy = "$stack->{dir}/redis-before";
    my ($kept, @lost);
    $kept = $stack->place(3, 2, 5);
    redis_back_to($copy, sub {
        $stack->start_server('worker');
        push @lost, $stack->place(3, 10, 6);    # becomes a row
        $stack->wait_drained;
        $stack->end_workers;
        $stack->place(3, 20, 9);                # survives nowhere
        pop @{ $stack->{accepted} };
    });
    my $report = json(0, 'rebuild');
    is($report->{orders_enqueued_again}, 0, 'the queue is what it was then');
    is($stack->redis->hget('product:3:buyers', 6), 10, 'a buyer that only MySQL knows');
    is($stack->redis->hget('product:3:buyers', 5), 3, 'one that stands in the queue and in MySQL counts once');
    $stack->start_server('worker');
    $stack->wait_drained;
    is($stack->live_orders(3), 3, 'one order each');
    redis_stock_becomes(3, 87, 'Redis = MySQL');
    is($stack->redis->hget('product:3:buyers', 5), 3);
};

subtest 'W18: register, stock and the whole database deleted with orders in flight' => sub {
    $stack->add_product(4, 10);
    $stack->end_workers;
    is_deeply($stack->sell(product => 4, orders => 4), { 202 => 4 });
    $stack->redis->del('product:4:register', 'product:4:stock');
    is($stack->place(4, 1)->{status}, 422, 'not loaded');
    is(json(0, 'rebuild')->{products_loaded}, 1);
    is($stack->redis_stock(4), 6, 'four in flight are counted');
    $stack->start_server('worker');
    $stack->wait_drained;
    redis_stock_becomes(4, 6, 'right at rest');
    $stack->redis->del('product:4:register', 'product:4:stock');
    sleep 1.5;
    is($stack->redis->exists('product:4:register'), 0, 'settle and reconciler create nothing');
    $stack->redis->set('product:4:register', 'no hash');
    json(0, 'rebuild');
    is($stack->redis_stock(4), 6, 'a register of another type is made anew');
};

subtest 'W11: entries trimmed by hand, their records left' => sub {
    $stack->add_product(5, 1000);
    $stack->end_workers;
    is_deeply($stack->sell(product => 5, orders => 300), { 202 => 300 });
    $stack->redis->xtrim('order-processing-queue', 'MAXLEN', 1);
    my $report = json(0, 'rebuild');
    cmp_ok($report->{orders_enqueued_again}, '>', 100, 'enqueued again');
    is(json(0, 'rebuild')->{orders_enqueued_again}, 0, 'once');
    is($stack->redis_stock(5), 700);
    is($stack->redis->hget('gate', 'queued'), 300);
    $stack->start_server('worker');
    $stack->wait_drained;
    is($stack->live_orders(5), 300, 'all of them are orders');
    redis_stock_becomes(5, 700, 'stock');
};

subtest 'W11: the queue deleted under a worker that works' => sub {
    $stack->add_product(6, 3000);
    $stack->sell(product => 6, orders => 2000, before_each => sub { $stack->redis->del('order-processing-queue') if $_[0] == 1500 });
    json(0, 'rebuild');
    $stack->wait_drained;
    is($stack->live_orders(6), 2000, 'every accepted order');
    redis_stock_becomes(6, 1000, 'stock');
    my ($queued) = grep { /^queued/ } map { @{ $stack->redis->hvals($_) } } $stack->redis->keys('orders:*');
    is($queued, undef, 'no record says queued for ever') or json(0, 'rebuild');
};

subtest 'W19: MySQL lost its last commits' => sub {
    $stack->add_product(7, 100);
    is_deeply($stack->sell(product => 7, orders => 10), { 202 => 10 });
    $stack->wait_drained;
    $stack->end_workers;
    my $lost = $stack->primary->selectcol_arrayref('SELECT order_identifier FROM orders WHERE product_id = 7 ORDER BY order_identifier LIMIT 4');
    my $list = join ',', map {"'$_'"} @$lost;
    $stack->do("DELETE FROM order_items WHERE order_identifier IN ($list)");
    $stack->do("DELETE FROM orders WHERE order_identifier IN ($list)");
    $stack->do('UPDATE products SET stock = stock + 4, version = version - 1 WHERE id = 7');
    $stack->recount;
    is(json(0, 'rebuild')->{orders_left_to_recovery}, 4, 'found from the records');
    is($stack->place(7, 1)->{status}, 503, 'S2: nobody gets their units meanwhile');
    $stack->start_server('worker');
    $stack->wait_drained;
    CheckoutStack::wait_until(sub { $stack->live_orders(7) == 10 }, 20);
    is($stack->live_orders(7), 10);
    redis_stock_becomes(7, 90, 'Redis = MySQL');
};

subtest 'W19: a failed order whose row is gone stays failed' => sub {
    $stack->add_product(8, 2);
    $stack->end_workers;
    my $failed = $stack->place(8, 2)->{data}{order_identifier};
    $stack->checkoutctl_ok('stock', 'set', 8, 1);
    $stack->start_server('worker');
    $stack->wait_drained;
    is($stack->order_status($failed)->{status}, 'failed');
    $stack->do('DELETE FROM orders WHERE order_identifier = ?', $failed);
    $stack->checkoutctl_ok('stock', 'set', 8, 5);
    $stack->{supplied}{8} = 5;
    json(0, 'rebuild');    # a worker's recovery may have written it before
    is_deeply($stack->primary->selectrow_arrayref('SELECT status, failure_code FROM orders WHERE order_identifier = ?', undef, $failed),
        [ 'failed', 'out_of_stock' ], 'one verdict');
    redis_stock_becomes(8, 5, 'and no unit taken');
};

subtest 'W19, law 6: MySQL lost payments that the gate knows of' => sub {
    my $events = PaymentEvents->new(sub { $stack->do(@_) });
    my $status = sub { $stack->value('SELECT status FROM orders WHERE order_identifier = ?', $_[0]) // 'no row' };
    my $becomes = sub {
        my ($id, $wanted, $name) = @_;
        CheckoutStack::wait_until(sub { $status->($id) eq $wanted }, 8);
        is($status->($id), $wanted, $name);
    };
    $stack->add_product(11, 100);
    $stack->do('UPDATE products SET price = 19.80 WHERE id = 11');
    my ($waits, $ended, $missing, $refunded, $kept) = map { $stack->place(11, 1)->{data}{order_identifier} } 1 .. 5;
    $stack->wait_drained;
    my %event = map { $_ => $events->add(succeeded => $_) } $waits, $ended, $missing, $refunded, $kept;
    $becomes->($_, 'paid', 'paid') for keys %event;
    $stack->checkoutctl_ok('order', 'refund', $refunded);
    my $list = join ',', map { "'$_'" } $waits, $ended, $missing;
    $stack->end_workers;

    # What a replica that lagged would say when it is promoted.
    $stack->do("DELETE FROM payment_events WHERE order_identifier IN ($list)");
    $stack->do("UPDATE orders SET status = 'pending_payment', payment_id = NULL, paid_at = NULL WHERE order_identifier IN ($list)");
    $stack->do("UPDATE orders SET status = 'paid' WHERE order_identifier = ?", $refunded);
    $stack->do('DELETE FROM stock_movements WHERE order_identifier = ?', $refunded);
    $stack->do('DELETE FROM order_items WHERE order_identifier = ?', $missing);
    $stack->do('DELETE FROM orders WHERE order_identifier = ?', $missing);
    $stack->do('UPDATE orders SET pay_by = NOW(3) - INTERVAL 1 SECOND WHERE order_identifier = ?', $ended);
    $stack->recount;
    # No worker runs: it would begin a recovery by itself.
    my $wanted = { $waits => 'paid pending_payment', $ended => 'paid pending_payment', $missing => 'paid no row', $refunded => 'refunded paid' };
    my $named = sub { return { map { $_->{order_identifier} => "$_->{gate} $_->{mysql}" } @{ $_[0]{payments_lost_by_mysql} } } };
    my $dry = json(0, 'rebuild', '--dry-run');
    is_deeply($named->($dry), $wanted, '--dry-run names them');
    is($status->($waits), 'pending_payment', 'and does nothing');
    my $report = json(0, 'rebuild');
    delete $wanted->{$missing};
    is_deeply($named->($report), $wanted, 'the report names them');
    is($report->{payments_kept_again}, 3);
    is($report->{orders_left_to_recovery}, 1, 'the one without a row is made again by the recovery, with its payment');
    is($report->{payments_not_kept}, 0);
    $stack->start_server('worker');
    $becomes->($_, 'paid', 'paid again, also what is overdue') for $waits, $ended, $missing;
    $becomes->($refunded, 'refunded', 'and that is refunded again');
    is($stack->value('SELECT payment_id FROM orders WHERE order_identifier = ?', $waits), undef, 'which payment it was nobody knows');

    $stack->wait_drained;
    is_deeply($named->(json(0, 'rebuild')), {}, 'nothing is lost any more');
    my $again = $events->add(succeeded => $waits);
    CheckoutStack::wait_until(sub { $stack->value('SELECT outcome FROM payment_events WHERE id = ?', $again) });
    is($stack->value('SELECT outcome FROM payment_events WHERE id = ?', $again), 'repeat', "the provider's own event, should it come again, is a repeat");
    is($status->($kept), 'paid', 'what was not lost is as it was');
    $stack->{supplied}{11} = 100;
    redis_stock_becomes(11, 96, 'Redis = MySQL');
};

subtest 'W19: a cancellation that MySQL lost is not taken back by its record' => sub {
    $stack->add_product(14, 10, '--per-user-limit', 5);
    my $id = $stack->place(14, 2, 7)->{data}{order_identifier};
    $stack->wait_drained;
    $stack->checkoutctl_ok('order', 'cancel', $id);
    $stack->end_workers;
    $stack->do("UPDATE orders SET status = 'pending_payment', failure_code = NULL WHERE order_identifier = ?", $id);
    $stack->do('DELETE FROM stock_movements WHERE order_identifier = ?', $id);
    $stack->do('UPDATE products SET stock = stock - 2 WHERE id = 14');
    $stack->recount;
    is(json(0, 'rebuild')->{orders_left_to_recovery}, 1, 'it is counted');
    my ($record) = grep { defined } map { $stack->redis->hget($_, $id) } $stack->redis->keys('orders:*');
    like($record, qr/^cancelled /, 'its record stays');
    $stack->start_server('worker');
    CheckoutStack::wait_until(sub { $stack->order_status($id)->{status} eq 'cancelled' && ($stack->db_stock(14) // 0) == 10 }, 15);
    is($stack->value('SELECT status FROM orders WHERE order_identifier = ?', $id), 'cancelled', 'and the row follows it');
    redis_stock_becomes(14, 10, 'its units are back');
    CheckoutStack::wait_until(sub { !defined $stack->redis->hget('product:14:buyers', 7) }, 8);
    is($stack->redis->hget('product:14:buyers', 7), undef, 'the buyer holds none');
};

subtest 'the fence' => sub {
    $stack->add_product(9, 10);
    $stack->redis->hset('gate', 'state', 'rebuilding', 'rebuild', 'of somebody who was killed');
    is($stack->place(9, 1)->{status}, 503, 'closed');
    ok(json(0, 'rebuild')->{earlier_rebuild_had_not_ended}, 'the next one takes over');
    is($stack->place(9, 1)->{status}, 202, 'and opens it');
    my @pids = map { my $pid = fork // die; if (!$pid) { POSIX::_exit(($stack->checkoutctl('rebuild'))[0]) } $pid } 1 .. 4;
    my @codes = map { waitpid $_, 0; $? >> 8 } @pids;
    ok((grep { $_ == 0 } @codes), "four at once (exit codes @codes): one ends it");
    is($stack->redis->hget('gate', 'state'), undef, 'the gate is open');
    is($stack->redis->hget('gate', 'products'), $stack->value('SELECT COUNT(*) FROM products'), 'and counts right');
    $stack->wait_drained;
};

subtest 'S8: killed behind the fence, and given up' => sub {
    $stack->add_product($_, 10) for 12, 13;
    $stack->end_workers;
    $stack->place(12, 1);
    my ($entry) = map { $_->[0] } @{ $stack->redis->xrange('order-processing-queue', '-', '+') };
    $stack->redis->xdel('order-processing-queue', $entry);
    $ENV{CHECKOUT_FAILPOINT} = 'rebuild.requeue.before';
    my $killed = system("$stack->{build}/failpoints/checkoutctl -c $stack->{env}{WORKER_CONF} rebuild > /dev/null 2>&1");
    delete $ENV{CHECKOUT_FAILPOINT};
    isnt($killed, 0, 'killed');
    is($stack->redis->hget('gate', 'state'), 'rebuilding', 'the fence stands');
    is($stack->place(12, 1)->{status}, 503, 'a product with a lost order is closed');
    is($stack->place(13, 1)->{status}, 202, 'another one is sold');
    ok(json(0, 'rebuild', '--abort')->{given_up}, '--abort');
    is($stack->place(12, 1)->{status}, 202, 'all are sold');
    ok(!json(0, 'rebuild', '--abort')->{given_up}, 'once');
    is(json(0, 'rebuild')->{orders_enqueued_again}, 1, 'the next one does what was left');
    $stack->start_server('worker');
    $stack->wait_drained;
    is($stack->live_orders(12), 2);
    redis_stock_becomes(12, 8, 'stock');
};

subtest 'S8: one that lives is left alone, one that is dead is taken over and reported' => sub {
    my $r = $stack->redis;
    $r->hset('gate', 'state', 'rebuilding');
    $r->hset('gate', $_, 'another') for qw(rebuild fence);
    $r->hset('workers', 'lease:rebuild', 'another 1');
    my $pid = fork // die;
    if (!$pid) {
        my $own = Redis->new(server => "127.0.0.1:$stack->{env}{REDIS_PORT}");
        $own->select($stack->{env}{REDIS_DB});
        for (2 .. 1000) { $own->hset('workers', 'lease:rebuild', "another $_"); sleep 0.2 }
        POSIX::_exit(0);
    }
    my ($code, $text) = $stack->checkoutctl('rebuild');
    is($code, 2, 'refused while it lives') or diag($text);
    like($text, qr/under way \(another/, 'with its name');
    kill 'KILL', $pid;
    waitpid $pid, 0;
    my $ready = sub { decode_json($stack->request('GET', '/readyz')->{body})->{checks}{products}{state} };
    is($ready->(), 'repairing', 'ready, and says so');
    CheckoutStack::wait_until(sub { $ready->() eq 'abandoned' }, 20);
    is($ready->(), 'abandoned', 'a worker has noticed that it is dead');
    my ($gauge) = HTTP::Tiny->new->get($stack->{env}{WORKER_METRICS_URL})->{content} =~ /^checkout_rebuild (\d)/m;
    is($gauge, 2, 'and its metrics say so');
    ok(json(0, 'rebuild')->{earlier_rebuild_had_not_ended}, 'the next one takes over');
    is($r->hget('gate', 'rebuild_silent'), undef);
};

subtest 'killed at random moments during a sale, workers on' => sub {
    $stack->add_product(10, 5000, '--per-user-limit', 100);
    my $kills = 0;
    $stack->sell(product => 10, orders => 1500, before_each => sub {
        return if $_[0] % 150 != 100;
        my $pid = fork // die;
        if (!$pid) { open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
            exec "$stack->{build}/checkoutctl", '-c', $stack->{env}{WORKER_CONF}, 'rebuild' or POSIX::_exit(1) }
        sleep rand 0.03;
        kill 'KILL', $pid;
        waitpid $pid, 0;
        $kills++;
        $stack->checkoutctl_ok('rebuild', '--abort') if $kills % 3;
        $stack->checkoutctl('rebuild') if $kills % 3 == 1;
    });
    json(0, 'rebuild');
    $stack->wait_drained;
    my $live = $stack->live_orders(10);
    cmp_ok($live, '>', 0, "$kills kills, $live orders");
    redis_stock_becomes(10, 5000 - $live, 'stock');
    json(0, 'rebuild');
    my %held = $stack->bought(10);
    my %rows = map { @$_ } @{ $stack->primary->selectall_arrayref(
        "SELECT user_id, SUM(quantity) FROM orders WHERE product_id = 10 AND status = 'pending_payment' GROUP BY user_id") };
    is_deeply(\%held, \%rows, 'buyers are what the rows say');
};

$stack->laws_hold;
done_testing;
