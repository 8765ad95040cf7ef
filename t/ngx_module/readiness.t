# Readiness as Redis sees it: each part fails by name. The parts of MySQL are in order_read.t.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use CheckoutTest;
use HttpBurst;
use JSON;
use Test::More;
use Time::HiRes qw(sleep time);

my $redis = CheckoutTest::redis();
my $client = $redis->client;
my $nginx = start_nginx($redis->port);

sub start_nginx {
    my ($port, $more) = @_;
    return CheckoutTest::Nginx->start("checkout_redis 127.0.0.1:$port;" . ($more // '') . <<'END');
    checkout_timeout 500ms;
    location = /readyz { checkout_ready; }
    location = /strict { checkout_ready oldest_job=100ms; }
    location = /if { checkout_ready; if ($http_x_debug) { add_header X-Debug 1; } }
    location = /api/place-order { checkout_place_order; }
    location = /healthz { checkout_health; }
END
}

sub now_ms { return int(time * 1000) }

# A gate with one product and one live worker.
sub fresh {
    CheckoutTest::fresh(17, stock => 10);
    $client->hset('workers', 'w-1', now_ms());
}

# An answer that is not a kept one: { status, failed, checks }.
sub ask {
    my ($path, $server) = @_;
    sleep 1.05;
    my $answer = ($server // $nginx)->get($path // '/readyz');
    my $data = decode_json($answer->{body});
    return { code => $answer->{status}, %$data };
}

sub is_ready {
    my ($asked, $name) = @_;
    is_deeply([ @$asked{qw(code status failed)} ], [ 200, 'ready', [] ], $name // 'ready');
}

sub fails {
    my ($asked, $part, $name) = @_;
    is_deeply([ @$asked{qw(code status failed)} ], [ 503, 'not_ready', [ split ' ', $part ] ], $name // "$part fails");
}

subtest 'all is well' => sub {
    fresh();
    my $asked = ask();
    is_ready($asked);
    is_deeply($asked->{checks}, {
        redis => { ok => JSON::true }, eviction => { ok => JSON::true, policy => 'noeviction' },
        products => { ok => JSON::true, loaded => 1, state => 'open' }, oldest_job => { ok => JSON::true, age_ms => 0 },
        workers => { ok => JSON::true, alive => 1, paused => JSON::false } }, 'each part says so');
    is_ready(ask('/if'), 'with "if" in the location');
    like($nginx->get('/readyz')->{headers}, qr/^Content-Type: application\/json\r?$/m);
};

subtest 'G7 an evicting policy' => sub {
    fresh();
    for my $policy (qw(allkeys-lru volatile-ttl)) {
        $client->config_set('maxmemory-policy', $policy);
        my $asked = ask();
        fails($asked, 'eviction');
        is($asked->{checks}{eviction}{policy}, $policy);
    }
    $client->config_set('maxmemory-policy', 'noeviction');
    is_ready(ask());
};

subtest 'G7 a full Redis' => sub {
    fresh();
    $client->config_set('maxmemory', '1mb');
    my $asked = ask();
    fails($asked, 'redis');
    is($asked->{checks}{redis}{error}, 'out_of_memory');
    is($nginx->place('{"product_id":17,"quantity":1,"user_id":1}')->{status}, 503, 'and indeed it sells nothing');
    $client->config_set('maxmemory', 0);
    is_ready(ask());
};

subtest 'a replica of Redis sells nothing' => sub {
    fresh();
    $client->replicaof('127.0.0.1', CheckoutRedis::free_port());
    my $asked = ask();
    $client->replicaof('no', 'one');
    fails($asked, 'redis');
    is($asked->{checks}{redis}{error}, 'read_only');
    is_ready(ask());
};

subtest 'products and the gate' => sub {
    CheckoutTest::fresh();
    $client->hset('workers', 'w-1', now_ms());
    my $asked = ask();
    fails($asked, 'products', 'no product is loaded');
    is($asked->{checks}{products}{loaded}, 0);
    fresh();
    $client->hset('gate', 'state', 'rebuilding');
    $asked = ask();
    fails($asked, 'products', 'a rebuild is under way');
    is($asked->{checks}{products}{state}, 'rebuilding');
    $client->hset('gate', 'state', '","x":"');
    fails(ask(), 'redis', 'a state that is no word');
    $client->del('gate');
    $client->set('gate', 'x');
    fails(ask(), 'products', 'a gate that is no hash');
};

subtest 'the oldest job' => sub {
    fresh();
    is($nginx->place('{"product_id":17,"quantity":1,"user_id":1}')->{status}, 202);
    my $asked = ask();
    is_ready($asked, 'it may wait for a minute');
    cmp_ok($asked->{checks}{oldest_job}{age_ms}, '>=', 1000, 'its age is told');
    $asked = ask('/strict');
    fails($asked, 'oldest_job', 'or as long as configured');
    cmp_ok($asked->{checks}{oldest_job}{age_ms}, '>=', 1000);
};

subtest 'workers' => sub {
    CheckoutTest::fresh(17, stock => 10);
    fails(ask(), 'workers', 'none');
    $client->hset('workers', 'w-1', now_ms() - 11_000);
    fails(ask(), 'workers', 'one that is silent');
    $client->hset('workers', 'w-1', now_ms() + 3_600_000 . '.21');
    fails(ask(), 'workers', 'S11: one that beat before the clock stepped back');
    $client->hset('workers', 'w-2', now_ms() - 5_000 . '.21');
    $client->hset('workers', 'paused', now_ms());
    my $asked = ask();
    is_ready($asked, 'one that lives');
    is_deeply($asked->{checks}{workers}, { ok => JSON::true, alive => 1, paused => JSON::true }, 'a pause is told');
    CheckoutTest::fresh();
    fails(ask(), 'products workers', 'two parts at once');
};

subtest 'a user of Redis who may not run INFO' => sub {
    fresh();
    $client->acl('SETUSER', 'gate', 'on', '>secret', '~*', '+@all', '-info');
    open my $file, '>', "$CheckoutTest::root/.run/password-$$" or die $!;
    print $file "secret\n";
    close $file;
    my $other = CheckoutTest::Nginx->start("checkout_redis 127.0.0.1:@{[ $redis->port ]} user=gate password_file=$CheckoutTest::root/.run/password-$$;"
        . ' location = /readyz { checkout_ready; }');
    unlink "$CheckoutTest::root/.run/password-$$";
    my $asked = ask('/readyz', $other);
    is_ready($asked);
    is($asked->{checks}{eviction}{policy}, 'unknown');
};

subtest 'many ask at once' => sub {
    fresh();
    sleep 1.1;
    $client->config('RESETSTAT');
    my @answers = HttpBurst::burst(port => $nginx->port, connections => 50, requests => [ map { [ 'GET', '/readyz' ] } 1 .. 200 ]);
    is(scalar(grep { $_->{status} == 200 } @answers), 200, 'each is answered');
    my ($calls) = $client->info('commandstats')->{cmdstat_evalsha} =~ /calls=(\d+)/;
    cmp_ok($calls, '<=', 2, 'Redis is asked once');
};

subtest 'methods' => sub {
    my $socket = $nginx->connect;
    print $socket "HEAD /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    my $text = do { local $/; <$socket> };
    like($text, qr/^HTTP\/1\.1 200 .*\r\n\r\n\z/s, 'HEAD has no body');
    is(HttpBurst::request($nginx->port, 'POST', '/readyz', '{}')->{status}, 405);
};

subtest 'a silent Redis' => sub {
    my $silent = CheckoutTest::FakeRedis->start(sub { my ($socket) = @_; sleep 20 });
    my $other = start_nginx($silent->port);
    my @sockets = map { $other->connect } 1 .. 5;
    my $begin = time;
    for my $socket (@sockets) { print $socket "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n" }
    for my $socket (@sockets) {
        my $answer = CheckoutTest::Nginx::answer($socket);
        is($answer->{status}, 503);
        my $data = decode_json($answer->{body});
        is_deeply($data, { status => 'not_ready', failed => ['redis'], warnings => [], checks => {
            redis => { ok => JSON::false, error => 'no_answer' },
            map { $_ => { ok => JSON::null } } qw(eviction products oldest_job workers) } }, 'what is not known is null');
    }
    cmp_ok(time - $begin, '<', patient(1.5), 'within the time-out, all of them');
    is($other->get('/healthz')->{status}, 200, 'nginx is alive');
};

subtest 'S9: Redis frees memory beside its commands, or a warning says that it does not' => sub {
    fresh();
    my @names = map { "lazyfree-lazy-$_" } qw(expire server-del user-del);
    $client->config_set($_, 'yes') for @names;
    is_deeply(ask()->{warnings}, [], 'all is set');
    for my $name (@names) {
        $client->config_set($name, 'no');
        my $asked = ask();
        is_ready($asked, "without $name it is ready");
        is_deeply($asked->{warnings}, ['lazy_freeing'], '… and warns');
        $client->config_set($name, 'yes');
    }
    $client->config_set($names[0], 'no');
    $client->acl('SETUSER', 'default', '-config');
    my $asked = ask();
    my $refused = sub { my ($text) = $client->info('errorstats')->{errorstat_NOPERM} =~ /count=(\d+)/; $text };
    my $before = $refused->();
    is_ready($asked, 'where it may not be asked');
    is_deeply($asked->{warnings}, [], '… there is no warning');
    ask();
    is($refused->(), $before, '… and it is not asked again at once');
    $client->acl('SETUSER', 'default', '+config');
    $client->config_set($names[0], 'yes');
};

subtest 'the one in whose name it is asked goes away' => sub {
    my $silent = CheckoutTest::FakeRedis->start(sub { my ($socket) = @_; sleep 20 });
    my $other = start_nginx($silent->port);
    my $first = $other->connect;
    my $second = $other->connect;
    print $first "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
    sleep 0.1;
    print $second "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n";
    sleep 0.1;
    close $first;
    is(CheckoutTest::Nginx::answer($second)->{status}, 503, 'the other is answered');
    is($other->get('/healthz')->{status}, 200);
    $other->stop;
    unlike($other->log, qr/\[(alert|crit|emerg)\]|exited on signal|Sanitizer/);
};

subtest 'Redis away, and back' => sub {
    fresh();
    $redis->stop;
    fails(ask(), 'redis', 'away');
    $redis->_launch;
    fresh();
    ask();
    is_ready(ask(), 'back');
};

$nginx->stop;
unlike($nginx->log, qr/\[(alert|crit|emerg)\]|Sanitizer/, 'nothing bad in the log');

done_testing;
END { $redis->stop if $redis }
