# R1 and W14: the status of an order from the gate's record and from MySQL, over replicas that lag or are away; who reads
# from the primary; the part of readiness that asks a replica. On the servers of a stack, with an nginx of the test's own.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use CheckoutTest;
use CheckoutStack;
use JSON;
use Math::BigInt;
use PaymentEvents;
use Suspend;
use Test::More;
use Time::HiRes qw(sleep time);

my $json = JSON->new->canonical->allow_nonref->allow_bignum;
my $stack = CheckoutStack->start;
my $env = $stack->{env};
my $nginx = start_nginx();

# The servers by the name of their pids in the stack's env; the primary, then the replicas.
my %pid_key = (primary => 'MYSQL_PID', replica => 'MYSQL_REPLICA_PID', replica2 => 'MYSQL_REPLICA2_PID');

sub start_nginx {
    return CheckoutTest::Nginx->start(<<"END", http => <<"HTTP");
    location = /api/place-order { checkout_place_order; }
    location ~ ^/api/orders/(?<order>[^/]+)\$ { checkout_order_status \$order; add_header X-Peer "\$upstream_addr"; }
    location ~ ^/mine/(?<order>[^/]+)\$ { checkout_user \$arg_me; checkout_order_status \$order; }
    location ~ ^/record/(?<order>[^/]+)\$ { checkout_redis 127.0.0.1:1; checkout_order_status \$order; add_header X-Peer "\$upstream_addr"; }
    location ~ ^/replicas/(?<order>[^/]+)\$ { checkout_primary none; checkout_order_status \$order; }
    location ~ ^/cancel/(?<order>[^/]+)\$ { checkout_cancel_order \$order; }
    location = /readyz { checkout_ready; }
    location = /quick/readyz { checkout_timeout 400ms; checkout_ready; }
    location = /metrics { checkout_metrics; }
END
    upstream replicas { server unix:$env->{MYSQL_REPLICA_SOCKET} max_fails=1 fail_timeout=1s; server unix:$env->{MYSQL_REPLICA2_SOCKET} max_fails=1 fail_timeout=1s; }
    upstream primary { server unix:$env->{MYSQL_SOCKET}; }
    upstream none { server 127.0.0.1:1; }
    checkout_zone checkout:1m;
    checkout_redis 127.0.0.1:$env->{REDIS_PORT} database=$env->{REDIS_DB};
    checkout_mysql database=$env->{MYSQL_DATABASE} user=$env->{MYSQL_USER} password_file=$stack->{dir}/mysql.password;
    checkout_read_from replicas;
    checkout_primary primary;
    checkout_sticky 5s;
    checkout_timeout 2s;
HTTP
}

sub place { my (%o) = @_; return $nginx->place($json->encode({ product_id => 1, quantity => 2, user_id => 42, %o })) }

# { code, headers, and the members of data }
sub ask {
    my ($path, @headers) = @_;
    my $answer = $nginx->get($path, @headers) or return { code => 'no answer' };
    my $data = eval { $json->decode($answer->{body})->{data} } // {};
    return { code => $answer->{status}, headers => $answer->{headers}, text => $answer->{body}, %$data };
}

sub order_of { my ($answer) = @_; return $json->decode($answer->{body})->{order_identifier} }
sub peer_of { my ($asked) = @_; return $asked->{headers} =~ /^X-Peer: (.*?)\r?$/m ? $1 : '' }
sub fallbacks { return $nginx->get('/metrics')->{body} =~ /^checkout_mysql_fallbacks_total (\d+)/m ? $1 : die 'no such counter' }

# The day's bucket forgets the order.
sub forget_record { my ($id) = @_; $stack->redis->hdel($_, $id) for $stack->redis->keys('orders:*') }

sub catch_up { $stack->wait_replica($_) for qw(replica replica2) }

# An order that the worker has made, on all servers.
sub made_order {
    my $id = order_of(place(@_));
    CheckoutStack::wait_until(sub { ask("/api/orders/$id")->{status} ne 'queued' }) or die "order $id waits for ever";
    catch_up();
    return $id;
}

