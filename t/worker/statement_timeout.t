# A statement that takes too long is ended by the server, not left to run on: the batch waits and becomes orders. A
# migration waits for no table for long, since all who come after wait behind it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $test  = WorkerTest->start;
my $stack = $test->stack;
my $admin = $stack->administrator_of('mysql');
$admin->do("USE $stack->{env}{MYSQL_DATABASE}");

# Statements of the programs that the server works on for longer than that, in seconds.
sub running { return $admin->selectrow_array("SELECT COUNT(*) FROM information_schema.processlist WHERE user = ? AND command = 'Query' AND time > ?", undef, $stack->{env}{MYSQL_USER}, @_) }

SKIP: {
    skip 'MySQL has no time-out for statements that write', 1 if !$stack->is_mariadb;
    subtest 'S1: inserts that take too long cost no order, and none runs on' => sub {
        $admin->do($_) for 'CREATE TABLE slow_inserts (n INT)', 'INSERT INTO slow_inserts VALUES (1)',
            'CREATE TRIGGER slow_orders BEFORE INSERT ON orders FOR EACH ROW BEGIN IF EXISTS (SELECT 1 FROM slow_inserts) THEN SET @slept = SLEEP(20); END IF; END';
        $test->load(1, 1000);
        $test->place_new(1, 64) for 1 .. 4;
        $test->worker(env => { CHECKOUT_MYSQL_TIMEOUT => '2s' });
        ok($test->wait_until(sub { $test->log_holds(qr/\b1969\b/) }, 10), 'the server ends the statement, and the worker says so');
        sleep 3;
        is(running(3), 0, 'none is left running');
        is($test->value('SELECT COUNT(*) FROM orders'), 0, 'no order, and none failed');
        $admin->do('DELETE FROM slow_inserts');
        ok($test->wait_drained(20), 'once it is fast again the queue drains');
        is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment'"), 256, 'all are orders');
        $admin->do($_) for 'DROP TRIGGER slow_orders', 'DROP TABLE slow_inserts';
        $test->laws_hold('afterwards');
    };
}

subtest 'a migration whose table is in use gives way, and tries again' => sub {
    my $last = q(UPDATE schema_migrations SET statements = statements - 1, finished_at = NULL WHERE name LIKE '0003%');
    $test->sql($_) for 'ALTER TABLE products DROP KEY products_limited', $last;
    my $other = $stack->connect_to($stack->{env}{MYSQL_SOCKET});
    $other->begin_work;
    $other->do('SELECT COUNT(*) FROM products');
    my $begun = time;
    open my $out, '-|', "$stack->{build}/checkoutctl -c $stack->{env}{WORKER_CONF} migrate 2>&1" or die $!;
    my $line = <$out>;
    like($line, qr/0003.*error 1205/, 'it gives the table up');
    cmp_ok(time - $begun, '<', 6, 'soon');
    my $free = time;
    $test->sql('UPDATE products SET name = name LIMIT 1');
    cmp_ok(time - $free, '<', 1, 'others go on');
    $other->rollback;
    $other->disconnect;
    my $text = do { local $/; <$out> };
    ok(close $out, 'then it succeeds') or diag($text);
    like($text, qr/trying again.*0003_standing_fast applied/s, 'by itself');
};

$test->clear;
done_testing;
