# R1, R2: reads go through the native upstream, over bounded pools, in threads; servers that die, hang or lie cost their
# own requests a clear error in time, and nobody else anything.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience;
use CheckoutTest;
use Digest::SHA qw(hmac_sha256);
use FakeDns;
use HttpBurst;
use MIME::Base64 qw(encode_base64);
use POSIX ();
use SqlServer;
use Test::More;
use Time::HiRes qw(sleep time);

my $redis = CheckoutTest::redis();
my @server = map { SqlServer->start } 0 .. 1;

# What stands beside the server; the upstream "db" is what is tested.
sub http {
    my ($upstream, $more) = @_;
    return "checkout_zone checkout:1m; upstream db { $upstream }
        checkout_redis 127.0.0.1:@{[ $redis->port ]};
        checkout_mysql database=checkout user=edge password_file=@{[ SqlServer::password_file() ]};
        checkout_read_from db;
        log_format tries '\$uri \$status \$upstream_addr \$upstream_status \$upstream_response_time \$upstream_connect_time';
        " . ($more // '');
}

my $locations = <<'END';
    access_log access.log tries;
    location = /one { checkout_query "SELECT 1"; }
    location = /who { checkout_query "SELECT @@server_id AS id"; }
    location = /connection { checkout_query "SELECT CONNECTION_ID() AS id"; }
    location = /short { checkout_query "SELECT SLEEP(0.05) AS id"; }
    location = /sleep { checkout_query "SELECT SLEEP(0.3) AS id"; }
    location = /long { checkout_query "SELECT SLEEP(20) AS id"; }
    location = /slow { checkout_query "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900)
        SELECT COUNT(*) FROM n a, n b, n c, n d WHERE a.i + b.i + c.i + d.i = 5"; }
    location = /wrong { checkout_query "SELECT nothing FROM nowhere"; }
    location = /refused { checkout_query "SELECT CAST(1 AS UNSIGNED) - 2 AS id"; }
    location = /metrics { checkout_metrics; }
    location = /api/place-order { checkout_place_order; }
END

sub start { my ($upstream, $more, $config, %o) = @_; return CheckoutTest::Nginx->start(($config // '') . $locations, http => http($upstream, $more), %o) }

# Status, number in the answer, seconds.
sub ask {
    my ($nginx, $path) = @_;
    my $begun = time;
    my $answer = $nginx->get($path);
    my ($number) = ($answer->{body} // '') =~ /(\d+)/;
    return ($answer ? $answer->{status} : 0, $number, time - $begun);
}

# Many at once, each on a connection of its own: how often each status came, and the longest time.
sub ask_together {
    my ($nginx, $path, $n) = @_;
    my @sockets = map { $nginx->connect } 1 .. $n;
    my $begun = time;
    print {$_} "GET $path HTTP/1.1\r\nHost: a\r\n\r\n" for @sockets;
    my %count;
    $count{ ($_ // { status => 'none' })->{status} }++ for map { CheckoutTest::Nginx::answer($_, 10) } @sockets;
    return (\%count, time - $begun);
}

sub metric {
    my ($nginx, $name) = @_;
    my ($value) = $nginx->get('/metrics')->{body} =~ /^\Q$name\E (\d+)$/m;
    return $value;
}

sub access_log { my ($nginx) = @_; open my $in, '<', "$nginx->{dir}/access.log"; return <$in> }

sub is_sane {
    my ($nginx) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $nginx->stop;
    unlike $nginx->log, qr/\[alert\]|\[emerg\]|opensesame|Sanitizer|runtime error/, 'no process died, nothing secret is logged';
}

sub both { return join ' ', map { 'server ' . $_->address . " $_[0];" } @server }

subtest 'one connection serves one request after another; log variables tell of it' => sub {
    my $nginx = start('server ' . $server[0]->address . ';');
    my @ids = map { (ask($nginx, '/connection'))[1] } 1 .. 5;
    is_deeply [ grep { $_ != $ids[0] } @ids ], [], 'the same connection';
    is +(ask($nginx, '/wrong'))[0], 502, 'a statement that no server can run';
    is +(ask($nginx, '/refused'))[0], 422, 'data that MySQL refuses';
    is +(ask($nginx, '/one'))[0], 200, 'neither is the fault of the server';
    is metric($nginx, 'checkout_mysql_jobs_total{outcome="done"}'), 6, 'counted: done';
    is metric($nginx, 'checkout_mysql_jobs_total{outcome="failed"}'), 1, 'failed';
    is metric($nginx, 'checkout_mysql_jobs_total{outcome="refused"}'), 1, 'refused';
    is metric($nginx, 'checkout_mysql_connections'), 1, 'connections';
    like $nginx->log, qr{"checkout_query" in \S+nginx.conf:\d+}, 'the log says which location';
    like +(access_log($nginx))[0], qr{^/connection 200 @{[ $server[0]->address ]} 200 \d\.\d{3} \d\.\d{3}$}, 'log variables';
    is_sane($nginx);
};

subtest 'weights, backup, a unix socket' => sub {
    my $nginx = start('server unix:' . $server[0]->socket_file . ' weight=3; server ' . $server[1]->address . ';');
    my %count;
    $count{ (ask($nginx, '/who'))[1] }++ for 1 .. 40;
    is_deeply \%count, { $server[0]->id => 30, $server[1]->id => 10 }, 'three to one';
    is_sane($nginx);

    my $dead = CheckoutRedis::free_port();
    $nginx = start('server ' . $server[0]->address . "; server 127.0.0.1:$dead; server " . $server[1]->address . ' backup;');
    %count = ();
    $count{ (ask($nginx, '/who'))[1] }++ for 1 .. 20;
    is_deeply \%count, { $server[0]->id => 20 }, 'a backup rests while another lives';
    is metric($nginx, 'checkout_mysql_failures_total{reason="connect_error"}'), 1, 'a dead server is left alone';
    is_sane($nginx);

    $nginx = start("server 127.0.0.1:$dead; server " . $server[1]->address . ' backup;');
    is +(ask($nginx, '/who'))[1], $server[1]->id, 'and serves when none does' for 1 .. 3;
    is_sane($nginx);
};

for my $balancer ('least_conn; zone db 64k;', 'hash $arg_k consistent;', 'ip_hash;', 'random two least_conn; zone db 64k;', 'keepalive 4;') {
    subtest "balancer: $balancer" => sub {
        my ($method, @rest) = split /(?<=;) /, $balancer;
        my $nginx = $method =~ /keepalive/ ? start(both('') . $balancer) : start("$balancer " . both(''));
        for my $k (1 .. 10) { is +(ask($nginx, "/who?k=$k"))[0], 200, "k=$k" }
        my ($count) = ask_together($nginx, '/sleep', 8);
        is_deeply $count, { 200 => 8 }, 'together';
        is_sane($nginx);
    };
}

subtest 'least_conn counts jobs while they run' => sub {
    my $nginx = start('least_conn; zone db 64k; ' . both(''), 'checkout_pool size=4;');
    my @long = map { my $s = $nginx->connect; print {$s} "GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n"; $s } 1 .. 8;
    ok wait_until(2, sub { $server[0]->connections == 4 && $server[1]->connections == 4 }), 'four each';
    CheckoutTest::Nginx::answer($_) for @long;
    is_sane($nginx);
};

subtest 'a pool has a bound, its queue too, and waits have an end' => sub {
    my $nginx = start('server ' . $server[0]->address . ';', 'checkout_pool size=3 queue=3 timeout=5s;');
    my ($count) = ask_together($nginx, '/sleep', 10);
    is_deeply $count, { 200 => 6, 503 => 4 }, 'three run, three wait, the rest is refused';
    is $server[0]->connections, 3, 'no more connections than that';
    is metric($nginx, 'checkout_mysql_jobs_total{outcome="busy"}'), 4, 'counted';
    is metric($nginx, 'checkout_mysql_waiting_jobs'), 0, 'nobody waits any more';
    is_sane($nginx);

    $nginx = start('server ' . $server[0]->address . ';', 'checkout_pool size=1 queue=9 timeout=200ms;');
    ($count, my $seconds) = ask_together($nginx, '/sleep', 3);
    is_deeply $count, { 200 => 1, 503 => 2 }, 'a wait that is too long';
    cmp_ok $seconds, '<', patient(1), 'is ended';
    is_sane($nginx);
};

subtest 'who has waited too long for one server is sent to another one' => sub {
    my $nginx = start(both('max_fails=0'), 'checkout_pool size=1 timeout=200ms; checkout_mysql_read_timeout 1500ms; checkout_timeout 3s;');
    is +(ask($nginx, '/who'))[0], 200, 'connected' for 1 .. 2;
    $server[0]->pause;
    my ($count, $seconds) = ask_together($nginx, '/who', 4);
    $server[0]->resume;
    is_deeply $count, { 200 => 4 }, 'one server has just fallen silent, the other one answers all';
    is metric($nginx, 'checkout_mysql_jobs_total{outcome="busy"}'), 0, 'none is refused';
    is_sane($nginx);
};

# An event of a payment provider, signed.
sub event {
    my ($nginx, $id) = @_;
    my ($time, $body) = (int time, '{"type":"payment.succeeded","data":{}}');
    my $signature = 'v1,' . encode_base64(hmac_sha256("$id.$time.$body", 'k' x 24), '');
    return HttpBurst::request($nginx->port, 'POST', '/webhook', $body, 'webhook-id', $id, 'webhook-timestamp', $time, 'webhook-signature', $signature);
}

sub webhook {
    my $secret = File::Temp->new;
    print {$secret} 'whsec_' . encode_base64('k' x 24, ''), "\n";
    $secret->flush;
    $server[0]->do('CREATE TABLE IF NOT EXISTS checkout.payment_events (id VARCHAR(255) PRIMARY KEY, provider VARCHAR(16), body BLOB) ENGINE=InnoDB');
    return ($secret, "location = /webhook { checkout_webhook standard; checkout_webhook_secret_file $secret; checkout_primary db; }");
}

subtest 'who writes has connections of his own: readers take none of them away' => sub {
    my ($secret, $webhook) = webhook();
    my $nginx = start('server ' . $server[0]->address . ';', 'checkout_primary db; checkout_pool size=2 queue=2 timeout=5s;', $webhook);
    my @reads = map { my $s = $nginx->connect; print {$s} "GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n"; $s } 1 .. 10;
    sleep 0.1;
    is event($nginx, "evt_$_")->{status}, 200, 'an event beside them' for 1 .. 5;
    my %count;
    $count{ CheckoutTest::Nginx::answer($_)->{status} }++ for @reads;
    is_deeply \%count, { 200 => 4, 503 => 6 }, 'readers fill what is theirs';
    is $server[0]->value('SELECT COUNT(*) FROM checkout.payment_events'), 5, 'all are kept';
    is_sane($nginx);
};

# Names that nginx resolves while it runs: since 1.27.3.
sub skip_without_resolve {
    my ($version) = qx($CheckoutTest::binary -v 2>&1) =~ m{nginx/([\d.]+)};
    my ($major, $minor, $patch) = split /\./, $version;
    return plan skip_all => "nginx $version does not know \"resolve\"" if $major * 1e6 + $minor * 1e3 + $patch < 1027003;
}

subtest 'names that stand for more servers than there are threads: who writes has his own' => sub {
    skip_without_resolve();
    my $silent = SqlServer::Fake->start(sub { sleep 15 }, '0.0.0.0');
    my $dns = FakeDns->start('replicas.test' => '127.0.0.1,127.0.0.2,127.0.0.3');
    my ($port) = $silent->address =~ /(\d+)$/;
    my ($secret, $webhook) = webhook();
    $webhook =~ s/checkout_primary db/checkout_primary primary/;
    my $nginx = start("zone db 64k; resolver 127.0.0.1:@{[ $dns->port ]} ipv6=off; server replicas.test:$port resolve max_fails=0;",
        "upstream primary { server @{[ $server[0]->address ]}; } checkout_pool size=2 queue=9 timeout=5s; checkout_thread_pool default threads=4;
        checkout_mysql_connect_timeout 4s; checkout_timeout 3s;", $webhook);
    sleep 1;
    my @reads = map { my $s = $nginx->connect; print {$s} "GET /one HTTP/1.1\r\nHost: a\r\n\r\n"; $s } 1 .. 8;
    ok wait_until(2, sub { $silent->connections >= 2 }), 'readers hang';
    for (1 .. 3) {
        my $begun = time;
        is event($nginx, "evt_beside_$_")->{status}, 200, 'an event beside them';
        cmp_ok time - $begun, '<', patient(1), 'at once';
    }
    is $silent->connections, 2, 'readers have the other threads alone';
    CheckoutTest::Nginx::answer($_, 5) for @reads;
    is_sane($nginx);
};

subtest 'who writes waits for a lock, and is told that nothing was changed, however short the time-out' => sub {
    my ($secret, $webhook) = webhook();
    my $nginx = start('server ' . $server[0]->address . ';', 'checkout_mysql_read_timeout 500ms; checkout_timeout 5s;', $webhook);
    my $other = $server[0]->administrator;
    $other->begin_work;
    $other->do(q(INSERT INTO checkout.payment_events VALUES ('evt_locked', '', '')));
    is event($nginx, 'evt_locked')->{status}, 503, 'somebody else writes it';
    $other->rollback;
    is event($nginx, 'evt_locked')->{status}, 200, 'later';
    is metric($nginx, 'checkout_mysql_failures_total{reason="read_timeout"}'), 0, 'the server is not to blame';
    is_sane($nginx);
};

subtest 'idle connections are closed' => sub {
    my $nginx = start('server ' . $server[0]->address . ';', 'checkout_pool idle=300ms;');
    ask_together($nginx, '/sleep', 3);
    is $server[0]->connections, 3, 'three are idle';
    ok wait_until(3, sub { $server[0]->connections == 0 }), 'and closed';
    ok wait_until(1, sub { metric($nginx, 'checkout_mysql_connections') == 0 }), 'as the counters know';
    is +(ask($nginx, '/one'))[0], 200, 'the next one opens one';
    is_sane($nginx);
};

subtest 'R1 a server restarts, or closes idle connections (wait_timeout): nobody notices' => sub {
    my $nginx = start('server ' . $server[0]->address . ';');
    ask($nginx, '/one');
    $server[0]->do("SET GLOBAL wait_timeout = 1");
    my ($first) = (ask($nginx, '/connection'))[1];
    $server[0]->do("KILL $first");
    is +(ask($nginx, '/one'))[0], 200, 'killed while it was idle';
    $server[0]->do("KILL " . (ask($nginx, '/connection'))[1]);
    ask($nginx, '/one');
    sleep 2.2;
    is +(ask($nginx, '/one'))[0], 200, 'after wait_timeout' for 1 .. 2;
    $server[0]->restart;
    is +(ask($nginx, '/one'))[0], 200, 'after a restart';
    cmp_ok metric($nginx, 'checkout_mysql_reconnects_total'), '>=', 3, 'reconnects are counted';
    is metric($nginx, "checkout_mysql_failures_total{reason=\"$_\"}"), 0, "no failure: $_" for qw(connect_error lost read_timeout);
    is_sane($nginx);
};

subtest 'R1 a server dies, another is frozen: reads go on elsewhere' => sub {
    my $nginx = start(both('max_fails=1 fail_timeout=5s') , 'checkout_mysql_read_timeout 300ms; checkout_mysql_connect_timeout 300ms;');
    is +(ask($nginx, '/one'))[0], 200, 'before' for 1 .. 4;
    $server[1]->kill;
    my @status = map { (ask($nginx, '/who'))[0] } 1 .. 20;
    is_deeply [ grep { $_ != 200 } @status ], [], 'one was killed';
    is metric($nginx, 'checkout_mysql_failures_total{reason="connect_error"}'), 1, 'and is left alone for fail_timeout';
    $server[1]->launch;
    sleep 5.5;
    ok wait_until(5, sub { (ask($nginx, '/who'))[1] == $server[1]->id }), 'it is asked again afterwards';

    $server[0]->pause;
    my $slowest = 0;
    for (1 .. 20) {
        my ($status, $who, $seconds) = ask($nginx, '/who');
        push @status, $status;
        $slowest = $seconds if $seconds > $slowest;
    }
    $server[0]->resume;
    is_deeply [ grep { $_ != 200 } @status ], [], 'one is frozen';
    cmp_ok $slowest, '<', patient(1.2), "the slowest took $slowest s";
    is_sane($nginx);
};

sub order { return qq({"product_id":17,"quantity":1,"user_id":$_[0]}) }

# Orders one after the other while $n reads hang; the slowest.
sub slowest_order {
    my ($nginx, $path, $n) = @_;
    my @reads = map { my $s = $nginx->connect; print {$s} "GET $path HTTP/1.1\r\nHost: a\r\n\r\n"; $s } 1 .. $n;
    my $slowest = 0;
    for my $user (1 .. 100) {
        my $begun = time;
        my $answer = $nginx->place(order($user));
        is $answer->{status}, 202, 'an order beside it' if !$answer || $answer->{status} != 202;
        $slowest = time - $begun if time - $begun > $slowest;
        sleep 0.01;
    }
    my %count;
    $count{ ($_ // { status => 'none' })->{status} }++ for map { CheckoutTest::Nginx::answer($_, 10) } @reads;
    return ($slowest, \%count);
}

my %bad = (
    'accepts and is silent'         => sub { sleep 15 },
    'closes at once'                => sub { },
    'closes in the handshake'       => sub { my ($s) = @_; syswrite $s, "\x4a\x00\x00\x00\x0a8.0"; },
    'greets with garbage'           => sub { my ($s) = @_; syswrite $s, 'HTTP/1.1 400 Bad Request' . "\r\n\r\n" . 'x' x 500; sleep 15 },
    'sends a byte from time to time' => sub { my ($s) = @_; syswrite $s, "\x4a\0\0\0\x0a"; for (1 .. 30) { syswrite $s, '8' or last; sleep 0.25 } },
);

for my $kind (sort keys %bad) {
    subtest "R2 every server $kind" => sub {
        my @fake = map { SqlServer::Fake->start($bad{$kind}) } 1 .. 2;
        CheckoutTest::fresh(17, stock => 1000000);
        my $nginx = start((join ' ', map { 'server ' . $_->address . ' max_fails=2 fail_timeout=1s;' } @fake),
            'checkout_mysql_read_timeout 500ms; checkout_mysql_connect_timeout 500ms; checkout_timeout 2s;');
        my ($slowest, $count) = slowest_order($nginx, '/one', 20);
        is_deeply [ grep { !/^50[24]$/ } keys %$count ], [], 'the answers are 502 or 504' or diag explain $count;
        cmp_ok $slowest, '<', patient(0.4), "an order beside it is quick: $slowest s";
        my ($status, undef, $seconds) = ask($nginx, '/one');
        like $status, qr/^50[24]$/, 'and again';
        cmp_ok $seconds, '<', patient(2.5), 'within the time-out';
        my $begun = time;
        is_sane($nginx);
        # A byte now and then outwits the client library while it connects; there the fake server's end is waited for.
        cmp_ok time - $begun, '<', patient($kind =~ /byte/ ? 20 : 4), 'nginx ends, though threads hang';
    };
}

# Ticks of the processor that a process has used; undef when it is gone.
sub ticks {
    my ($pid) = @_;
    open my $file, '<', "/proc/$pid/stat" or return undef;
    my @fields = split ' ', <$file> =~ s/^.*\) //r;
    return $fields[0] eq 'Z' ? undef : $fields[11] + $fields[12];
}

subtest 'a process that shall end waits for a thread that hangs without working' => sub {
    my $silent = SqlServer::Fake->start(sub { sleep 15 });
    my $nginx = start('server ' . $silent->address . ';', 'checkout_mysql_connect_timeout 200ms; checkout_mysql_read_timeout 3s;');
    is +(ask($nginx, '/one'))[0], 502, 'given up';
    my ($worker) = $nginx->workers;
    my $before = my $ticks = ticks($worker);
    my $begun = time;
    $nginx->reload;
    for (1 .. 500) { my $now = ticks($worker) // last; $ticks = $now; sleep 0.02 }
    my $seconds = time - $begun;
    cmp_ok $seconds, '>', 0.4, "it waited for $seconds s";
    cmp_ok $seconds, '<', patient(8), 'and ended';
    cmp_ok $ticks - $before, '<', 0.2 * POSIX::sysconf(POSIX::_SC_CLK_TCK()), 'in its sleep';
    is_sane($nginx);
};

subtest 'R2 every server is dead, or slow' => sub {
    CheckoutTest::fresh(17, stock => 1000000);
    my $nginx = start("server 127.0.0.1:" . CheckoutRedis::free_port() . ';');
    my ($status, undef, $seconds) = ask($nginx, '/one');
    is $status, 502, 'dead';
    cmp_ok $seconds, '<', patient(0.5), 'is said at once';
    is_sane($nginx);

    $nginx = start(both('max_fails=0'), 'checkout_mysql_read_timeout 10s; checkout_timeout 700ms;');
    my ($slowest, $count) = slowest_order($nginx, '/long', 30);
    is_deeply $count, { 504 => 30 }, 'slow: the clock of the request says so';
    cmp_ok $slowest, '<', patient(0.4), "an order beside it is quick: $slowest s";
    is metric($nginx, 'checkout_mysql_jobs_total{outcome="late"}'), 30, 'counted';
    my $begun = time;
    $nginx->stop('TERM');
    cmp_ok time - $begun, '<', patient(13), 'nginx ends within the time-out of the client library';
    $_->restart for @server;
};

subtest 'a job that is given up frees its connection, and its thread, at once' => sub {
    my $nginx = start('server ' . $server[0]->address . ' max_fails=0;', 'checkout_pool size=2; checkout_mysql_read_timeout 200ms;');
    for (1 .. 5) {
        ask_together($nginx, '/short', 2) for 1 .. 2;    # longer than it takes to ask for both: two connections
        $server[0]->pause;
        my ($count, $seconds) = ask_together($nginx, '/one', 2);
        $server[0]->resume;
        is_deeply $count, { 502 => 2 }, 'given up';
        cmp_ok $seconds, '<', patient(0.9), 'in time';
    }
    is +(ask($nginx, '/one'))[0], 200, 'and the next one runs';
    is metric($nginx, 'checkout_mysql_failures_total{reason="read_timeout"}'), 10, 'counted';
    ok wait_until(3, sub { metric($nginx, 'checkout_mysql_connections') == 1 }), 'one connection is left';
    is_sane($nginx);
    $_->restart for @server;
};

subtest 'a statement that is too slow is ended by the server, which is not to blame' => sub {
    my $nginx = start(both('max_fails=1 fail_timeout=9s'),
        'checkout_pool size=2; checkout_timeout 8s; checkout_mysql_read_timeout 3s;');    # the server's own is 300 ms less
    for (1 .. 3) {
        my ($count, $seconds) = ask_together($nginx, '/slow', 4);
        is_deeply $count, { 504 => 4 }, 'too slow';
        cmp_ok $seconds, '<', patient(5), 'is said in time, of one server';
    }
    for my $server (@server) {
        ok wait_until(0.5, sub { $server->value("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'edge' AND command <> 'Sleep'") == 0 }), 'nothing runs on';
    }
    my %count;
    $count{ (ask($nginx, '/who'))[1] }++ for 1 .. 10;
    is_deeply \%count, { map { $_->id => 5 } @server }, 'both servers are asked';
    is metric($nginx, "checkout_mysql_failures_total{reason=\"$_\"}"), 0, "no failure: $_" for qw(connect_error lost read_timeout);
    is metric($nginx, 'checkout_mysql_jobs_total{outcome="late"}'), 12, 'counted';
    like +(grep { m{^/slow} } access_log($nginx))[0], qr{^/slow 504 \S+ 504 }, 'log variables';
    is_sane($nginx);
};

subtest 'each statement of a job has the read time-out: a slow page and its slow total blame no server' => sub {
    my $nginx = start(both('max_fails=1 fail_timeout=9s'), 'checkout_mysql_read_timeout 1s; checkout_timeout 4s;', 'location = /pages {
        checkout_query "SELECT 1 AS id, SLEEP(0.6) AS slept"; checkout_query_page $arg_page $arg_n "count=SELECT 1 + SLEEP(0.6)"; }');
    for (1 .. 4) {
        my ($status, undef, $seconds) = ask($nginx, '/pages');
        is $status, 200, 'longer than one time-out, together';
        cmp_ok $seconds, '>', 1.1, 'and it took that long';
    }
    is metric($nginx, 'checkout_mysql_failures_total{reason="read_timeout"}'), 0, 'no server failed';
    my %count;
    $count{ (ask($nginx, '/who'))[1] }++ for 1 .. 10;
    is_deeply \%count, { map { $_->id => 5 } @server }, 'both are asked';
    $server[0]->pause;
    my @asked = map { [ ask($nginx, '/who') ] } 1 .. 2;
    $server[0]->resume;
    is_deeply [ map { $_->[0] } @asked ], [ 200, 200 ], 'one falls silent: the other one answers';
    cmp_ok $asked[0][2] + $asked[1][2], '<', 1.5, 'after one time-out';
    is metric($nginx, 'checkout_mysql_failures_total{reason="read_timeout"}'), 1, 'which blames it';
    is_sane($nginx);
};

subtest 'a row that somebody else keeps: 503, nothing was changed' => sub {
    $server[0]->do($_) for 'CREATE TABLE checkout.kept (n INT) ENGINE=InnoDB', 'INSERT INTO checkout.kept VALUES (1)', q(CREATE FUNCTION checkout.take() RETURNS INT DETERMINISTIC
        MODIFIES SQL DATA BEGIN UPDATE checkout.kept SET n = n + 1; RETURN 1; END);
    my $nginx = start('server ' . $server[0]->address . ' max_fails=1 fail_timeout=9s;', 'checkout_mysql_read_timeout 2500ms; checkout_timeout 5s;',
        'location = /take { checkout_query "SELECT take() AS id"; }');
    my $other = $server[0]->administrator;
    $other->begin_work;
    $other->do('UPDATE checkout.kept SET n = 1');
    is +(ask($nginx, '/take'))[0], 503, 'locked';
    $other->rollback;
    is $server[0]->value('SELECT n FROM checkout.kept'), 1, 'nothing was changed';
    is +(ask($nginx, '/take'))[0], 200, 'the server is not to blame';
    is_sane($nginx);
};

subtest 'a client that leaves' => sub {
    my $nginx = start('server ' . $server[0]->address . ';', 'checkout_pool size=1;');
    my $id = (ask($nginx, '/connection'))[1];
    for (1 .. 3) {
        my @sockets = map { $nginx->connect } 1 .. 3;
        print {$_} "GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n" for @sockets;
        sleep 0.05;
        close $_ for @sockets;
        sleep 0.05;
    }
    is metric($nginx, 'checkout_mysql_waiting_jobs'), 0, 'does not wait for a connection any more';
    is +(ask($nginx, '/connection'))[1], $id, 'its connection is used again';
    is metric($nginx, 'checkout_mysql_jobs_total{outcome="gone"}'), 9, 'counted';
    is_sane($nginx);
};

# A frame of HTTP/2 (RFC 9113, section 4.1).
sub frame { my ($type, $flags, $stream, $payload) = @_; return substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $stream) . $payload }

# HEADERS of a GET, which end the stream; the fields are literals of HPACK (RFC 7541) without Huffman code.
sub get_frame { my ($stream, $path) = @_; return frame(1, 0x5, $stream, "\x82\x86\x04" . chr(length $path) . "$path\x01\x01a") }

subtest 'HTTP/2: a client that resets its streams while their jobs run' => sub {
    my $nginx = start('server ' . $server[0]->address . ';', 'checkout_pool size=1;', undef, listen => 'http2');
    my $socket = $nginx->connect;
    print {$socket} "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frame(4, 0, 0, ''), map { get_frame($_, '/sleep') } 1, 3, 5;
    sleep 0.1;
    print {$socket} map { frame(3, 0, $_, pack 'N', 8) } 1, 3, 5;
    print {$socket} get_frame(7, '/who');
    my ($text, $id) = ('', $server[0]->id);
    my $found = wait_until(3, sub { $socket->blocking(0); sysread $socket, $text, 65536, length $text; $text =~ /\{"data":\[\{"id":$id\}\]\}/ });
    ok $found, 'the next stream of the connection is answered';
    close $socket;
    my $metrics = qx(curl -s --http2-prior-knowledge http://127.0.0.1:@{[ $nginx->port ]}/metrics);
    like $metrics, qr/^checkout_mysql_jobs_total\{outcome="gone"\} 3$/m, 'counted: gone';
    like $metrics, qr/^checkout_mysql_waiting_jobs 0$/m, 'nobody waits any more';
    is_sane($nginx);
};

subtest 'pipelined requests are answered in order' => sub {
    my $nginx = start('server ' . $server[0]->address . ';');
    my $socket = $nginx->connect;
    print {$socket} join '', map { "GET /$_ HTTP/1.1\r\nHost: a\r\n" . ($_ eq 'wrong' ? "Connection: close\r\n" : '') . "\r\n" } qw(sleep who one refused wrong);
    my $text = do { local $/; <$socket> };
    is_deeply [ $text =~ m{HTTP/1\.1 (\d+) }g ], [ 200, 200, 200, 422, 502 ], 'five';
    is_sane($nginx);
};

subtest 'a body that nobody asked for, slower than the answer' => sub {
    my $nginx = start('server ' . $server[0]->address . ';');
    my $socket = $nginx->connect;
    print {$socket} "GET /who HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n" . 'x' x 20;
    is CheckoutTest::Nginx::answer($socket)->{status}, 200, 'answered';
    print {$socket} 'x' x 40 . "GET /who HTTP/1.1\r\nHost: a\r\n\r\n";
    is CheckoutTest::Nginx::answer($socket)->{status}, 200, 'and the next one';
    close $socket;
    $socket = $nginx->connect;
    print {$socket} "GET /sleep HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n";
    sleep 0.1;
    close $socket;
    is_sane($nginx);
};

subtest 'subrequests' => sub {
    my $nginx = start('server ' . $server[0]->address . ';', '', 'location = /guarded { auth_request /one; alias /etc/hostname; }
        location = /refused_guard { auth_request /wrong; alias /etc/hostname; }');
    is +(ask($nginx, '/guarded'))[0], 200, 'auth_request on a query';
    is +(ask($nginx, '/refused_guard'))[0], 500, 'that fails';
    is +(ask($nginx, '/guarded'))[0], 200, 'and again';
    is_sane($nginx);
};

subtest 'credentials: wrong ones are 502, and are not logged' => sub {
    my $wrong = File::Temp->new;
    print {$wrong} "very-wrong-password\n";
    $wrong->flush;
    my $nginx = start('server ' . $server[0]->address . ';', '',
        "location = /stranger { checkout_mysql database=checkout user=edge password_file=$wrong; checkout_query 'SELECT 1'; }");
    is +(ask($nginx, '/stranger'))[0], 502, 'refused';
    is +(ask($nginx, '/one'))[0], 200, 'other credentials have connections of their own';
    is +(ask($nginx, '/stranger'))[0], 502, 'refused';
    unlike $nginx->log, qr/very-wrong/, 'the password is not logged';
    like $nginx->log, qr/error 1045/, 'the reason is';
    is_sane($nginx);
};

subtest 'a job that lost against another runs again, five times' => sub {
    $server[0]->do($_) for 'CREATE TABLE checkout.tries (n INT) ENGINE=MyISAM', q(CREATE FUNCTION checkout.lose(times INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA
        BEGIN INSERT INTO checkout.tries VALUES (1); IF (SELECT COUNT(*) FROM checkout.tries) <= times THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF; RETURN 7; END);
    my $nginx = start('server ' . $server[0]->address . ';', '',
        'location = /five { checkout_query "SELECT lose(5) AS id"; } location = /ever { checkout_query "SELECT lose(100) AS id"; }');
    is_deeply [ (ask($nginx, '/five'))[0, 1] ], [ 200, 7 ], 'the sixth run wins';
    is $server[0]->value('SELECT COUNT(*) FROM checkout.tries'), 6, 'six runs';
    $server[0]->do('DELETE FROM checkout.tries');
    is +(ask($nginx, '/ever'))[0], 502, 'who always loses';
    is $server[0]->value('SELECT COUNT(*) FROM checkout.tries'), 6, 'ends after six';
    is +(ask($nginx, '/one'))[0], 200, 'the server is not to blame';
    is_sane($nginx);
};

subtest 'a job that was given up while it connected never runs' => sub {
    $server[0]->do($_) for 'CREATE TABLE checkout.notes (n INT)', q(CREATE FUNCTION checkout.note() RETURNS INT DETERMINISTIC MODIFIES SQL DATA
        BEGIN INSERT INTO checkout.notes VALUES (1); RETURN 1; END);
    my $nginx = start('server ' . $server[0]->address . ' max_fails=0;', 'checkout_mysql_connect_timeout 300ms; checkout_mysql_read_timeout 2s;',
        'location = /note { checkout_query "SELECT note() AS id"; }');
    $server[0]->pause;
    is +(ask($nginx, '/note'))[0], 502, 'the server does not greet in time';
    sleep 0.2;
    $server[0]->resume;
    sleep 1.5;
    is $server[0]->value('SELECT COUNT(*) FROM checkout.notes'), 0, 'later it does, and the job stays where it was';
    is +(ask($nginx, '/note'))[0], 200, 'the next one runs';
    is $server[0]->value('SELECT COUNT(*) FROM checkout.notes'), 1, 'once';
    is metric($nginx, 'checkout_mysql_connections'), 1, 'one connection is left';
    is_sane($nginx);
};

subtest 'a thread pool with fewer threads than it is said to have' => sub {
    my $nginx = start('server ' . $server[0]->address . ';', 'checkout_thread_pool default threads=200;');
    is +(ask($nginx, '/one'))[0], 200, 'works';
    $nginx->stop;
    like $nginx->log, qr/\[alert\].*the process has 32 threads, "checkout_thread_pool default threads=200"/, 'but is reported';
};

sub descriptors { my ($pid) = @_; opendir my $dir, "/proc/$pid/fd" or return 0; return scalar grep {/\d/} readdir $dir }

sub resident {
    my ($pid) = @_;
    open my $file, '<', "/proc/$pid/status" or return 0;
    return (grep {/^VmRSS/} <$file>)[0] =~ /(\d+)/ ? $1 : 0;
}

subtest 'reloads under load: every read is answered, nothing is left behind' => sub {
    my $reloads = $ENV{CHECKOUT_RELOADS} // 10;
    my $nginx = start(both(''));
    my $load = sub {
        my ($n, $each) = @_;
        my $sent = 0;
        my @answers = HttpBurst::burst(port => $nginx->port, connections => 8, timeout => 120,
            before_each => sub { $nginx->reload if ++$sent % $each == 0; sleep 0.001 },
            requests => [ map { [ 'GET', '/who', undef, 'Connection', 'close' ] } 1 .. $n ]);
        return scalar grep { !$_ || $_->{status} != 200 } @answers;
    };
    my $measure = sub {
        wait_until(15, sub { 1 == (() = $nginx->workers) }) or diag 'old processes stay';
        ask($nginx, '/one') for 1 .. 4;
        my ($worker) = $nginx->workers;
        return [ descriptors($nginx->pid), descriptors($worker), resident($nginx->pid), resident($worker) ];
    };
    is $load->(120, 40), 0, 'a first round';
    my $before = $measure->();
    is $load->(40 * $reloads, 40), 0, "$reloads reloads";
    my $after = $measure->();
    cmp_ok $after->[$_], '<=', $before->[$_] + 4, "descriptors: $before->[$_], $after->[$_]" for 0 .. 1;
    my $more = $CheckoutTest::build =~ /sanitize/ ? 300 * $reloads : 2048;    # AddressSanitizer keeps what was freed
    cmp_ok $after->[$_], '<=', $before->[$_] * 1.3 + $more, "memory: $before->[$_] kB, $after->[$_] kB" for 2 .. 3;
    $nginx->stop;
    ok wait_until(3, sub { $server[0]->connections + $server[1]->connections == 0 }), 'no connection is left';
    unlike $nginx->log, qr/\[alert\]|\[emerg\]|Sanitizer/, 'no process died';
};

$redis->stop;
done_testing;