sub end_server { my ($name) = @_; $stack->end_process('KILL', $env->{ $pid_key{$name} }) or die "$name does not end" }

sub start_again {
    my ($name) = @_;
    $stack->start_server($name eq 'primary' ? 'mysql' : $name);
    $env = $stack->{env};
}

subtest 'both sources have the same members' => sub {
    $stack->add_product(1, 100);
    my $id = made_order();
    my $from_mysql = ask("/api/orders/$id");
    is($from_mysql->{code}, 200);
    is($from_mysql->{status}, 'pending_payment');
    is($from_mysql->{user_id}, 42);
    is($from_mysql->{total_price}, '39.60');
    is_deeply($from_mysql->{items}, [ { product_id => 1, quantity => 2, unit_price => '19.80' } ]);
    my $time = qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
    like($from_mysql->{$_}, $time, $_) for qw(pay_by created_at updated_at);
    is($from_mysql->{$_}, undef, $_) for qw(failure_code payment_id paid_at);
    my ($pay_by) = $stack->value("SELECT CONCAT(LEFT(DATE_FORMAT(pay_by, '%Y-%m-%dT%H:%i:%s.%f'), 23), 'Z') FROM orders WHERE order_identifier = ?", $id);
    is($from_mysql->{pay_by}, $pay_by, 'pay_by is that of the row');

    $stack->end_workers;
    my $queued = ask('/api/orders/' . order_of(place()));
    is($queued->{status}, 'queued');
    is_deeply([ sort keys %$queued ], [ sort keys %$from_mysql ], 'the record has them too');
    is_deeply($queued->{items}, [ { product_id => 1, quantity => 2, unit_price => undef } ]);
    $stack->start_server('worker');
    $stack->wait_drained;
};

subtest 'numbers and text are exact' => sub {
    my $id = made_order(user_id => Math::BigInt->new('18446744073709551615'));
    $stack->do('UPDATE orders SET total_price = 123456789012345678.90, payment_id = ?, paid_at = \'2038-02-03 04:05:06.007\' WHERE order_identifier = ?', 'pay"\\x', $id);
    catch_up();
    my $asked = ask("/api/orders/$id");
    like($asked->{text}, qr/"user_id":18446744073709551615,/);
    like($asked->{text}, qr/"total_price":"123456789012345678\.90"/);
    is($asked->{payment_id}, 'pay"\\x');
    is($asked->{paid_at}, '2038-02-03T04:05:06.007Z');
};

subtest 'W14 an order that failed says why' => sub {
    $stack->add_product(2, 0);
    $stack->redis->set('product:2:stock', 5);
    $stack->redis->hset('product:2:register', 'stock', 5);
    my $id = made_order(product_id => 2);
    for my $where ('MySQL', 'the record') {
        my $asked = $where eq 'MySQL' ? ask("/api/orders/$id") : ask_record_only($id);
        is($asked->{status}, 'failed', $where);
        is($asked->{failure_code}, 'out_of_stock');
        is_deeply($asked->{items}, [ { product_id => 2, quantity => 2, unit_price => undef } ]);
    }
    delete $stack->{supplied}{2};
};

# What an nginx without MySQL says.
sub ask_record_only {
    my ($id) = @_;
    my $other = CheckoutTest::Nginx->start("checkout_redis 127.0.0.1:$env->{REDIS_PORT} database=$env->{REDIS_DB};"
        . ' location ~ ^/api/orders/(?<order>[^/]+)$ { checkout_order_status $order; }');
    return $json->decode($other->get("/api/orders/$id")->{body})->{data};
}

