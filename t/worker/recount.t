# S1: law 1 is a comparison within a row. The counters begin with `migrate --finish`, change with every statement that moves
# units, and are compared with orders and movements beside the sale.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis ();
use HTTP::Tiny;
use JSON::PP;
use Patience;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $test = WorkerTest->start;
my $stack = $test->stack;
my $address = '127.0.0.1:' . CheckoutRedis::free_port();

sub fresh {
    $test->clear;
    $test->forget_log;
    $stack->checkoutctl_ok('migrate', '--finish');
}

sub worker {
    my (%env) = @_;
    return $test->worker(env => { CHECKOUT_WORKER_RECOUNT_INTERVAL => '200ms', CHECKOUT_WORKER_METRICS_ADDRESS => $address, %env });
}

sub metrics {
    my $answer = HTTP::Tiny->new(timeout => 5)->get("http://$address/metrics");
    return map { /^([a-z]\S*) (\S+)$/ ? ($1 => $2) : () } split /\n/, $answer->{content};
}

sub metric { my ($name) = @_; my %m = metrics(); return $m{"checkout_$name"} }

sub counters {
    my ($id) = @_;
    return join ' ', map { $_ // 'NULL' } $stack->primary->selectrow_array(
        'SELECT live_units, supplied_units, counted_at IS NOT NULL FROM products WHERE id = ?', undef, $id);
}

sub becomes {
    my ($id, $wanted, $name, $seconds) = @_;
    $test->wait_until(sub { counters($id) eq $wanted }, $seconds);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is(counters($id), $wanted, $name);
}

# Many paid orders of one unit each, written by hand as the release before would have: no counter changes.
sub old_orders {
    my ($product, $orders) = @_;
    my @ids = map { WorkerTest::identifier() } 1 .. $orders;
    while (my @some = splice @ids, 0, 1000) {
        $test->sql("INSERT INTO orders (order_identifier, user_id, status, product_id, quantity) VALUES "
                . join ',', map {"('$_', 9, 'paid', $product, 1)"} @some);
        $test->sql('INSERT INTO order_items (order_identifier, product_id, quantity, unit_price) VALUES '
                . join ',', map {"('$_', $product, 1, 19.80)"} @some);
    }
    $test->book($product, 'load', $orders);
}

sub unfinished {
    $test->clear;
    $test->forget_log;
    $stack->checkoutctl_ok('migrate', '--unfinish');
    $test->load(1, 10_000);
    $test->sql('UPDATE products SET live_units = NULL, supplied_units = NULL, counted_at = NULL');
}


