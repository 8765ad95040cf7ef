# The race: every order is paid, fails, is cancelled and expires, in random order, from several connections, while two workers
# apply it all and other buyers take what comes back.
#
# SEED=N repeats the order of the events (not that of their arrival); ORDERS=N sets how many orders there are (10,000).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use HttpBurst;
use List::Util qw(shuffle);
use PaymentEvents;
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $seed = $ENV{SEED} // time ^ $$;
my $orders = $ENV{ORDERS} // 10_000;
my $products = 10;
my $connections = 4;
my $begin = time;
diag("SEED=$seed ORDERS=$orders");
srand $seed;

my $test = WorkerTest->start;
$test->clear;
$test->forget_log;
$test->load($_, $orders / $products, per_user_limit => 1_000_000) for 1 .. $products;
my @workers = map { $test->worker(name => "race$_", threads => $_) } 1, 2;

my @ids;
for my $product (1 .. $products) {
    for (my $left = $orders / $products; $left > 0; $left -= 500) {
        push @ids, $test->place_new($product, $left < 500 ? $left : 500);
    }
}
ok($test->wait_drained(60), "$orders orders");
is($test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment'"), $orders, 'all wait for their payment');
is($test->value('SELECT SUM(stock) FROM products'), 0, 'nothing is left');


# --- what hits them --------------------------------------------------------------------------------------------

my $port = $test->stack->{port};

sub insert_events {
    my ($db, $serial, $type, @orders) = @_;
    my @values = map { ("race-$$-" . ++$$serial, PaymentEvents::body($type, $_)) } @orders;
    $db->do('INSERT INTO payment_events (id, provider, body) VALUES ' . join(',', map { "(?, 'standard', ?)" } @orders), undef, @values);
}

sub list { return join ',', map { "'$_'" } @_ }

# A statement may lose against somebody else.
sub insist {
    my ($sub) = @_;
    for (1 .. 50) { return 1 if eval { $sub->(); 1 }; sleep 0.02 }
    die $@;
}

# Each action of a chunk of the list, of one kind after the other.
sub hit {
    my ($db, $serial, $chunk, $refused) = @_;
    my %of;
    push @{ $of{ $_->[1] } }, $_->[0] for @$chunk;
    for my $kind (shuffle keys %of) {
        my @them = @{ $of{$kind} };
        insist(sub { insert_events($db, $serial, succeeded => @them) }) if $kind eq 'pay';
        insist(sub { insert_events($db, $serial, failed => @them) }) if $kind eq 'fail';
        insist(sub { $db->do('UPDATE orders SET pay_by = NOW(3) - INTERVAL 1 SECOND WHERE order_identifier IN (' . list(@them) . ')') })
            if $kind eq 'expire';
        next if $kind ne 'cancel';
        # One that had to wait for a lock for too long is 503, and asks again.
        for (1 .. 5) {
            my @answers = HttpBurst::burst(port => $port, connections => 8, requests => [ map { [ 'POST', "/api/orders/$_/cancel" ] } @them ]);
            my @again = map { $them[$_] } grep { $answers[$_]{status} == 503 } 0 .. $#answers;
            $$refused{ $_->{status} }++ for grep { $_->{status} != 503 } @answers;
            @them = @again or last;
        }
        $$refused{503} += @them if @them;
    }
}

sub attack {
    my ($seed_of_mine, @list) = @_;
    srand $seed_of_mine;
    my $db = $test->stack->connect_to($test->stack->{env}{MYSQL_SOCKET});
    my ($serial, %answers) = (0);
    while (my @chunk = splice @list, 0, 1 + int rand 120) { hit($db, \$serial, \@chunk, \%answers) }
    delete @answers{qw(200 409)};
    die join ' ', %answers if %answers;
}

# Other buyers take what comes back, so that some who pay late find nothing.
sub buy_more {
    my $redis = Redis->new(server => "127.0.0.1:$test->{stack}{env}{REDIS_PORT}", on_connect => sub { $_[0]->select($test->{stack}{env}{REDIS_DB}) });
    local $test->{redis} = $redis;
    for (1 .. 150) {
        $test->place([ 1 + int rand $products, [ WorkerTest::identifier(), 1 + int rand 3, 1 + int rand 1000 ] ]) for 1 .. 5;
        sleep 0.02;
    }
}

my @actions = shuffle map { my $id = $_; map { [ $id, $_ ] } qw(pay fail cancel expire) } @ids;
my $share = int(@actions / $connections) + 1;
my (@attackers, @children);
push @attackers, [ splice @actions, 0, $share ] while @actions;

for my $run ((map { my ($i, $list) = ($_, $attackers[$_]); sub { attack($seed + $i, @$list) } } 0 .. $#attackers), \&buy_more) {
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        $test->{owner} = 0;
        eval { $run->(); 1 } or print STDERR "# $@";
        POSIX::_exit($@ ? 1 : 0);
    }
    push @children, $pid;
}
my $failed = 0;
for (@children) { waitpid $_, 0; $failed++ if $? }
is($failed, 0, "everything was sent, from $connections connections");


# --- what became of them ---------------------------------------------------------------------------------------

ok($test->wait_until(sub { $test->value('SELECT COUNT(*) FROM payment_events WHERE processed_at IS NULL') == 0 }, 90), 'all events are applied');
ok($test->wait_until(sub { $test->value("SELECT COUNT(*) FROM orders WHERE status = 'pending_payment' AND pay_by < NOW(3)") == 0 }, 30),
    'nothing is overdue');
ok($test->wait_drained, 'the queue is empty');

$test->sql('CREATE TEMPORARY TABLE raced (id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY)');
while (my @some = splice @ids, 0, 1000) { $test->sql('INSERT INTO raced VALUES ' . join(',', map { "('$_')" } @some)) }

my %became = map { $_->[0] => $_->[1] } @{ $test->stack->primary->selectall_arrayref(
    'SELECT o.status, COUNT(*) FROM orders o JOIN raced r ON r.id = o.order_identifier GROUP BY o.status') };
note(join ', ', map { "$_: $became{$_}" } sort keys %became);
is(($became{paid} // 0) + ($became{refund_pending} // 0), $orders, 'money events = paid + refund_pending: each order was paid, and is one or the other');
ok($became{paid}, 'some got their goods');

my %outcome = map { $_->[0] => $_->[1] } @{ $test->stack->primary->selectall_arrayref('SELECT outcome, COUNT(*) FROM payment_events GROUP BY outcome') };
note(join ', ', map { "$_: $outcome{$_}" } sort keys %outcome);
is(($outcome{paid} // 0) + ($outcome{paid_late} // 0), $became{paid} // 0, 'each paid order by one event');
is($outcome{refund_pending} // 0, $became{refund_pending} // 0, 'each refund by one event');
ok($outcome{paid_late}, 'some were paid late');
is($test->value("SELECT COUNT(*) FROM payment_events WHERE outcome NOT IN ('paid', 'paid_late', 'refund_pending', 'failed_payment', 'ignored', 'repeat')"),
    0, 'no other outcome');

is($test->value("SELECT COUNT(*) FROM raced r JOIN orders o ON o.order_identifier = r.id
                  WHERE o.status = 'paid' AND (SELECT COALESCE(SUM(units), 0) FROM stock_movements m WHERE m.order_identifier = r.id) <> 0"),
    0, 'what is paid holds its unit');
is($test->value("SELECT COUNT(*) FROM raced r JOIN orders o ON o.order_identifier = r.id
                  WHERE o.status = 'refund_pending' AND (SELECT COALESCE(SUM(units), 0) FROM stock_movements m WHERE m.order_identifier = r.id) <> 1"),
    0, 'what is refunded gave it back once');
my %holds = map { ("$_->[0]/$_->[1]" => $_->[2]) } @{ $test->stack->primary->selectall_arrayref(
    "SELECT i.product_id, o.user_id, SUM(i.quantity) FROM order_items i JOIN orders o ON o.order_identifier = i.order_identifier
     WHERE o.status IN ('pending_payment', 'paid', 'completed') GROUP BY i.product_id, o.user_id") };
my $counted = sub {
    my %counted;
    for my $product (1 .. $products) {
        my %users = @{ $test->redis->hgetall("product:$product:buyers") };
        $counted{"$product/$_"} = $users{$_} for grep { $_ > 0 } keys %users;    # user 0 is nobody
    }
    return \%counted;
};
$test->wait_until(sub { my $c = $counted->(); keys %$c == keys %holds && !grep { ($c->{$_} // 0) != $holds{$_} } keys %holds }, 5);
is_deeply($counted->(), { map { $_ => $holds{$_} } keys %holds }, 'the gate counts for each buyer what that buyer holds');
$test->laws_hold('all laws hold', seconds => 30);
is($test->end_worker($_), 0, 'the worker ends well') for @workers;
diag(sprintf '%.0f s', time - $begin);
$test->clear;
done_testing;
