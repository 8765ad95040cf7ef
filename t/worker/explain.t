# Law 9, S1: no statement of the programs reads more of a table that grows than what it is about. What they really send
# is taken from the servers' logs while worker, edge and checkoutctl work on tables of some size (CHECKOUT_FULL=1: 100,000 rows); then each statement
# is explained, and run once more to count the rows that it reads. MariaDB and MySQL plan differently: this runs on the
# server that the stack runs on.
use strict;
use warnings;
use DemoGateway;
use FindBin;
use lib "$FindBin::Bin/../lib";
use HttpSink;
use MIME::Base64 qw(encode_base64);
use PaymentEvents;
use SqlLog;
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $ROWS = $ENV{CHECKOUT_FULL} ? 100_000 : 50_000;
my $READ_MOST = 6_000;    # rows of one statement: the largest pages have 1,000, of tables that are joined

my %grows = map { $_ => 1 } qw(orders order_items stock_movements payment_events outgoing_events gateway_calls gate_notices);

# The statements that may read more, and why; matched against the shape. A new one needs a reason that holds.
my @allowed = (
    [ qr/^SELECT COALESCE\(\(SELECT MAX\(id\) FROM gate_notices/, 'a gauge that counts 10,000 notices at most' ],
    [ qr/^SELECT o\.user_id, SUM\(i\.quantity\) FROM order_items i JOIN orders o .* GROUP BY o\.user_id/, 'rebuild: the buyers of one limited product' ],
);

my $test    = WorkerTest->start;
my $stack   = $test->stack;
my $events  = PaymentEvents->new(sub { $test->sql(@_) });
my $gateway = DemoGateway->start;
my $sink    = HttpSink->start;
my $file    = "$stack->{dir}/explain-archive.jsonl.gz";
unlink $file;

# --- tables of some size --------------------------------------------------------------------------------------------

sub numbers {
    my ($n) = @_;
    my $digits = join ' UNION ALL ', 'SELECT 0 AS d', map { "SELECT $_" } 1 .. 9;
    my @places = grep { 10**$_ < $n } 0 .. 9;
    return '(SELECT ' . join(' + ', map { "d$_.d * " . 10**$_ } @places) . ' AS n FROM ' . join(', ', map { "($digits) d$_" } @places) . ') numbers';
}

# Order n, as SQL. Times lie in the past, the oldest a hundred days ago.
my $id   = q(CONCAT('019aa411-0000-7000-8000-', LPAD(n, 12, '0')));
my $time = "NOW(3) - INTERVAL $ROWS - n MINUTE";

sub fill {
    $test->load($_, 1_000_000, per_user_limit => $_ > 18 ? 100_000 : undef) for 1 .. 20;
    $test->sql("INSERT INTO orders (order_identifier, user_id, status, total_price, pay_by, product_id, quantity, payment_id, created_at, updated_at)
        SELECT $id, IF(n % 10 = 0, 1, n + 10), ELT(1 + n % 10, 'paid', 'completed', 'completed', 'completed', 'completed', 'completed', 'cancelled', 'failed', 'failed_payment', 'refunded'),
               19.80, $time, 1 + n % 20, 1, CONCAT('pay_', n), $time, $time FROM " . numbers($ROWS));
    $test->sql("INSERT INTO order_items (order_identifier, product_id, quantity, unit_price) SELECT $id, 1 + n % 20, 1, 19.80 FROM " . numbers($ROWS) . ' WHERE n % 10 <> 7');
    $test->sql("INSERT INTO stock_movements (product_id, kind, units, stock_after, order_identifier, reason, created_at)
        SELECT 1 + n % 20, IF(n % 10 = 6, 'cancel', 'failure'), 1, 1, $id, 'test', $time FROM " . numbers($ROWS));
    $test->sql("INSERT INTO payment_events (id, provider, body, received_at, processed_at, outcome, order_identifier, type, payment_id)
        SELECT CONCAT('evt_', n), 'standard', '{}', $time, $time, 'paid', $id, 'payment.succeeded', CONCAT('pay_', n) FROM " . numbers($ROWS));
    $test->sql("INSERT INTO outgoing_events (order_identifier, type, body, created_at, delivered_at, next_try_at)
        SELECT $id, 'order.paid', '{}', $time, $time, NULL FROM " . numbers($ROWS));
    $test->sql("INSERT INTO gateway_calls (order_identifier, next_try_at, created_at, answered_at) SELECT $id, NULL, $time, $time FROM " . numbers($ROWS));
    $test->sql("UPDATE products p SET stock = 1000000, version = version + 1");
    $test->sql("ANALYZE TABLE $_") for sort keys %grows, 'products';
}

# Of an outage: the programs delete each notice once Redis was told, so it is filled when they have ended.
sub fill_notices {
    $test->sql("INSERT INTO gate_notices (order_identifier, product_id, user_id, status, quantity, units)
        SELECT $id, 1 + n % 20, n + 10, 'cancelled', 1, -1 FROM " . numbers($ROWS));
    $test->sql('ANALYZE TABLE gate_notices');
}

# --- what the programs do -------------------------------------------------------------------------------------------

sub ctl { my ($code, $text) = $stack->checkoutctl(@_); return $text }

sub worker {
    my (%env) = @_;
    my $secret = "$sink->{dir}/secret";
    open my $out, '>', $secret or die $!;
    print {$out} 'whsec_' . encode_base64('x' x 24, '') . "\n";
    close $out;
    return $test->worker(env => {
        CHECKOUT_EVENTS_URL => $sink->url, CHECKOUT_EVENTS_SECRET_FILE => $secret,
        CHECKOUT_PAYMENT_GATEWAY_URL => $gateway->url, CHECKOUT_WORKER_PAYMENT_TIMEOUT => '2s', %env,
    });
}

sub get { return $stack->request('GET', $_[0]) }

sub edge_works {
    get($_) for '/api/products', '/api/products?search=Product&page=2&per_page=5', '/api/products/3', '/api/get-db-stock/3',
        '/api/orders?user_id=1', '/api/orders?user_id=1&page=100&per_page=100', '/api/orders?user_id=77', @_;
    my ($old) = $stack->value("SELECT order_identifier FROM orders WHERE user_id = 1 LIMIT 1");
    get("/api/orders/$old");
    my @placed = map { $stack->place(1 + $_ % 4, 1, 5000 + $_)->{data}{order_identifier} } 1 .. 12;
    $stack->request('POST', '/api/place-order', CheckoutStack::order_json(2, 1, 9), 'Idempotency-Key' => 'again') for 1, 2;
    $stack->wait_drained;
    $stack->request('POST', "/api/orders/$placed[0]/cancel") for 1, 2;
    $stack->request('POST', '/api/init-stock', '{"product_id":21,"product_name":"New","initial_db_stock":5,"initial_redis_stock":5}',
        'Authorization' => "Bearer $stack->{env}{CHECKOUT_ADMIN_TOKEN}") for 1, 2;
    return @placed;
}

sub payments_come {
    my @orders = @_;
    $events->add(succeeded => $_) for @orders[ 1 .. 4 ];
    $events->add(failed => $orders[5]);
    $events->add(refunded => $orders[1]);
    $events->add(succeeded => WorkerTest::identifier());
    $test->wait_until(sub { $test->value("SELECT COUNT(*) FROM payment_events WHERE processed_at IS NULL AND next_try_at IS NULL") == 0 }, 20);
}

sub operator_works {
    my @orders = @_;
    ctl('order', 'show', $orders[2]);
    ctl('order', 'complete', $orders[2]);
    ctl('order', 'refund', $_) for @orders[ 2, 3 ];
    ctl('order', 'cancel', $orders[6]);
    ctl('product', 'show', 3);
    ctl('product', 'set', 3, '--price', '20.00', '--stock', 999_000);
    ctl('product', 'add', 30, '--name', 'x', '--price', 1, '--stock', 5);
    ctl('stock', @$_) for [ 'load', 3 ], [ 'load', '--all' ], [ 'get', 3 ], [ 'adjust', 3, '+1' ], [ 'set', 4, 1_000_000 ], [ 'movements', 3 ], [ 'movements', 3, '--limit', 1000 ];
    ctl('payments', @$_) for [], ['--waiting'], ['--all'];
    ctl('events', @$_) for ['list'], [ 'list', '--all' ], [ 'retry', '--all' ], [ 'retry', 5 ], [ 'drop', 5, '--yes' ], [ 'drop', "evt_$orders[2]_paid", '--yes' ];
    ctl('queue', 'stats');
    ctl('dlq', 'list');
    ctl('audit');
    my $date = $test->value("SELECT DATE_FORMAT(NOW(3) - INTERVAL $ROWS - 1000 MINUTE, '%Y-%m-%dT%H:%i:%sZ')");
    ctl('archive', '--before', $date, '--dry-run');
    like(ctl('archive', '--before', $date, '--to', $file), qr/^archived: \d{3,} orders/, 'something was archived');
    ctl('migrate');
    ctl('rebuild');
    get("/api/orders?user_id=1&cursor=1700000000000_$orders[0]");
}

sub everybody_works {
    worker();
    my @orders = edge_works();
    payments_come(@orders);
    operator_works(@orders);
    worker(CHECKOUT_PAYMENT_MODE => 'gateway');
    $stack->place(3, 1, 6000 + $_) for 1 .. 3;
    $test->wait_until(sub { $test->value('SELECT /* test */ COUNT(*) FROM gateway_calls WHERE created_at > NOW(3) - INTERVAL 1 MINUTE AND answered_at IS NOT NULL') >= 3 }, 10);
    sleep 5;    # expiry, laws, recount, reconciler
}

# --- the statements ---------------------------------------------------------------------------------------------------

sub real_table {
    my ($text, $alias) = @_;
    return $alias if $grows{$alias};
    for my $table (keys %grows) {
        return $table if $text =~ /\b$table\b`?\s+(?:AS\s+)?`?\Q$alias\E\b/i;
    }
    return $alias;
}

# What is wrong with a statement; empty: nothing.
sub faults {
    my ($handle, $s) = @_;
    my $plan = eval { SqlLog::plan($handle, $s->{text}) };
    return "no plan: $@" if !$plan;
    my $read = eval { SqlLog::rows_read($handle, $s->{text}) };
    my $why = $@;
    eval { $handle->rollback } if !defined $read;
    my $steps = join '; ', map { "$_->{table} $_->{type} $_->{key} $_->{rows}" } @$plan;
    my @faults;
    for my $step (@$plan) {
        my $table = real_table($s->{text}, $step->{table});
        push @faults, "full scan of $table" if $grows{$table} && $step->{type} eq 'ALL';
        push @faults, "index scan of $table, rows $step->{rows}" if $grows{$table} && $step->{type} eq 'index' && ($read // $step->{rows}) > $READ_MOST;
    }
    push @faults, "$read rows read" if defined $read && $read > $READ_MOST;
    push @faults, "did not run: $why" if !defined $read && $why !~ /Duplicate|read-only|foreign key/i;
    return @faults ? join(', ', @faults) . " ($steps)" : '';
}

fill();
my %log = map { $_ => SqlLog->start($stack, $_) } qw(mysql replica replica2);
everybody_works();
$test->end_worker($_) for keys %{ $test->{workers} };
my %shapes = map { my $server = $_; map { ($_->{shape} => { %$_, server => $server }) } $log{$server}->stop } sort keys %log;
my @checked = grep { $_->{text} !~ m{/\* test \*/} && $_->{shape} =~ /^\(?(?:SELECT|UPDATE|DELETE|WITH|INSERT .*SELECT)\b/i && $_->{shape} =~ /\bFROM\b|^UPDATE|^DELETE/i } map { $shapes{$_} } sort keys %shapes;
cmp_ok(scalar @checked, '>=', 60, scalar(@checked) . ' statements of the programs');
fill_notices();
my $handle = $stack->connect_to($stack->{env}{MYSQL_SOCKET});
$handle->do($_) for q(SET time_zone = '+00:00', innodb_lock_wait_timeout = 2, sql_mode = 'STRICT_ALL_TABLES'), 'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED';
for my $s (@checked) {
    diag("$s->{server}: $s->{shape}") if $ENV{SHAPES};
    my ($allowed) = grep { $s->{shape} =~ $_->[0] } @allowed;
    my $faults = $allowed ? '' : faults($handle, $s);
    is($faults, '', substr($s->{shape}, 0, 160) . ($allowed ? " (may read more: $allowed->[1])" : '')) or diag($s->{shape});
}

SKIP: {
    my ($mysqld) = grep { -x && qx($_ --version 2>/dev/null) !~ /MariaDB/ } '/usr/sbin/mysqld', '/usr/libexec/mysqld';
    skip 'MySQL is not installed here, so its plans are not looked at', 1 if $stack->is_mariadb && !$mysqld;
    skip 'this stack runs MariaDB; with MYSQLD=mysqld it runs MySQL', 1 if $stack->is_mariadb;
    pass('on MySQL');
}
$test->clear;
unlink $file;
done_testing;