subtest 'R1 replicas lag by 3 s' => sub {
    $stack->delay_replica($_, 3) for qw(replica replica2);
    my $before = fallbacks();
    my ($id, $answer, @seen);
    $answer = place();
    $id = order_of($answer);
    my $until = time + 2;
    while (time < $until) {
        my $asked = ask("/api/orders/$id");
        push @seen, $asked->{code} . ' ' . ($asked->{status} // '');
        sleep 0.02;
    }
    is_deeply([ grep { !/^200 (queued|pending_payment)$/ } @seen ], [], 'never 404');
    is($seen[-1], '200 pending_payment', 'the verdict is told at once');
    cmp_ok(fallbacks(), '>', $before, 'reads that fell back are counted');
    forget_record($id);
    is(ask("/api/orders/$id")->{code}, 200, 'without its record too');
    is(ask("/replicas/$id")->{code}, 502, 'where no primary can be asked, it is not said that there is none');

    my ($until_ms) = $answer->{headers} =~ /^Checkout-Sticky: (\d+)/m;
    $before = fallbacks();
    for my $header ("Checkout-Sticky: $until_ms", "Cookie: checkout_sticky=$until_ms") {
        my $asked = ask("/api/orders/$id", $header);
        is($asked->{status}, 'pending_payment', 'a sticky client reads its own write');
        is(peer_of($asked), "unix:$env->{MYSQL_SOCKET}", 'from the primary, which is asked first');
    }
    is(fallbacks(), $before, 'that is no fall-back');
    $stack->delay_replica($_, 0) for qw(replica replica2);
    catch_up();
    my $asked = ask("/api/orders/$id");
    isnt(peer_of($asked), "unix:$env->{MYSQL_SOCKET}", 'when they have caught up, the replicas answer');
    is(fallbacks(), $before);
};

subtest 'what was paid is never shown as waiting for its payment, by replicas that lag' => sub {
    my $events = PaymentEvents->new(sub { $stack->do(@_) });
    my $id = made_order();
    $stack->delay_replica($_, 3) for qw(replica replica2);
    $events->add(succeeded => $id, amount => '39.60');
    my $record = sub { (grep {defined} map { $stack->redis->hget($_, $id) } $stack->redis->keys('orders:*'))[0] };
    ok(CheckoutStack::wait_until(sub { $record->() =~ /^paid / }, 8), 'the gate knows of the payment') or diag $record->();
    my $before = fallbacks();
    my $asked = ask("/api/orders/$id");
    is($asked->{status}, 'paid', 'so the read knows too');
    is(peer_of($asked) =~ s/.*, //r =~ s/.* : //r, "unix:$env->{MYSQL_SOCKET}", 'from the primary');
    is(fallbacks(), $before + 1, 'a fall-back');
    $asked = ask("/replicas/$id");
    is_deeply([ @$asked{qw(code status total_price)} ], [ 200, 'pending_payment', '39.60' ], 'without the primary a replica\'s row answers');
    $stack->delay_replica($_, 0) for qw(replica replica2);
    catch_up();
    $asked = ask("/api/orders/$id");
    is($asked->{status}, 'paid');
    isnt(peer_of($asked), "unix:$env->{MYSQL_SOCKET}", 'when they have caught up, the replicas answer');
    is(fallbacks(), $before + 1);
};

subtest 'who has cancelled reads from the primary' => sub {
    my $id = made_order();
    $stack->delay_replica($_, 3) for qw(replica replica2);
    my $answer = $nginx->request('POST', "/cancel/$id");
    is($answer->{status}, 200);
    my ($until) = $answer->{headers} =~ /^Checkout-Sticky: (\d+)/m;
    forget_record($id);
    is(ask("/api/orders/$id")->{status}, 'pending_payment', 'what others still see');
    my $asked = ask("/api/orders/$id", "Cookie: checkout_sticky=$until");
    is($asked->{status}, 'cancelled', 'not the one who did it');
    is(peer_of($asked), "unix:$env->{MYSQL_SOCKET}", 'from the primary');
    $stack->delay_replica($_, 0) for qw(replica replica2);
    catch_up();
};

subtest 'the primary is asked once' => sub {
    my $unknown = '/api/orders/017f22e2-79b0-7000-8000-00000000000f';
    my $jobs = sub { my ($server) = @_; return $server->get('/metrics')->{body} =~ /^checkout_mysql_jobs_total\{outcome="done"\} (\d+)/m ? $1 : die };
    my $before = $jobs->($nginx);
    is(ask($unknown, 'Checkout-Sticky: ' . int(time * 1000 + 3000))->{code}, 404, 'a sticky client');
    is($jobs->($nginx), $before + 1, 'one statement');
    my $alone = CheckoutTest::Nginx->start(<<'END', http => <<"HTTP");
    location ~ ^/api/orders/(?<order>[^/]+)$ { checkout_order_status $order; }
    location = /metrics { checkout_metrics; }
END
    upstream primary { server unix:$env->{MYSQL_SOCKET}; }
    checkout_zone checkout:1m;
    checkout_redis 127.0.0.1:$env->{REDIS_PORT} database=$env->{REDIS_DB};
    checkout_mysql database=$env->{MYSQL_DATABASE} user=$env->{MYSQL_USER} password_file=$stack->{dir}/mysql.password;
    checkout_primary primary;
HTTP
    is($alone->get($unknown)->{status}, 404, 'no replicas');
    is($jobs->($alone), 1, 'one statement');
    $alone->stop;
};

subtest 'what nobody ever placed is 404' => sub {
    is(ask('/api/orders/017f22e2-79b0-7000-8000-00000000000f')->{code}, 404);
    is(ask('/api/orders/x')->{code}, 404);
};

subtest 'the orders of others are 404' => sub {
    my $id = made_order();
    is(ask("/mine/$id?me=42")->{code}, 200);
    is(ask("/mine/$id?me=43")->{code}, 404, 'by the record');
    is(ask("/mine/$id")->{code}, 401);
    forget_record($id);
    is(ask("/mine/$id?me=42")->{code}, 200);
    is(ask("/mine/$id?me=43")->{code}, 404, 'by the row');
};

subtest 'Redis away: MySQL alone answers' => sub {
    my $id = made_order();
    my $asked = ask("/record/$id");
    is($asked->{code}, 200);
    is($asked->{total_price}, '39.60');
    is(ask('/record/017f22e2-79b0-7000-8000-00000000000f')->{code}, 503, 'what has no row may be queued');
};

subtest 'Redis is silent: MySQL answers, and only what is refused counts as timed out' => sub {
    my $id = made_order();
    my $silent = CheckoutTest::FakeRedis->start(sub { sleep 15 });
    my $waits = CheckoutTest::Nginx->start(<<'END', http => <<"HTTP");
    location ~ ^/api/orders/(?<order>[^/]+)$ { checkout_order_status $order; }
    location ~ ^/stock/(?<product>\d+)$ { checkout_stock $product; }
    location = /metrics { checkout_metrics; }
END
    upstream primary { server unix:$env->{MYSQL_SOCKET}; }
    checkout_zone checkout:1m;
    checkout_redis 127.0.0.1:@{[ $silent->port ]};
    checkout_mysql database=$env->{MYSQL_DATABASE} user=$env->{MYSQL_USER} password_file=$stack->{dir}/mysql.password;
    checkout_primary primary;
    checkout_timeout 600ms;
HTTP
    my $late = sub { $waits->get('/metrics')->{body} =~ /^checkout_timeouts_total (\d+)/m ? $1 : die };
    my $begin = time;
    is($waits->get("/api/orders/$id")->{status}, 200, 'MySQL has the order');
    cmp_ok(time - $begin, '>', 0.29, 'which was asked after half of the time');
    is($late->(), 0, 'answered');
    is($waits->get('/stock/1')->{status}, 503, 'only Redis knows live stock');
    is($late->(), 1, 'refused');
    is($waits->get('/api/orders/017f22e2-79b0-7000-8000-00000000000f')->{status}, 503, 'what has no row may be queued');
    is($late->(), 2, 'refused');
    $waits->stop('TERM');
};

subtest 'R1 a replica is stopped' => sub {
    my $id = made_order();
    end_server('replica');
    is(ask("/api/orders/$id")->{total_price}, '39.60', "the other one answers, $_") for 1 .. 4;
    end_server('replica2');
    my $asked = ask("/api/orders/$id");
    is($asked->{total_price}, '39.60', 'both are stopped: the primary answers');
    end_server('primary');
    $asked = ask("/api/orders/$id");
    is_deeply([ @$asked{qw(code status total_price)} ], [ 200, 'pending_payment', undef ], 'all are: the record answers');
    forget_record($id);
    is(ask("/api/orders/$id")->{code}, 502, 'no record either: 502, not 404');
    sleep 1.1;
    my $ready = $json->decode($nginx->get('/readyz')->{body});
    is_deeply($ready->{failed}, ['replica'], 'readiness names the replica');
    is_deeply($ready->{checks}{replica}, { ok => JSON::false, error => 'no_answer' });

    start_again('replica');
    sleep 2.1;
    is(ask("/api/orders/$id", 'Checkout-Sticky: ' . int(time * 1000 + 3000))->{total_price}, '39.60', 'the primary away: a sticky client reads from a replica');
    is($json->decode($nginx->get('/readyz')->{body})->{status}, 'ready', 'one replica is enough');
    start_again($_) for qw(primary replica2);
};

subtest 'R2 all servers are silent' => sub {
    my $id = made_order();
    my @pids = @$env{ values %pid_key };
    Suspend::stop(@pids);
    my $ready = $json->decode($nginx->get('/quick/readyz')->{body});
    is_deeply($ready->{checks}{replica}, { ok => JSON::false, error => 'timeout' }, 'readiness says what is wrong');
    my $begin = time;
    my $asked = ask("/api/orders/$id");
    is_deeply([ @$asked{qw(code status)} ], [ 200, 'pending_payment' ], 'the record answers');
    forget_record($id);
    my $code = ask("/api/orders/$id")->{code};
    cmp_ok(time - $begin, '<', patient(5), 'within the time-out');
    like($code, qr/^50[24]$/, 'without a record 502 or 504');
    Suspend::go_on(@pids);
    ok(CheckoutStack::wait_until(sub { ask("/api/orders/$id")->{code} == 200 }), 'and they come back');
};

subtest 'readiness while others hold every connection' => sub {
    my $busy = CheckoutTest::Nginx->start(<<'END', http => <<"HTTP");
    location = /slow { checkout_query "SELECT SLEEP(0.7) AS slept"; }
    location = /readyz { checkout_ready; }
END
    upstream replicas { server unix:$env->{MYSQL_REPLICA_SOCKET}; }
    checkout_redis 127.0.0.1:$env->{REDIS_PORT} database=$env->{REDIS_DB};
    checkout_mysql database=$env->{MYSQL_DATABASE} user=$env->{MYSQL_USER} password_file=$stack->{dir}/mysql.password;
    checkout_read_from replicas;
    checkout_pool size=1 queue=0;
HTTP
    my $slow = $busy->connect;
    print $slow "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n";
    sleep 0.2;
    my $answer = $busy->get('/readyz');
    my $ready = $json->decode($answer->{body});
    is($answer->{status}, 200, 'it is ready') or diag $answer->{body};
    is_deeply($ready->{checks}{replica}, { ok => undef }, 'of the replica nothing is known');
    is(CheckoutTest::Nginx::answer($slow)->{status}, 200, 'the other read has its answer');
    sleep 1.05;
    is_deeply($json->decode($busy->get('/readyz')->{body})->{checks}{replica}, { ok => JSON::true }, 'afterwards it is asked');
    $busy->stop;
};

$nginx->stop;
unlike($nginx->log, qr/\[(alert|crit|emerg)\]|Sanitizer|exited on signal/, 'nothing bad in the log');
$stack->wait_drained;
done_testing;
END { CheckoutTest::redis()->stop if CheckoutTest::redis() }
