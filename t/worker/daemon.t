# The worker as a daemon: signals, configuration, notification, health and metrics.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis ();
use HTTP::Tiny;
use IO::Socket::UNIX;
use JSON::PP;
use Socket qw(SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $test = WorkerTest->start;
my $program = "$test->{stack}{build}/checkout-worker";
my $conf = $test->stack->{env}{WORKER_CONF};
my $address = '127.0.0.1:' . CheckoutRedis::free_port();
my $http = HTTP::Tiny->new(timeout => 5);

sub fresh {
    $test->clear;
    $test->forget_log;
    $test->load(1, 20);
}

sub get { return $http->get("http://$address/$_[0]") }

sub with_metrics { return env => { CHECKOUT_WORKER_METRICS_ADDRESS => $address, @_ } }

sub is_up { return $test->wait_until(sub { get('healthz')->{status} == 200 }) }

# Sample => value.
sub metrics { return map { /^([a-z]\S*) (\S+)$/ ? ($1 => $2) : () } split /\n/, get('metrics')->{content} }

subtest 'the stack says where the metrics are' => sub {
    $test->stack->start_server('worker');
    like($http->get($test->stack->{env}{WORKER_METRICS_URL})->{content}, qr/^checkout_queue_entries 0$/m, 'and they answer');
    $test->stack->end_workers;
};

subtest 'metrics count what happened' => sub {
    fresh();
    $test->place_new(1, 3);
    $test->change_stock(1, -18);
    my $pid = $test->worker(with_metrics());
    ok(is_up(), 'up');
    $test->wait_drained;
    ok($test->wait_until(sub { my %m = metrics(); ($m{checkout_unsettled_orders} // 1) == 0 && $m{checkout_redis_up} }), 'laws checked');
    my %m = metrics();
    is($m{'checkout_orders_total{verdict="pending_payment"}'}, 2, 'orders');
    is($m{'checkout_orders_total{verdict="out_of_stock"}'}, 1, 'failures');
    is($m{checkout_batch_orders_sum}, 3, 'batch sizes');
    cmp_ok($m{checkout_commit_seconds_count}, '>=', 1, 'commits');
    is($m{"checkout_$_"}, 0, $_) for qw(oversold_units stock_drift_units unsettled_orders dead_letters queue_entries queue_oldest_seconds
        pending_dead_entries waiting_for_mysql paused);
    is($m{checkout_consumers}, 1, 'one consumer');
    is(get('nothing')->{status}, 404, 'another path');
    is($http->request('POST', "http://$address/metrics")->{status}, 405, 'another method');
};

subtest 'the laws as gauges show a violation' => sub {
    fresh();
    $test->worker(with_metrics(CHECKOUT_WORKER_RECONCILE_INTERVAL => '1h'));
    is_up();
    $test->wait_until(sub { $test->redis->hexists('workers', 'lease:reconciler') });
    sleep Patience::patient(0.5);    # its first round is over; the next comes in an hour
    $test->sql('UPDATE products SET stock = stock + 4 WHERE id = 1');
    $test->redis->xadd('dead-letter-queue', '*', 'foo', 'bar');
    ok($test->wait_until(sub { my %m = metrics(); ($m{checkout_oversold_units} // 0) == 4 }), 'oversold_units');
    ok($test->wait_until(sub { my %m = metrics(); ($m{checkout_stock_drift_units} // 0) == 4 }), 'stock_drift_units');
    ok($test->wait_until(sub { my %m = metrics(); ($m{checkout_unsettled_orders} // 0) == 1 }), 'unsettled_orders');
    ok($test->log_holds(qr/level=error event=law_violated/), 'and the log');
};

subtest 'text that promtool accepts' => sub {
    plan skip_all => 'promtool is not installed' if !grep { -x "$_/promtool" } split /:/, $ENV{PATH};
    open my $in, '|-', 'promtool check metrics' or die $!;
    print {$in} get('metrics')->{content};
    ok(close $in, 'promtool check metrics');
};

subtest 'health: waiting for MySQL, paused' => sub {
    fresh();
    my $pid = $test->worker(with_metrics());
    is_up();
    is(decode_json(get('healthz')->{content})->{status}, 'ok');
    is(get('readyz')->{status}, 200, 'ready');
    $test->sql("CREATE TRIGGER refuse BEFORE INSERT ON orders FOR EACH ROW SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021, MESSAGE_TEXT = 'test'");
    $test->place_new(1, 1);
    ok($test->wait_until(sub { decode_json(get('healthz')->{content})->{status} eq 'waiting' }), 'waiting');
    is(get('healthz')->{status}, 200, 'alive, a restart would not help');
    is(get('readyz')->{status}, 503, 'but not ready');
    my %m = metrics();
    is($m{checkout_waiting_for_mysql}, 1);
    cmp_ok($m{'checkout_retries_total{cause="mysql_disk_full"}'}, '>=', 1, 'the cause is counted');
    cmp_ok($m{checkout_queue_oldest_seconds}, '>=', 0, 'the oldest job has an age');
    $test->sql('DROP TRIGGER refuse');
    $test->wait_drained;

    kill 'USR1', $pid;
    ok($test->wait_until(sub { decode_json(get('healthz')->{content})->{status} eq 'paused' }), 'SIGUSR1 pauses');
    sleep 0.6;    # the read that waited before the pause ends
    $test->place_new(1, 2);
    sleep 0.3;
    is($test->redis->xlen('order-processing-queue'), 1, 'nothing is taken');
    kill 'USR2', $pid;
    ok($test->wait_drained, 'SIGUSR2 continues');
    kill 'USR1', $pid;
    $test->wait_until(sub { decode_json(get('healthz')->{content})->{status} eq 'paused' });
    is($test->end_worker($pid), 0, 'SIGTERM ends a paused worker');
};

subtest 'a second worker gets the address when it is free' => sub {
    fresh();
    my $first = $test->worker(name => 'a', with_metrics());
    is_up();
    $test->worker(name => 'b', with_metrics());
    ok($test->wait_until(sub { $test->log_holds(qr/level=warn event=metrics_closed/) }), 'it says so and works on');
    $test->end_worker($first);
    ok($test->wait_until(sub { get('healthz')->{status} == 200 }, 6), 'then it answers');
};

subtest 'SIGHUP opens the log again and takes over what may change' => sub {
    fresh();
    my $file = "$test->{stack}{dir}/reload.conf";
    my $write = sub {
        my ($more) = @_;
        open my $in, '<', $conf or die $!;
        open my $out, '>', $file or die $!;
        print {$out} (map { /^metrics_address/ ? "metrics_address =\n$more" : $_ } <$in>);
        close $out or die $!;
    };
    $write->('');
    my $pid = fork // die;
    if ($pid == 0) {
        $ENV{CHECKOUT_LOG_FILE} = $test->{log};
        { exec $program, '-c', $file };
        POSIX::_exit(127);
    }
    $test->{workers}{$pid} = 1;
    $test->wait_until(sub { $test->log_holds(qr/event=started/) });
    rename $test->{log}, "$test->{log}.1" or die $!;
    $write->("batch_orders = 7\nthreads = 3\n");
    kill 'HUP', $pid;
    ok($test->wait_until(sub { $test->log_holds(qr/event=reloaded/) }), 'a new log file');
    ok($test->log_holds(qr/event=reload_ignored option=worker.threads/), 'what waits for a restart is named');
    ok(!$test->log_holds(qr/option=worker.batch_orders/), 'the rest is taken over');
    $write->("batch_orders = many\n");
    kill 'HUP', $pid;
    ok($test->wait_until(sub { $test->log_holds(qr/event=reload_failed.*batch_orders/) }), 'a wrong file changes nothing');
    is($test->end_worker($pid), 0);
    unlink $file, "$test->{log}.1";
};

subtest 'sd_notify' => sub {
    fresh();
    my $path = "$test->{stack}{dir}/notify.sock";
    unlink $path;
    my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) or die "notify: $!";
    my $receive = sub {
        my $bits = '';
        vec($bits, fileno $socket, 1) = 1;
        select($bits, undef, undef, 5) or return 'nothing';
        $socket->recv(my $text, 256);
        return $text;
    };
    my $pid = $test->worker(env => { NOTIFY_SOCKET => $path });
    is($receive->(), 'READY=1', 'ready');
    kill 'HUP', $pid;
    like($receive->(), qr/^RELOADING=1\nMONOTONIC_USEC=\d+$/, 'reloading');
    is($receive->(), 'READY=1', 'ready again');
    is($test->end_worker($pid), 0);
    is($receive->(), 'STOPPING=1', 'stopping');
    unlink $path;
};

subtest 'configuration' => sub {
    my $text = qx($program -c $conf --print-config);
    is($?, 0);
    like($text, qr/^threads = 1$/m);
    my $password = $test->stack->{env}{MYSQL_PASSWORD};
    unlike($text, qr/\Q$password\E/, 'no password');
    {
        local $ENV{CHECKOUT_WORKER_THREADS} = 4;
        like(scalar qx($program -c $conf --print-config), qr/^threads = 4$/m, 'the environment wins');
    }
    my $docs = do { local $/; open my $in, '<', "$FindBin::Bin/../../docs/operations.md" or die $!; <$in> };
    my ($section, @missing) = ('');
    my $standard = qx(env -i $program --print-config);
    like($standard, qr/^name = $/m, 'a name that was made for this process is not printed: another one must have its own');
    like($standard, qr/^payment_timeout = 30m$/m, 'times in the unit that says them');
    for (split /\n/, $standard) {
        $section = $1 if /^\[(\w+)\]/;
        push @missing, "[$section] $1" if /^(\w+) =/ && $docs !~ /^### \[$section\]$(?:(?!^###).)*^\| `$1` \|/ms;
    }
    is("@missing", '', 'docs/operations.md has every option');
};

subtest 'TLS to MySQL is not given up silently' => sub {
    fresh();
    $test->place_new(1, 1);
    # Servers that can do TLS have a certificate of their own making, which the worker has no authority for.
    $test->worker(env => { CHECKOUT_MYSQL_SSL => 'yes', CHECKOUT_MYSQL_SSL_CA => "$FindBin::Bin/daemon.t" });
    ok($test->wait_until(sub { $test->log_holds(qr/mysql_failed.*(?:SSL|TLS)/) }), 'a server without it, or with a strange one, is refused');
    is($test->value('SELECT COUNT(*) FROM orders'), 0);
};

$test->clear;
done_testing;
