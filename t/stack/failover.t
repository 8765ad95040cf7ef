# S2 with real servers: a replica that lacks the last commits becomes the primary, under load; a worker that committed on
# the old one settles late; a replica that lags is taken for the primary; a second loss. This stack is its own.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use PaymentEvents;
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

BEGIN { delete $ENV{CHECKOUT_TEST_STACKS} }

my $test = WorkerTest->start;
my $stack = $test->stack;
my $redis = $test->redis;
my $events = PaymentEvents->new(sub { $test->sql(@_) });
my $socket = "$stack->{dir}/mysql.sock";
my $primary_pid = $stack->{env}{MYSQL_PID};

# The address of the primary leads to that server from now on.
sub point_to {
    my ($server) = @_;
    unlink "$socket.new";
    symlink "$stack->{dir}/$server.sock", "$socket.new" or die "symlink: $!\n";
    rename "$socket.new", $socket or die "rename: $!\n";
    delete $stack->{primary};
}

sub stop_replication {
    my ($server) = @_;
    $stack->administrator($stack->is_mariadb ? 'STOP SLAVE' : 'STOP REPLICA', $server);
}

sub promote {
    my ($server) = @_;
    my @words = $stack->is_mariadb
        ? ('STOP SLAVE', 'RESET SLAVE ALL', 'SET GLOBAL read_only = 0')
        : ('STOP REPLICA', 'RESET REPLICA ALL', 'SET GLOBAL super_read_only = 0', 'SET GLOBAL read_only = 0');
    $stack->administrator($_, $server) for @words;
    point_to($server);
}

sub fail_over {
    my ($dead_pid, $server) = @_;
    $stack->end_process('KILL', $dead_pid);
    promote($server);
}

sub state_of { return $test->row($_[0]) }
sub recovering { return $redis->hget("product:$_[0]:register", 'recovering') }

sub becomes {
    my ($seconds, $condition, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok($test->wait_until($condition, $seconds), $name)
        or diag(qx(grep -E 'recover|stale|level=(warn|error)' $test->{log} | tail -30));
}

sub is_closed { return $redis->scard('products:recovering') }

sub place {
    my ($product) = @_;
    my $answer = $stack->place($product, 1);
    is($answer->{status}, 202, 'accepted');
    return $answer->{data}{order_identifier};
}

$test->{supplied} = $stack->{supplied};
$stack->add_product($_, 500) for 1, 2, 3;
my $worker = $test->worker(name => 'first');
my ($kept, $cancelled) = map { place(1) } 1, 2;
$test->wait_drained;
$stack->wait_replica($_) for qw(replica replica2);

subtest 'S2: a read-only server that lags changes nothing' => sub {
    stop_replication('replica2');
    my $id = place(1);
    $test->wait_drained;
    $test->end_worker($worker);
    my ($epoch, $register) = ($redis->hget('gate', 'epoch') // 0, join ' ', @{ $redis->hgetall('product:1:register') });
    rename $socket, "$socket.real" or die $!;
    symlink "$stack->{dir}/replica2.sock", $socket or die $!;
    $test->worker(name => 'lost');
    becomes(10, sub { $test->log_holds(qr/the server is read-only/) }, 'it says what it is connected to');
    sleep 1;
    $test->end_worker($_) for keys %{ $test->{workers} };
    is($redis->hget('gate', 'epoch') // 0, $epoch, 'the epoch is as before');
    is(join(' ', @{ $redis->hgetall('product:1:register') }), $register, 'so is the product');
    unlink $socket;
    rename "$socket.real", $socket or die $!;
    delete $stack->{primary};
    $worker = $test->worker(name => 'first');
    is(state_of($id), 'pending_payment', 'the primary has it all');
};

subtest 'S2: the replica that is promoted under load lacks the last commits' => sub {
    stop_replication('replica');
    my ($paid, $other) = map { place($_) } 1, 2;
    $test->wait_drained;
    $events->add(succeeded => $_) for $paid, $kept;
    is($stack->request('POST', "/api/orders/$cancelled/cancel")->{status}, 200, 'cancelled');
    becomes(5, sub { state_of($paid) eq 'paid' && state_of($kept) eq 'paid' }, 'paid');
    my $counts = $stack->sell(product => [1, 2], orders => 400, connections => 16, before_each => sub {
        fail_over($primary_pid, 'replica') if $_[0] == 200;
    });
    cmp_ok($counts->{202}, '>=', 200, 'orders were accepted before and after');
    is(join(' ', grep { !/^(202|503)$/ } sort keys %$counts), '', 'and refused by 503 alone');
    becomes(20, sub { $test->log_holds(qr/event=recovery_ended/) && !is_closed() }, 'recovered without help');
    becomes(20, sub { $stack->is_drained }, 'what waited meanwhile is decided');
    is(state_of($kept), 'paid', 'an order that was paid is paid');
    is(state_of($paid), 'paid', 'also one that was lost with its payment');
    is(state_of($cancelled), 'cancelled cancelled_by_buyer', 'a cancelled one is cancelled');
    is(state_of($other), 'pending_payment', 'an order stands again');
    place($_) for 1, 2;
    $stack->laws_hold;
};

subtest 'law 3: a worker that committed on the old server settles late' => sub {
    $test->end_worker($_) for keys %{ $test->{workers} };
    $stack->administrator($_, 'replica2') for $stack->is_mariadb
        ? ('STOP SLAVE', "SET GLOBAL gtid_slave_pos = ''")
        : ('STOP REPLICA');
    my $late = $test->worker(name => 'late', failpoint => 'settle.script.before:1:stop', threads => 1,
        env => { CHECKOUT_WORKER_DEAD_AFTER => '20s' });
    sleep 1.5;
    my $id = place(3);
    becomes(5, sub { state_of($id) eq 'pending_payment' }, 'committed on the old server, and not settled');
    my $epoch = $redis->hget('gate', 'epoch');
    fail_over($stack->{env}{MYSQL_REPLICA_PID}, 'replica2');
    is(state_of($id), 'no row', 'the new server lacks it');
    $test->worker(name => 'new', threads => 1, env => { CHECKOUT_WORKER_DEAD_AFTER => '20s' });
    becomes(10, sub { $redis->hget('gate', 'epoch') > $epoch }, 'the new server is known');
    my $next = place(3);
    becomes(10, sub { state_of($next) eq 'pending_payment' }, 'and sells on');
    kill 'CONT', $late;
    becomes(10, sub { $test->log_holds(qr/event=settle_stale/) }, 'what was committed on the old one is not settled');
    becomes(10, sub { state_of($id) eq 'pending_payment' }, 'it stands on the new one');
    becomes(20, sub { $test->log_holds(qr/event=recovery_ended/) && !is_closed() }, 'S2: a second loss is recovered');
    $stack->laws_hold;
};

done_testing;
