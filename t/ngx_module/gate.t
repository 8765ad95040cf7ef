# The gate under load and trouble: orders that arrive together, clients that leave, a Redis that is slow,
# silent, gone or wrong. A real Redis where it does what is wanted, a scripted one where it does not. There is no MySQL
# here (G9): the gate needs none.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience;
use CheckoutTest;
use IO::Select;
use JSON;
use Suspend;
use Test::More;
use Time::HiRes qw(sleep time);

my $redis = CheckoutTest::redis();

sub body  { my ($quantity, $product) = @_; return encode_json({ product_id => $product // 17, quantity => $quantity, user_id => 42 }) }
sub codes { return join ' ', map { $_ ? $_->{status} : 'none' } @_ }

sub place_location {
    my ($port, $more) = @_;
    return "checkout_redis 127.0.0.1:$port; location = /api/place-order { checkout_place_order; " . ($more // '') . ' }'
        . ' location ~ ^/api/orders/(?<order>.+)$ { checkout_order_status $order; }'
        . ' location = /stock { checkout_stock 17; } location = /healthz { checkout_health; }';
}

my $nginx = CheckoutTest::Nginx->start(place_location($redis->port));

subtest 'G1 an order of 5 and one of 1 together, for 3 units' => sub {
    CheckoutTest::fresh(17, stock => 3);
    my @answers = $nginx->place_together(body(5), body(1));
    is codes(@answers), '400 202', 'the small one is accepted';
    is decode_json($answers[0]{body})->{available}, 2, 'the large one is told what is left';
    is CheckoutTest::stock(17), 2;
};

subtest 'orders of one turn leave as one call and one entry' => sub {
    CheckoutTest::fresh(17, stock => 50);
    $redis->client->config('resetstat');
    my @answers = $nginx->place_together((body(1)) x 64);
    is scalar(grep { $_->{status} == 202 } @answers), 50;
    is scalar(grep { $_->{status} == 400 } @answers), 14;
    is CheckoutTest::stock(17), 0, 'stock';
    is CheckoutTest::in_flight(17), 50, 'in flight';
    is CheckoutTest::queued(), 50, 'queued';
    my %seen = map { decode_json($_->{body})->{order_identifier} // '' => 1 } @answers;
    is scalar(grep { $_ } keys %seen), 50, 'every order has an identifier of its own';
    my $calls = $redis->client->info('commandstats')->{cmdstat_evalsha} // $redis->client->info('commandstats')->{cmdstat_eval};
    $calls =~ /calls=(\d+)/;
    cmp_ok $1, '<=', 3, 'calls';
};

subtest 'many products and more than one batch together' => sub {
    CheckoutTest::fresh();
    $redis->load($_, stock => 2) for 1 .. 100;
    my @answers = $nginx->place_together(map { body(1, $_ % 100 + 1) } 1 .. 300);
    is scalar(grep { $_->{status} == 202 } @answers), 200;
    is scalar(grep { $_->{status} == 400 } @answers), 100;
    is CheckoutTest::queued(), 200;
    is_deeply [ grep { CheckoutTest::stock($_) != 0 } 1 .. 100 ], [], 'all sold out';
};

subtest 'a product with a broken key fails alone' => sub {
    CheckoutTest::fresh(17, stock => 3);
    $redis->load(18, stock => 3);
    $redis->client->del('product:18:register');
    $redis->client->set('product:18:register', 'x');
    is codes($nginx->place_together(body(1), body(1, 18), body(1))), '202 503 202';
};

subtest 'G8 SCRIPT FLUSH' => sub {
    CheckoutTest::fresh(17, stock => 100);
    $redis->client->script('flush');
    is codes($nginx->place_together((body(1)) x 5)), '202 202 202 202 202';
    is CheckoutTest::stock(17), 95, 'deducted once each';
};

subtest 'G7 Redis is full' => sub {
    CheckoutTest::fresh(17, stock => 3);
    $redis->client->config('set', 'maxmemory', '1');
    my $answer = $nginx->place(body(1));
    $redis->client->config('set', 'maxmemory', '0');
    is $answer->{status}, 503;
    is decode_json($answer->{body})->{code}, 'unavailable';
    is CheckoutTest::stock(17), 3, 'nothing was deducted';
    is $nginx->place(body(1))->{status}, 202, 'and it recovers';
};

subtest 'G17 a client leaves before the answer' => sub {
    CheckoutTest::fresh(17, stock => 3);
    Suspend::stop($redis->{pid});
    my $socket = $nginx->connect;
    print $socket CheckoutTest::Nginx::order_request(body(1));
    sleep 0.1;
    close $socket;
    sleep 0.1;
    Suspend::go_on($redis->{pid});
    ok wait_until(2, sub { CheckoutTest::queued() == 1 }), 'the order stands';
    is $nginx->place(body(1))->{status}, 202, 'and others go on';
};

subtest 'a request that is cut off deducts nothing' => sub {
    CheckoutTest::fresh(17, stock => 3);
    my $socket = $nginx->connect;
    print $socket substr CheckoutTest::Nginx::order_request(body(1)), 0, -5;
    close $socket;
    sleep 0.1;
    is CheckoutTest::stock(17), 3;
};

subtest 'the connection is cut while it is idle, and while nobody looks' => sub {
    CheckoutTest::fresh(17, stock => 100);
    for (1 .. 5) {
        $redis->client->client_kill('type', 'normal', 'skipme', 'yes');
        is $nginx->place(body(1))->{status}, 202;
    }
    is CheckoutTest::stock(17), 95;
};

subtest 'G8 Redis restarts with its data' => sub {
    my $other = CheckoutRedis->start(appendonly => 'yes', appendfsync => 'always');
    $other->load(17, stock => 100);
    my $edge = CheckoutTest::Nginx->start(place_location($other->port));
    is $edge->place(body(1))->{status}, 202;
    my $socket = $edge->connect;
    $other->stop;
    print $socket CheckoutTest::Nginx::order_request(body(1));
    sleep 0.3;
    $other->_launch;
    my $answer = CheckoutTest::Nginx::answer($socket);
    is $answer->{status}, 202, 'an order waits for it while its clock runs';
    is $other->client->get('product:17:stock'), 98;
    $edge->stop;
    $other->stop;
};

subtest 'G4 Redis is away: the request\'s own clock' => sub {
    my $edge = CheckoutTest::Nginx->start(place_location(1, 'checkout_timeout 400ms;'));
    my $start = time;
    my @answers = map { $edge->place(body(1)) } 1 .. 2;
    my $took = time - $start;
    is codes(@answers), '503 503';
    like $answers[0]{headers}, qr/^Retry-After: 1\r?$/m;
    my $keyed = $edge->place(body(1), 'Idempotency-Key: away');
    is decode_json($keyed->{body})->{code}, 'unavailable', 'a keyed order that was not sent is not unknown';
    cmp_ok $took, '>', 0.75, 'not before';
    cmp_ok $took, '<', patient(1.5),  'and in time';
    $start = time;
    my $socket = $edge->connect;
    print $socket CheckoutTest::Nginx::order_request(body(1));
    my $health = $edge->connect;
    print $health "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    is CheckoutTest::Nginx::answer($health)->{status}, 200;
    cmp_ok time - $start, '<', 0.2, 'others do not wait';
    $edge->stop;
};

subtest 'Redis is silent: unknown, and the late reply is dropped' => sub {
    CheckoutTest::fresh(17, stock => 3);
    my $edge = CheckoutTest::Nginx->start(place_location($redis->port, 'checkout_timeout 300ms; checkout_read_timeout 5s;'));
    is $edge->place(body(1))->{status}, 202;
    Suspend::stop($redis->{pid});
    my $answer = $edge->place(body(1));
    Suspend::go_on($redis->{pid});
    is $answer->{status}, 500;
    my $json = decode_json($answer->{body});
    is $json->{code}, 'outcome_unknown';
    like $json->{order_identifier}, qr/^[0-9a-f-]{36}$/;
    ok wait_until(2, sub { CheckoutTest::stock(17) == 1 }), 'it was placed after all';
    is $edge->place(body(1))->{status}, 202, 'the next order gets its own verdict';
    my $socket = $edge->connect;
    print $socket "GET /api/orders/$json->{order_identifier} HTTP/1.1\r\nHost: localhost\r\n\r\n";
    is decode_json(CheckoutTest::Nginx::answer($socket)->{body})->{data}{status}, 'queued', 'and it can be asked for';
    $edge->stop;
};

# A scripted Redis in front of the real one: passes commands on, and replies back as the script wants.
sub pass_on {
    my @words = @_;
    my $real = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $redis->port) or die $!;
    print $real "*2\r\n\$6\r\nSELECT\r\n\$1\r\n1\r\n", '*' . @words . "\r\n", map { '$' . length($_) . "\r\n$_\r\n" } @words;
    my $reply = '';
    while (IO::Select->new($real)->can_read(0.2)) { sysread $real, $reply, 65536, length $reply or last }
    $reply =~ s/^\+OK\r\n//;
    return $reply;
}

subtest 'G5 the reply is lost: sent again, deducted once' => sub {
    for my $cut ('before the first byte', 'in the middle') {
        CheckoutTest::fresh(17, stock => 3);
        my $fake = CheckoutTest::FakeRedis->start(sub {
            my ($socket, $serial) = @_;
            while (my @words = CheckoutTest::FakeRedis::read_command($socket)) {
                my $reply = pass_on(@words);
                if ($serial == 0 && $reply !~ /NOSCRIPT/) {
                    print $socket substr $reply, 0, length($reply) / 2 if $cut eq 'in the middle';
                    return;
                }
                print $socket $reply;
            }
        });
        my $edge = CheckoutTest::Nginx->start(place_location($fake->port));
        is codes($edge->place_together(body(1), body(1))), '202 202', "cut $cut";
        is CheckoutTest::stock(17), 1, 'one deduction each';
        is CheckoutTest::queued(), 2;
        $edge->stop;
        $fake->stop;
    }
};

subtest 'G4 Redis hears nothing, then everything late' => sub {
    CheckoutTest::fresh(17, stock => 3);
    my $fake = CheckoutTest::FakeRedis->start(sub {
        my ($socket, $serial) = @_;
        return sleep 2 if $serial == 0;
        while (my @words = CheckoutTest::FakeRedis::read_command($socket)) { print $socket pass_on(@words) }
    });
    my $edge = CheckoutTest::Nginx->start(place_location($fake->port, 'checkout_timeout 3s; checkout_read_timeout 300ms;'));
    is codes($edge->place_together(body(1), body(1))), '202 202', 'sent again on another connection';
    is CheckoutTest::stock(17), 1, 'deducted once';
    $edge->stop;
    $fake->stop;
};

subtest 'G5 a slow Redis: its late reply is not waited for, and the order is asked for again' => sub {
    CheckoutTest::fresh(17, stock => 3);
    my $fake = CheckoutTest::FakeRedis->start(sub {
        my ($socket, $serial) = @_;
        while (my @words = CheckoutTest::FakeRedis::read_command($socket)) {
            my $reply = pass_on(@words);
            sleep 2 if $serial == 0 && $reply !~ /NOSCRIPT/;
            print $socket $reply;
        }
    });
    my $edge = CheckoutTest::Nginx->start(place_location($fake->port, 'checkout_timeout 3s; checkout_read_timeout 600ms;'));
    my $answer = $edge->place(body(1), 'Idempotency-Key: slow');
    is $answer->{status}, 202;
    is CheckoutTest::stock(17), 2, 'deducted once';
    is CheckoutTest::queued(), 1;
    $edge->stop;
    $fake->stop;
};

subtest 'a reply byte by byte, and one of a megabyte' => sub {
    CheckoutTest::fresh(17, stock => 3);
    my $fake = CheckoutTest::FakeRedis->start(sub {
        my ($socket) = @_;
        while (my @words = CheckoutTest::FakeRedis::read_command($socket)) {
            if (grep { /:register$/ && @words == 5 } @words) {
                print $socket "*3\r\n\$1\r\n5\r\n\$1048576\r\n" . ('7' x 1048576) . "\r\n\$1\r\n2\r\n";
                next;
            }
            for my $byte (split //, pass_on(@words)) { print $socket $byte; sleep 0.001 }
        }
    });
    my $edge = CheckoutTest::Nginx->start(place_location($fake->port));
    is $edge->place(body(1))->{status}, 202, 'byte by byte';
    my $socket = $edge->connect;
    print $socket "GET /stock HTTP/1.1\r\nHost: localhost\r\n\r\n";
    is CheckoutTest::Nginx::answer($socket)->{status}, 503, 'a megabyte is read whole, and is no stock';
    is $edge->place(body(1))->{status}, 202, 'the connection is still good';
    $edge->stop;
    $fake->stop;
};

subtest 'G20 error replies, garbage, and replies of another shape' => sub {
    my %expect = (
        '-LOADING Redis is loading' => 503, '-BUSY a script runs' => 503, '-MASTERDOWN x' => 503, '-TRYAGAIN x' => 503,
        "-READONLY You can't write" => 503, '-NOREPLICAS x' => 503, '-MISCONF x' => 503, '-OOM x' => 503, '-NOPERM x' => 503,
        '-WRONGTYPE x' => 503, '-ERR whatever' => 503, '-ERR user_script:9: half way' => 500, '-' => 503,
        '+OK' => 500, ':1' => 500, '$-1' => 500, '*0' => 500, '*-1' => 500, "*2\r\n:1\r\n:2" => 500, "*2\r\n:1\r\n*1\r\n:1" => 500,
        "*2\r\n:1\r\n*2\r\n:1\r\n:1" => 500, "*2\r\n:1\r\n*2\r\n:1\r\n\$7\r\nnothing" => 500,
        "*2\r\n:1\r\n*3\r\n:1\r\n+queued\r\n+queued" => 500, 'GARBAGE' => 500, "*2\r\n:1\r\n*2\r\n:1\r\n\$12\r\nknown rubbish" => 500,
        "*2\r\n:1\r\n*2\r\n:-1\r\n\$10\r\nrebuilding" => 503, '*1000000000' => 500, "*2\r\n:1\r\n*2\r\n:1\r\n\$7\r\nqueuedX" => 500,
    );
    for my $reply (sort keys %expect) {
        my $fake = CheckoutTest::FakeRedis->start(sub {
            my ($socket) = @_;
            while (my @words = CheckoutTest::FakeRedis::read_command($socket)) { print $socket "$reply\r\n" }
        });
        my $edge = CheckoutTest::Nginx->start(place_location($fake->port, 'checkout_timeout 300ms;'));
        (my $shown = $reply) =~ s/\r\n/ /g;
        is $edge->place(body(1))->{status}, $expect{$reply}, $shown;
        like $edge->place(body(1))->{status}, qr/^(?:$expect{$reply}|503)$/, '… and again, or not sent in a backoff';
        unlike $edge->log, qr/\[alert\]|\[emerg\]/, 'no process died';
        $edge->stop;
        $fake->stop;
    }
};

subtest 'G20 READONLY: the replies behind it are read before the connection is dropped' => sub {
    my $fake = CheckoutTest::FakeRedis->start(sub {
        my ($socket) = @_;
        for (1 .. 2) { CheckoutTest::FakeRedis::read_command($socket) or return }
        print $socket "-READONLY You can't write against a read only replica.\r\n" x 2;
        sleep 2;
    });
    my $edge = CheckoutTest::Nginx->start(place_location($fake->port, 'checkout_timeout 1s;'));
    my @sockets;
    for (1 .. 2) {
        push @sockets, $edge->connect;
        print { $sockets[-1] } CheckoutTest::Nginx::order_request(body(1));
        select undef, undef, undef, 0.05;
    }
    is_deeply [map { CheckoutTest::Nginx::answer($_)->{status} } @sockets], [503, 503], 'certainly nothing was deducted';
    $edge->stop;
    $fake->stop;
};

subtest 'replies that nothing asked for, and a Redis that refuses the database' => sub {
    my $fake = CheckoutTest::FakeRedis->start(sub {
        my ($socket) = @_;
        print $socket "+surprise\r\n";
        sleep 1;
    });
    my $edge = CheckoutTest::Nginx->start(place_location($fake->port, 'checkout_timeout 300ms;'));
    like codes($edge->place(body(1))), qr/^50[03]$/;
    $edge->stop;
    $fake->stop;
    my $small = CheckoutRedis->start(databases => 2);
    $edge = CheckoutTest::Nginx->start("checkout_redis 127.0.0.1:@{[ $small->port ]} database=5; checkout_timeout 300ms;"
        . ' location = /api/place-order { checkout_place_order; }');
    is codes($edge->place(body(1))), '503';
    like $edge->log, qr/refused database 5: ERR/, 'the log says why';
    is $small->client->dbsize, 0, 'nothing was written anywhere';
    $edge->stop;
    $small->stop;
};

subtest 'G18 reload: a request that waits is answered, and the old process goes' => sub {
    CheckoutTest::fresh(17, stock => 100);
    my $edge = CheckoutTest::Nginx->start(place_location($redis->port));
    is $edge->place(body(1))->{status}, 202;
    my ($old) = $edge->workers;
    Suspend::stop($redis->{pid});
    my $socket = $edge->connect;
    print $socket CheckoutTest::Nginx::order_request(body(1));
    sleep 0.1;
    $edge->reload;
    sleep 0.3;
    Suspend::go_on($redis->{pid});
    is CheckoutTest::Nginx::answer($socket)->{status}, 202, 'answered';
    close $socket;
    ok wait_until(3, sub { !grep { $_ == $old } $edge->workers }), 'the old process is gone';
    is $edge->place(body(1))->{status}, 202, 'the new one serves';
    unlike $edge->log, qr/\[alert\]/, 'no socket was left open';
    $edge->stop;
};

unlike $nginx->log, qr/\[alert\]|\[emerg\]/, 'no process died';
$nginx->stop;
$redis->stop;
done_testing;
