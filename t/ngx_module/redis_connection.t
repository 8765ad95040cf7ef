# The connection to Redis: password, user, TLS with its name check, UNIX socket, names that move (G20: READONLY),
# and recovery without a restart.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use FakeDns;
use JSON;
use Test::More;
use Time::HiRes qw(sleep time);

sub body { my (%o) = @_; return encode_json({ product_id => 17, quantity => 1, user_id => 42, %o }) }
sub code { my ($answer) = @_; return $answer ? decode_json($answer->{body})->{code} // 'none' : 'no answer' }

my $files = File::Temp->newdir("$CheckoutTest::root/.run/files-XXXXXX");
sub file { my ($name, $text) = @_; open my $f, '>', "$files/$name" or die $!; print $f $text; close $f; return "$files/$name" }

sub edge {
    my ($redis, $more) = @_;
    return CheckoutTest::Nginx->start("checkout_redis $redis; checkout_timeout 500ms; " . ($more // '')
        . ' location = /api/place-order { checkout_place_order; }');
}

# The real one of CheckoutTest is not used here.
CheckoutTest::redis()->stop;

subtest 'a password' => sub {
    my $redis = CheckoutRedis->start;
    $redis->load(17, stock => 10);
    $redis->client->config('set', 'requirepass', 's3cret word');
    my $right = edge("127.0.0.1:@{[ $redis->port ]} password_file=" . file('right', "s3cret word\nnot this\n"));
    is $right->place(body())->{status}, 202;
    my $wrong = edge("127.0.0.1:@{[ $redis->port ]} password_file=" . file('wrong', 'guess-word'));
    is code($wrong->place(body())), 'unavailable';
    like $wrong->log, qr/refused the password: WRONGPASS/, 'the log says why';
    unlike $wrong->log, qr/guess-word/, 'and not with what';
    my $none = edge("127.0.0.1:@{[ $redis->port ]}");
    is code($none->place(body())), 'unavailable';
    like $none->log, qr/NOAUTH/;
    $redis->client->config('set', 'requirepass', 'guess-word');
    sleep 1.1;
    is $wrong->place(body())->{status}, 202, 'recovers without a restart';
    unlike $_->log, qr/s3cret|guess-word/, 'no password in the log' for $right, $wrong;
    $_->stop for $right, $wrong, $none;
    $redis->stop;
};

subtest 'a user of the access control list' => sub {
    my $redis = CheckoutRedis->start;
    $redis->load(17, stock => 10);
    $redis->client->acl('setuser', 'gate', 'on', '>pw', '~*', '+@all');
    my $edge = edge("127.0.0.1:@{[ $redis->port ]} user=gate password_file=" . file('acl', "pw\r\n"));
    is $edge->place(body())->{status}, 202;
    $redis->client->acl('setuser', 'gate', '-evalsha', '-eval');
    is code($edge->place(body())), 'unavailable', 'G20 NOPERM';
    is $redis->client->get('product:17:stock'), 9;
    $redis->client->acl('setuser', 'gate', '+@all');
    is $edge->place(body())->{status}, 202, 'and again';
    $edge->stop;
    $redis->stop;
};

subtest 'a UNIX socket, and another database' => sub {
    my $redis = CheckoutRedis->start(unixsocket => "$files/redis.sock");
    $redis->client->select(3);
    $redis->load(17, stock => 10);
    my $edge = edge("unix:$files/redis.sock database=3");
    is $edge->place(body())->{status}, 202;
    is $redis->client->get('product:17:stock'), 9;
    $edge->stop;
    $redis->stop;
};

subtest 'G20 what a real Redis refuses, and recovery' => sub {
    my $redis = CheckoutRedis->start;
    my $r = $redis->client;
    $redis->load(17, stock => 100);
    my $edge = edge("127.0.0.1:@{[ $redis->port ]}");
    is $edge->place(body())->{status}, 202;
    my @cases = (
        [ 'NOREPLICAS', sub { $r->config('set', 'min-replicas-to-write', 1) }, sub { $r->config('set', 'min-replicas-to-write', 0) } ],
        [ 'OOM', sub { $r->config('set', 'maxmemory', 1) }, sub { $r->config('set', 'maxmemory', 0) } ],
        [ 'READONLY', sub { $r->replicaof('127.0.0.1', 1) }, sub { $r->replicaof('no', 'one') } ],
        [ 'MASTERDOWN', sub { $r->config('set', 'replica-serve-stale-data', 'no'); $r->replicaof('127.0.0.1', 1) },
          sub { $r->replicaof('no', 'one') } ],
        [ 'WRONGTYPE', sub { $r->rename('gate', 'away'); $r->set('gate', 'x') }, sub { $r->rename('away', 'gate') } ],
        [ 'BUSY', sub {
              $r->config('set', 'busy-reply-threshold', 50);
              fork // die or do {
                  my $other = Redis->new(server => "127.0.0.1:@{[ $redis->port ]}");
                  eval { $other->eval('while true do end', 0) };
                  POSIX::_exit(0);
              };
              sleep 0.3;
          }, sub { $r->script('kill') } ],
        [ 'MISCONF', sub {
              mkdir "$redis->{dir}/dump.rdb";
              $r->config('set', 'save', '3600 100000');
              $r->bgsave;
              sleep 0.5;
          }, sub { $r->config('set', 'save', '') } ],
    );
    for my $case (@cases) {
        my ($name, $break, $mend) = @$case;
        my $stock = $r->get('product:17:stock');
        ok eval { $break->(); 1 }, "$name is brought about" or diag $@;
        my $answer = $edge->place(body());
        is code($answer), 'unavailable', "$name: certainly nothing was deducted";
        like $answer->{headers}, qr/^Retry-After: 1\r?$/m;
        eval { $mend->() };
        sleep 0.1;
        is $r->get('product:17:stock'), $stock, 'and so it is';
        my $until = time + 3;
        do { $answer = $edge->place(body()); sleep 0.05 } while $answer->{status} != 202 && time < $until;
        is $answer->{status}, 202, 'recovers';
    }
    like $edge->log, qr/refused orders: (?:.*\n)*.*refused orders: /, 'the log tells';
    $edge->stop;
    $redis->stop;
};

subtest 'a name that moves from a replica to the new primary' => sub {
    my $port = CheckoutRedis::free_port();
    my %pid;
    for my $host ('127.0.0.2', '127.0.0.3') {
        mkdir "$files/$host";
        $pid{$host} = fork // die;
        next if $pid{$host};
        open STDOUT, '>', '/dev/null';
        { exec 'redis-server', '--bind', $host, '--port', $port, '--dir', "$files/$host", '--save', '', '--daemonize', 'no' };
        POSIX::_exit(127);
    }
    my %client;
    for my $host (keys %pid) {
        for (1 .. 100) { last if $client{$host} = eval { Redis->new(server => "$host:$port") }; sleep 0.05 }
        $client{$host}->select(1);
        my @keys = CheckoutRedis::load_keys(17);
        $client{$host}->eval(CheckoutRedis::source('load.lua'), scalar(@keys), @keys,
            'create', 'checkout-worker', 17, 1, 50, 0, 0, 0, 0, 'open', '-');
    }
    my $dns = FakeDns->start('localhost' => '127.0.0.2');
    my $edge = CheckoutTest::Nginx->start("resolver 127.0.0.1:@{[ $dns->port ]} valid=1s ipv6=off; checkout_redis localhost:$port;"
        . ' location = /api/place-order { checkout_place_order; }');
    is $edge->place(body())->{status}, 202;
    is $client{'127.0.0.2'}->get('product:17:stock'), 49, 'at the first address, which only the resolver knew';
    $client{'127.0.0.2'}->replicaof('127.0.0.3', $port);
    $dns->set('localhost' => '127.0.0.3');
    my ($until, $answer) = (time + 5);
    do { $answer = $edge->place(body()); sleep 0.1 } while $answer->{status} != 202 && time < $until;
    is $answer->{status}, 202, 'found again';
    sleep 0.2;
    my $stock = $client{'127.0.0.3'}->get('product:17:stock');
    cmp_ok $stock, '<', 50, 'at the new primary';
    $dns->stop;
    $client{'127.0.0.3'}->client_kill('type', 'normal', 'skipme', 'yes');
    sleep 1.2;
    is $edge->place(body())->{status}, 202, 'the last addresses serve while the name cannot be resolved';
    kill 'TERM', values %pid;
    waitpid $_, 0 for values %pid;
    $edge->stop;
};

sub openssl { system("openssl $_[0] > $files/openssl.log 2>&1") == 0 or die "openssl $_[0]: " . `cat $files/openssl.log` }

sub make_certificates {
    openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout $files/ca.key -out $files/ca.crt");
    for my $name ('redis.shop.test', 'client') {
        openssl("req -newkey rsa:2048 -nodes -subj /CN=$name -keyout $files/$name.key -out $files/$name.csr");
        file("$name.ext", "subjectAltName=DNS:$name\n");
        openssl("x509 -req -in $files/$name.csr -days 2 -CA $files/ca.crt -CAkey $files/ca.key -CAcreateserial"
            . " -extfile $files/$name.ext -out $files/$name.crt");
    }
}

subtest 'TLS' => sub {
    make_certificates();
    my $tls_port = CheckoutRedis::free_port();
    my $redis = eval { CheckoutRedis->start('tls-port' => $tls_port, 'tls-cert-file' => "$files/redis.shop.test.crt",
        'tls-key-file' => "$files/redis.shop.test.key", 'tls-ca-cert-file' => "$files/ca.crt", 'tls-auth-clients' => 'optional') };
    plan skip_all => 'this Redis has no TLS' if !$redis;
    $redis->load(17, stock => 10000);
    my $trust = "checkout_redis_ssl_trusted_certificate $files/ca.crt;";
    my $good = edge("127.0.0.1:$tls_port", "checkout_redis_ssl on; checkout_redis_ssl_name redis.shop.test; $trust");
    is $good->place(body())->{status}, 202, 'trusted and named';
    my @answers = $good->place_together((body()) x 200);
    is scalar(grep { $_->{status} == 202 } @answers), 200, 'many at once';
    $redis->client->client_kill('type', 'normal', 'skipme', 'yes');
    is $good->place(body())->{status}, 202, 'after a loss';
    is $redis->client->get('product:17:stock'), 9798;
    my $name = edge("127.0.0.1:$tls_port", "checkout_redis_ssl on; checkout_redis_ssl_name other.shop.test; $trust");
    is code($name->place(body())), 'unavailable', 'another name';
    like $name->log, qr/is not one of "other\.shop\.test"/;
    my $stranger = edge("127.0.0.1:$tls_port", 'checkout_redis_ssl on; checkout_redis_ssl_name redis.shop.test;');
    is code($stranger->place(body())), 'unavailable', 'an authority that the system does not know';
    like $stranger->log, qr/is not trusted/;
    my $blind = edge("127.0.0.1:$tls_port", 'checkout_redis_ssl on; checkout_redis_ssl_verify off;');
    is $blind->place(body())->{status}, 202, 'without a check';
    my $plain = edge("127.0.0.1:$tls_port");
    is $plain->place(body())->{status} >= 500, 1, 'no TLS where TLS is wanted';
    my $wrong = edge("127.0.0.1:@{[ $redis->port ]}", 'checkout_redis_ssl on; checkout_redis_ssl_verify off;');
    is code($wrong->place(body())), 'unavailable', 'TLS where none is wanted';
    $redis->client->config('set', 'tls-auth-clients', 'yes');
    $redis->client->client_kill('type', 'normal', 'skipme', 'yes');
    my $client = edge("127.0.0.1:$tls_port", "checkout_redis_ssl on; checkout_redis_ssl_name redis.shop.test; $trust
        checkout_redis_ssl_certificate $files/client.crt; checkout_redis_ssl_certificate_key $files/client.key;");
    is $client->place(body())->{status}, 202, 'with a certificate of its own';
    for my $edge ($good, $name, $stranger, $blind, $plain, $wrong, $client) {
        unlike $edge->log, qr/\[alert\]|\[emerg\]/, 'no process died';
        $edge->stop;
    }
    $redis->stop;
};

done_testing;
