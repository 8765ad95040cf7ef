# S5: a worker reaches Redis and not MySQL, and another one is well: what the first held is decided by the other, and it joins
# again by itself. While nobody reaches MySQL nothing is passed round, counted or buried.
use strict;
use warnings;
use File::Temp;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $test = WorkerTest->start;
my $redis = $test->redis;
my $queue = 'order-processing-queue';
my $folder = File::Temp->newdir;

sub fresh {
    $test->clear;
    $test->forget_log;
    $test->load(1, 1000);
}

# A worker whose way to MySQL is a link of its own.
sub worker {
    my ($name) = @_;
    open_way($name);
    return $test->worker(name => $name, env => { CHECKOUT_MYSQL_SOCKET => "$folder/$name" });
}

sub open_way { my ($name) = @_; return symlink $test->stack->{env}{MYSQL_SOCKET}, "$folder/$name" }

# The ways are gone, and so are all connections of workers.
sub cut {
    my (@names) = @_;
    unlink map { "$folder/$_" } @names;
    my $mine = $test->value('SELECT CONNECTION_ID()');
    my $connections = $test->stack->primary->selectall_arrayref(
        "SELECT id FROM information_schema.processlist WHERE id <> $mine AND db = DATABASE() AND user = SUBSTRING_INDEX(USER(), '\@', 1)");
    eval { $test->sql("KILL $_->[0]") } for @$connections;
    return scalar @$connections;
}

# [entry, consumer, times delivered]
sub pending { return [ map { [ @$_[ 0, 1, 3 ] ] } @{ $redis->xpending($queue, 'checkout-worker', '-', '+', 100) } ] }

sub beat_says { my ($name) = @_; return ($redis->hget('workers', "$name-1") // '') =~ /\.2(\d)$/ ? $1 : 'nothing' }

subtest 'one reaches MySQL, the other does not' => sub {
    fresh();
    worker('a');
    ok($test->wait_until(sub { beat_says('a') eq '1' }), 'its heartbeat says that MySQL answers');
    my $begin = time;
    ok(cut('a'), 'its connections are cut');
    my @ids = map { $test->place_new(1, 2) } 1 .. 3;
    ok($test->wait_until(sub { beat_says('a') eq '0' }), 'its heartbeat says so');
    my $held = pending();
    ok(scalar @$held, 'it holds entries');
    my $other = worker('b');
    ok($test->wait_drained(patient(15)), 'the other one has decided');
    cmp_ok(time - $begin, '<', patient(15), 'within 15 s');
    is($test->row($_), 'pending_payment', 'an order') for @ids[ 0, -1 ];
    ok($test->wait_until(sub { $test->log_holds(qr/event=handed_back consumer=a-1/) }), 'the first handed back what it held');
    is($redis->hget('workers', 'a-1'), undef, 'and sends no heartbeat');
    ok(!$test->log_holds(qr/event=handed_back consumer=b-1/), 'once');
    is($redis->hget('workers', 'deaths'), undef, 'that is no death');

    open_way('a');
    ok($test->wait_until(sub { $test->log_holds(qr/event=joins_again consumer=a-1/) }), 'it joins again by itself');
    $test->end_worker($other);
    my ($id) = $test->place_new(1, 1);
    ok($test->wait_drained, 'and works on');
    is($test->row($id), 'pending_payment', 'an order');
    $test->laws_hold('the laws hold');
};

subtest 'nobody reaches MySQL' => sub {
    fresh();
    worker($_) for 'a', 'b';
    ok($test->wait_until(sub { beat_says('a') eq '1' && beat_says('b') eq '1' }), 'both say that MySQL answers');
    cut('a', 'b');
    my @ids = map { $test->place_new(1, 1) } 1 .. 6;
    ok($test->wait_until(sub { beat_says('a') eq '0' && beat_says('b') eq '0' }), 'nobody says so now');
    my $before = pending();
    sleep 13;    # longer than it takes to hand back
    is_deeply(pending(), $before, 'each keeps what he has, and it is not delivered again');
    ok(!$test->log_holds(qr/event=(?:handed_back|taken_over|entry_buried)/), 'nothing is passed round or buried');
    is($redis->hget('workers', 'deaths'), undef, 'nothing is counted');
    open_way($_) for 'a', 'b';
    ok($test->wait_drained, 'drained when MySQL is back');
    is($test->row($_), 'pending_payment', 'an order') for @ids[ 0, -1 ];
    $test->laws_hold('the laws hold');
};

$test->clear;
$test->forget_log;
done_testing;