subtest 'S1: a database that was empty is finished from the start' => sub {
    isnt($stack->value("SELECT value FROM settings WHERE name = 'counters'") // '', '', 'it counts');
    $stack->add_product(1, 20);
    is(counters(1), '0 20 1', 'a new product');
    $stack->checkoutctl_ok('stock', 'adjust', 1, '+5');
    is(counters(1), '0 25 1', 'a movement');
};

subtest 'S1: the counters are NULL until --finish, and stay so' => sub {
    unfinished();
    old_orders(1, 2500);
    worker();
    $test->place_new(1, 3);
    $test->wait_drained;
    is(counters(1), 'NULL NULL 0', 'a sale');
    $stack->checkoutctl_ok('stock', 'adjust', 1, '-1');
    $test->{supplied}{1} -= 1;
    is(counters(1), 'NULL NULL 0', 'a movement');
    ok($test->wait_until(sub { (metric('products_not_counted') // 0) == 1 }), 'one product is not counted');
    is(metric('oversold_units'), undef, 'whether law 1 holds is not known');
    is(metric('counter_drift_units'), undef, 'nor whether the counters are right');
    like(($stack->checkoutctl('migrate'))[1], qr/^counters do not count yet/m, 'migrate says what is missing');
    my ($code, $text) = $stack->checkoutctl('audit');
    is($code, 0, 'the audit counts itself') or diag($text);
    like($text, qr/not yet counted 1$/m, '… and says what is not counted');
};

subtest 'S1: --finish beside a sale: the past is added in one snapshot, without a lock' => sub {
    unfinished();
    old_orders(1, 2500);
    worker(CHECKOUT_WORKER_NAME => 'new');
    $test->place_new(1, 5);
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        POSIX::_exit(($stack->checkoutctl('migrate', '--finish'))[0]);
    }
    $test->place_new(1, 1 + $_ % 3) for 1 .. 40;
    waitpid $pid, 0;
    is($?, 0, '--finish');
    $test->place_new(1, 1 + $_ % 3) for 1 .. 40;
    ok($test->wait_until(sub { counters(1) =~ / 1$/ }), 'it is counted') or diag(counters(1));
    ok($test->log_holds(qr/event=product_counted product=1 /), 'and the log says so');
    $test->place_new(1, 4);
    $test->laws_hold('all laws, by the counters too');
    is(counters(1), '2669 12500 1', 'the numbers') or diag(counters(1));
    is_deeply([ $stack->checkoutctl('migrate', '--finish') ], [ 0, "the counters count already\n" ], '--finish again');
};

subtest 'S1: --finish is refused while a worker of the release before lives, and waits to see whether it does' => sub {
    unfinished();
    my $beat = sub { $test->redis->hset('workers', 'old-1', int(time * 1000)) };
    $beat->();
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my $redis = Redis->new(server => "127.0.0.1:$stack->{env}{REDIS_PORT}");
        $redis->select($stack->{env}{REDIS_DB});
        sleep(0.3), $redis->hset('workers', 'old-1', int(time * 1000)) for 1 .. 100;
        POSIX::_exit(0);
    }
    my ($code, $text) = $stack->checkoutctl('migrate', '--finish');
    kill 'KILL', $pid;
    waitpid $pid, 0;
    is($code, 2, 'refused');
    like($text, qr/old-1/, 'it names the worker');
    is(counters(1), 'NULL NULL 0', 'nothing was done');

    my $begin = time;
    is(($stack->checkoutctl('migrate', '--finish'))[0], 0, 'the beat of a dead one does not count');
    cmp_ok(time - $begin, '>=', 9, '… once it was watched');
    is(counters(1), '0 0 0', 'all begin at 0, not yet counted');
};

subtest 'S1: --finish killed at any step has done nothing, or all' => sub {
    for my $point (qw(set_counters.before set_counters.after era.before era.after)) {
        unfinished();
        my $pid = worker();
        $test->place_new(1, 2);
        $test->wait_drained;
        my $ctl = fork // die "fork: $!";
        if ($ctl == 0) {
            open STDERR, '>', '/dev/null';
            $ENV{CHECKOUT_FAILPOINT} = "migrate.$point";
            { exec "$stack->{build}/failpoints/checkoutctl", '-c', $stack->{env}{WORKER_CONF}, 'migrate', '--finish' }
            POSIX::_exit(127);
        }
        waitpid $ctl, 0;
        is($? & 127, 9, "killed at $point");
        $test->place_new(1, 3);
        $test->wait_drained;
        is($stack->value("SELECT value <> '' FROM settings WHERE name = 'counters'"), $point eq 'era.after' ? 1 : 0, 'what counts');
        is(($stack->checkoutctl('migrate', '--finish'))[0], 0, 'again');
        becomes(1, '5 10000 1', 'the numbers');
        $test->laws_hold('the laws');
        $test->end_worker($pid);
    }
};

subtest 'S1: --unfinish is the way back' => sub {
    fresh();
    $test->load(1, 100);
    worker();
    $test->place_new(1, 5);
    $test->wait_drained;
    is(counters(1), '5 100 1', 'counted');
    $stack->checkoutctl_ok('migrate', '--unfinish');
    $test->place_new(1, 5);
    $test->wait_drained;
    is(counters(1), 'NULL NULL 0', 'NULL, and stays so');
    $stack->checkoutctl_ok('migrate', '--finish');
    becomes(1, '10 100 1', 'and there again');
    $test->laws_hold('the laws');
};

subtest 'S1: counters that are wrong are said, and put right by the operator alone' => sub {
    fresh();
    $test->load($_, 100) for 1 .. 3;
    worker();
    $test->place_new(2, 5);
    $test->wait_drained;
    ok($test->wait_until(sub { (metric('counter_drift_units') // 1) == 0 }), 'no drift');
    $test->sql('UPDATE products SET live_units = live_units + 4, supplied_units = supplied_units + 4 WHERE id = 2');
    ok($test->wait_until(sub { (metric('counter_drift_units') // 0) == 8 }), 'the drift is a gauge');
    ok($test->log_holds(qr/level=error event=law_violated law=counters product=2 live_units=9 in_live_orders=5 /), 'and an error line');
    is(metric('oversold_units'), 0, 'law 1 holds within the row');
    my ($code, $text) = $stack->checkoutctl('audit');
    is($code, 1, 'the audit goes by the orders');
    like($text, qr/VIOLATED  counters .*\nproduct 2: live_units 9, in live orders 5\n/, 'and says what is wrong');
    is(counters(2), '9 104 1', 'nobody has changed it');
    ($code, $text) = $stack->checkoutctl('audit', '--repair');
    is($code, 0, 'audit --repair') or diag($text);
    is(counters(2), '5 100 1', 'adds the difference');
    ok($test->wait_until(sub { (metric('counter_drift_units') // 1) == 0 }), 'no drift any more');
    $test->laws_hold('the laws');
};

subtest 'S1: a row that was made by hand is counted too; stock load books it by its counters' => sub {
    fresh();
    worker();
    $test->sql("INSERT INTO products (id, name, price, stock) VALUES (7, 'By hand', 5, 30)");
    becomes(7, '0 0 1', 'counted');
    my ($code, $text) = $stack->checkoutctl('stock', 'load', 7);
    like($text, qr/booked \+30 units/, 'booked');
    $test->{supplied}{7} = 30;
    is(counters(7), '0 30 1', '… in the counters too');
    $test->laws_hold('the laws');
};

subtest 'S1: stock load of a product with many orders counts them first, without a lock' => sub {
    unfinished();
    old_orders(1, 11_000);
    $stack->checkoutctl_ok('migrate', '--finish');
    is(counters(1), '0 0 0', 'not yet counted');
    $test->sql('UPDATE products SET stock = stock + 7 WHERE id = 1');
    my ($code, $text) = $stack->checkoutctl('stock', 'load', 1);
    is($code, 0) or diag($text);
    like($text, qr/booked \+7 units/, 'it knows what no movement explains');
    is(counters(1), '11000 21007 1', 'counted');
};

subtest 'S1: on a replica, also one that is behind' => sub {
    unfinished();
    old_orders(1, 100);
    $stack->wait_replica('replica');
    $stack->delay_replica('replica', 3);
    my %replica = (CHECKOUT_MYSQL_REPLICA_SOCKET => $stack->{env}{MYSQL_REPLICA_SOCKET});
    $stack->checkoutctl_ok('migrate', '--finish');
    worker(%replica);
    $test->place_new(1, 5);
    $test->wait_drained;
    is(counters(1), '5 0 0', 'the replica has no counters yet: not counted');
    becomes(1, '105 10100 1', 'counted once it has them, whatever was sold since', 40);
    $stack->delay_replica('replica', 0);
    $test->laws_hold('the laws');
};

subtest 'S1: a gauge that cannot be measured hides no other, and has its own age' => sub {
    fresh();
    $test->load(1, 100);
    worker();
    ok($test->wait_until(sub { defined metric('payment_events_waiting') }), 'measured');
    $test->sql('RENAME TABLE payment_events TO payment_events_away');
    ok($test->wait_until(sub { !defined metric('payment_events_waiting') }), 'one cannot be measured: left out');
    my %m = metrics();
    is($m{"checkout_$_"}, 0, "$_ is there") for qw(oversold_units stock_drift_units refund_pending_orders overdue_orders);
    is($m{checkout_laws_checked}, 0, 'not all could be checked');
    ok($test->log_holds(qr/level=warn event=check_failed check=events_waiting/), 'the log says which');
    sleep 1;
    %m = metrics();
    cmp_ok($m{'checkout_checked_age_seconds{gauge="payment_events_waiting"}'}, '>=', 1, 'its age grows');
    cmp_ok($m{'checkout_checked_age_seconds{gauge="oversold_units"}'}, '<', 1, "another's does not");
    $test->sql('RENAME TABLE payment_events_away TO payment_events');
    ok($test->wait_until(sub { defined metric('payment_events_waiting') }), 'back');
    $test->laws_hold('the laws');
};

subtest 'S1: one process measures and counts; another takes over when it is gone' => sub {
    fresh();
    $test->load(1, 100);
    my $first = worker(CHECKOUT_WORKER_NAME => 'first');
    ok($test->wait_until(sub { (metric('laws_checked') // 0) == 1 }), 'the first measures');
    my $other = '127.0.0.1:' . CheckoutRedis::free_port();
    worker(CHECKOUT_WORKER_NAME => 'second', CHECKOUT_WORKER_METRICS_ADDRESS => $other);
    $address = $other;
    ok($test->wait_until(sub { defined metric('laws_checked') }), 'the second is up');
    sleep 0.5;
    is(metric('oversold_units'), undef, 'and measures nothing');
    $test->end_worker($first);
    ok($test->wait_until(sub { (metric('laws_checked') // 0) == 1 }), 'it takes over what was given back');
    $test->laws_hold('the laws');
};

END { eval { $stack->checkoutctl('migrate', '--finish') } if $stack && $test->{owner} == $$ }

done_testing;
