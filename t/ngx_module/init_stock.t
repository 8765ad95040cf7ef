# POST /api/init-stock, on the whole stack: who may, what is refused, and that neither orders on their way (G10), nor other
# actors, nor a process that dies bring MySQL, the gate and the book of supply apart.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience;
use CheckoutTest ();
use CheckoutStack;
use HttpBurst;
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX ();
use Test::More;
use Time::HiRes qw(sleep time);

binmode Test::More->builder->$_, ":utf8" for qw(output failure_output todo_output);

my $root  = $CheckoutTest::root;
my $stack = CheckoutStack->start;
my $token = 'an-admin-token-of-the-tests';
my $files = File::Temp->newdir("$root/.run/files-XXXXXX");

sub file { my ($name, $text) = @_; open my $f, '>', "$files/$name" or die $!; print $f $text; close $f; return "$files/$name" }

# An nginx of the test's own beside the stack's: other Redis, other MySQL, other time-outs.
my @edges;    # all that were started, for their logs

sub edge {
    my (%o) = @_;
    my $redis = $o{redis} // "127.0.0.1:$stack->{env}{REDIS_PORT}";
    my $mysql = $o{mysql} // "unix:$stack->{env}{MYSQL_SOCKET}";
    my $time = $o{timeout} // '5s';
    push @edges, CheckoutTest::Nginx->start(<<"END", http => <<"END_HTTP", workers => $o{workers} // 1);
        checkout_redis $redis database=$stack->{env}{REDIS_DB};
        checkout_mysql database=$stack->{env}{MYSQL_DATABASE} user=$stack->{env}{MYSQL_USER} password_file=@{[ file('mysql', $stack->{env}{MYSQL_PASSWORD}) ]};
        checkout_primary mysql_primary;
        checkout_timeout $time;
        checkout_sticky 5s;
        checkout_sold_out_cache 10s;
        @{[ $o{more} // '' ]}
        location = /api/init-stock {
            checkout_init_stock;
            checkout_admin_token_file @{[ file('token', "$token\nnot this\n") ]};
        }
        location = /api/place-order { checkout_place_order; }
        location = /metrics { checkout_metrics; }
        location ~ ^/api/get-db-stock/(?<product>[^/]+)\$ {
            checkout_query "SELECT id AS product_id, stock AS db_stock FROM products WHERE id = ?" \$product:uint;
            checkout_query_result plain not_found=unknown_product;
        }
END
        checkout_zone checkout:1m;
        upstream mysql_primary { server $mysql; }
END_HTTP
    return $edges[-1];
}

my $edge = edge();

sub request {
    my ($port, $body, @headers) = @_;
    @headers = ('Authorization', "Bearer $token") if !@headers;
    my $answer = HttpBurst::request($port, 'POST', '/api/init-stock', $body, @headers);
    $answer->{data} = eval { decode_json($answer->{body} // '') } // {};
    return $answer;
}

sub body {
    my ($id, $stock, %more) = @_;
    return encode_json({ product_id => $id, product_name => "Product $id", initial_db_stock => $stock,
        initial_redis_stock => $stock, %more });
}

# On the test's own nginx.
sub init { return request($edge->port, body(@_)) }
sub place { return decode_json($edge->place(encode_json({ product_id => $_[0], quantity => $_[1] // 1, user_id => 1 }))->{body}) }
sub row { return $stack->primary->selectrow_hashref('SELECT * FROM products WHERE id = ?', undef, $_[0]) }
sub register { my %all = $stack->redis->hgetall("product:$_[0]:register"); return \%all }
sub loads { return $stack->value("SELECT COALESCE(SUM(units), 0) FROM stock_movements WHERE product_id = ? AND kind = 'load'", $_[0]) }
sub adjusted { return $stack->value("SELECT COALESCE(SUM(units), 0) FROM stock_movements WHERE product_id = ? AND kind = 'adjust'", $_[0]) }

# What was supplied by now is what the book says.
sub laws_hold {
    my (@products) = @_;
    $stack->{supplied} = { map { $_ => loads($_) + adjusted($_) } @products };
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    $stack->laws_hold;
}

sub refused {
    my ($answer, $status, $code, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is("$answer->{status} " . ($answer->{data}{code} // 'none'), "$status $code", $name) or diag($answer->{body} // $answer->{error});
}


subtest 'a new product' => sub {
    my $answer = request($edge->port, body(1, 100, product_name => '烏龍茶 🍵 "x" \'; --', price => '19.80'));
    is $answer->{status}, 200 or diag $answer->{body} // $answer->{error};
    is_deeply $answer->{data}, { message => '商品及 Redis 庫存初始化成功!', product_id => 1, db_stock => 100, redis_stock => 100 };
    like $answer->{headers}{'set-cookie'}, qr/^checkout_sticky=\d+;/, 'its client reads from the primary for a while';
    is $answer->{headers}{'content-type'}, 'application/json';
    my $row = row(1);
    utf8::decode($row->{name}) if !utf8::is_utf8($row->{name});
    is $row->{name}, '烏龍茶 🍵 "x" \'; --', 'its name';
    is "$row->{price} $row->{stock} $row->{state}", '19.80 100 open';
    is $stack->redis_stock(1), 100, 'Redis has it';
    is register(1)->{version}, $row->{version}, 'of the version that MySQL has';
    is loads(1), 100, 'its supply is booked';
    is place(1)->{status}, 'queued', 'it is for sale';
    my $english = request($edge->port, body(2, 7), 'Authorization', "bearer   $token", 'Accept-Language', 'en');
    is $english->{data}{message}, 'The product and its stock in Redis are set.', 'English';
    is row(2)->{price}, '0.00', 'a price of nothing where none is given';
    is init(3, 0)->{data}{redis_stock}, 0, 'a stock of nothing';
    is place(3)->{code}, 'out_of_stock';
    is init(3, 5, price => 0.5)->{status}, 200;
    is row(3)->{price}, '0.50', 'a price as a number';
    is place(3)->{status}, 'queued', 'G15: the mark of what was sold out does not outlive the new stock';
    is init(9223372036854775807, 2147483647, price => '9999999999.99')->{data}{redis_stock}, 2147483647, 'the largest numbers';
    laws_hold(1, 2, 3, '9223372036854775807');
};


subtest 'only the administrator may' => sub {
    for my $case (
        [ [ 'X-None', '' ], 'no token' ],
        [ [ 'Authorization', 'Bearer' ], 'no token behind the word' ],
        [ [ 'Authorization', 'Bearer ' ], 'an empty token' ],
        [ [ 'Authorization', 'Bearer ' . substr $token, 0, -1 ], 'a token that lacks a character' ],
        [ [ 'Authorization', "Bearer ${token}x" ], 'a token with one more' ],
        [ [ 'Authorization', 'Bearer ' . uc $token ], 'a token in other letters' ],
        [ [ 'Authorization', 'Bearer not this' ], 'the second line of the file' ],
        [ [ 'Authorization', "Basic $token" ], 'another scheme' ],
        [ [ 'Authorization', $token ], 'no scheme' ],
        [ [ 'Authorization', 'Bearer ' . 'x' x 7000 ], 'a long token' ],
    ) {
        my ($headers, $name) = @$case;
        my $answer = request($edge->port, body(4, 10), @$headers);
        refused($answer, 401, 'unauthorized', $name);
        is $answer->{headers}{'www-authenticate'}, 'Bearer', '… told how';
    }
    refused(request($edge->port, 'garbage', 'Authorization', 'Bearer wrong'), 401, 'unauthorized', 'before the body is looked at');
    is row(4), undef, 'nothing was made';
    unlike $edge->log, qr/admin-token-of/, 'the token is in no log';
};


subtest 'what is refused' => sub {
    my @auth = ('Authorization', "Bearer $token");
    my $get = HttpBurst::request($edge->port, 'GET', '/api/init-stock', undef, @auth);
    is "$get->{status} $get->{headers}{allow}", '405 POST', 'another method';
    is HttpBurst::request($edge->port, 'POST', '/api/init-stock', undef, @auth, 'Content-Type', 'text/plain', 'Content-Length', 0)->{status},
        415, 'another type';
    refused(request($edge->port, body(4, 1, x => 'y' x 17000)), 413, 'body_too_large', 'a large body');
    for my $text ('', 'x', '[]', '{', '{"product_id":1}}', "\0", '{"product_id":' . '[' x 100, "{\"product_name\":\"\xff\"}") {
        my $answer = request($edge->port, $text);
        $answer->{status} == 422 && $answer->{data}{errors} or fail("422 for $text: $answer->{status}");
    }
    for my $case (
        [ {}, 'product_id product_name initial_db_stock initial_redis_stock' ],
        [ { product_id => 0, product_name => 'x', initial_db_stock => 1, initial_redis_stock => 1 }, 'product_id' ],
        [ { product_id => 4, product_name => 'x', initial_db_stock => 1, initial_redis_stock => 2 }, 'initial_db_stock initial_redis_stock' ],
        [ { product_id => 4, product_name => '', initial_db_stock => -1, initial_redis_stock => 2147483648, price => '1.234', force => 1 },
            'product_name initial_db_stock initial_redis_stock price force' ],
        [ { product_id => 4, product_name => 'ä' x 256, initial_db_stock => 1, initial_redis_stock => 1 }, 'product_name' ],
        [ { product_id => 4, product_name => 'x', initial_db_stock => 1, initial_redis_stock => 1, price => '-1' }, 'price' ],
        [ { product_id => 4, product_name => 'x', initial_db_stock => 1, initial_redis_stock => 1, price => '10000000000' }, 'price' ],
    ) {
        my ($members, $fields) = @$case;
        my $answer = request($edge->port, encode_json($members));
        refused($answer, 422, 'invalid_request', "wrong: $fields");
        is join(' ', sort keys %{ $answer->{data}{errors} }), join(' ', sort split / /, $fields), '… named';
        is scalar(grep { ref ne 'ARRAY' || @$_ != 1 } values %{ $answer->{data}{errors} }), 0, '… with a reason each';
    }
    is row(4), undef, 'nothing was made';
    like $edge->get('/metrics')->{body}, qr/checkout_stock_inits_total\{outcome="set"\} [5-9]\n.*\{outcome="refused"\} [1-9]\d/s, 'counted';
    like $edge->get('/metrics')->{body}, qr/checkout_orders_total\{outcome="invalid_request"\} 0\n/, 'apart from orders';
};


subtest 'G10: orders in flight' => sub {
    $stack->empty;
    is init(1, 60)->{status}, 200;
    $stack->end_workers;
    is place(1, 30)->{status}, 'queued', 'an order' for 1 .. 2;
    my $version = row(1)->{version};
    my $answer = init(1, 100);
    refused($answer, 409, 'orders_in_flight', 'refused');
    is $answer->{data}{in_flight}, 60, '… and how many units they are';
    is row(1)->{version}, $version, '… and nothing is changed';
    is_deeply init(1, 100, force => JSON::PP::true)->{data},
        { message => '商品及 Redis 庫存初始化成功!', product_id => 1, db_stock => 100, redis_stock => 40 }, 'forced: never 100';
    is $stack->redis_stock(1), 40, 'the gate offers what is left';
    is init(1, 50, force => JSON::PP::true)->{data}{redis_stock}, 0, 'less than is in flight: nothing to sell';
    is init(1, 100, force => JSON::PP::true)->{data}{redis_stock}, 40;
    subtest 'a product that is not loaded' => sub {
        $stack->redis->del('product:1:register', 'product:1:stock');
        refused(init(1, 100), 409, 'orders_in_flight', 'what is in flight is summed over the queue');
        is init(1, 100, force => JSON::PP::true)->{data}{redis_stock}, 40, 'and counted in the register that is made';
        is register(1)->{in_flight}, 60;
        $stack->redis->hset('product:1:register', 'in_flight', 'nonsense');
        is init(1, 100, force => JSON::PP::true)->{data}{redis_stock}, 40, 'a count that is no number is made anew';
    };
    $stack->start_server('worker');
    $stack->wait_drained;
    is $stack->db_stock(1), 40;
    laws_hold(1);
};


subtest 'a product that is there' => sub {
    $stack->empty;
    $stack->add_product(1, 50, '--max-quantity', 5);
    $stack->place(1, 3, 7);
    $stack->wait_drained;
    $stack->checkoutctl_ok('product', 'close', 1);
    CheckoutStack::wait_until(sub { register(1)->{state} eq 'closed' });
    is place(1)->{code}, 'unknown_product', 'closed';
    is init(1, 20, product_name => 'New')->{status}, 200;
    my $row = row(1);
    is "$row->{name} $row->{price} $row->{stock} $row->{state} $row->{max_quantity}", 'New 19.80 20 open 5', 'open again; price and terms stay';
    is register(1)->{max_quantity}, 5, '… at the gate too';
    is loads(1), 23, 'supplied: what is left, and what live orders have';
    is place(1)->{status}, 'queued';
    $stack->do('UPDATE products SET stock = stock + 9 WHERE id = 1');    # by hand, booked by nobody
    $stack->redis->hset('product:1:register', 'version', 5000);          # a newer gate than MySQL
    $stack->wait_drained;
    refused(init(1, 10), 503, 'unavailable', 'a gate that knows a later version: what MySQL lost is looked for first');
    CheckoutStack::wait_until(sub { defined register(1)->{recovering} });
    is row(1)->{version} < 5000, 1, '… and the row stays as it is';
    CheckoutStack::wait_until(sub { $stack->checkoutctl('product', 'open', 1); !defined register(1)->{recovering} });
    is init(1, 10)->{status}, 200, 'once a person says that MySQL is right';
    cmp_ok row(1)->{version}, '>', 5000, 'the version grows over the gate\'s';
    $stack->do('INSERT INTO products (id, name, price, stock) VALUES (2, ?, 5, 30)', 'By hand');
    is init(2, 30)->{data}{redis_stock}, 30, 'a product that the shop made itself';
    is loads(2), 30, 'its supply is booked';
    laws_hold(1, 2);
};


subtest 'a product with very many orders' => sub {
    $stack->empty;
    is init(4, 100)->{status}, 200;
    my ($orders, $step) = (100_002, 16_667);
    for my $first (map { 1 + $step * $_ } 0 .. $orders / $step - 1) {
        my @ids = map { sprintf "'%036d'", $_ } $first .. $first + $step - 1;
        $stack->do('INSERT INTO orders (order_identifier, user_id, status) VALUES ' . join ',', map { "($_, 1, 'paid')" } @ids);
        $stack->do('INSERT INTO order_items (order_identifier, product_id, quantity, unit_price) VALUES ' . join ',', map { "($_, 4, 2, 1)" } @ids);
    }
    $stack->do("INSERT INTO stock_movements (product_id, kind, units, stock_after) VALUES (4, 'load', 2 * $orders, 100)");
    for my $state (['counted', 40, 'counted_at'], ['not yet counted', 30, 'NULL']) {
        my ($name, $units, $counted_at) = @$state;
        $stack->recount if $name eq 'counted';
        $stack->do("UPDATE products SET counted_at = $counted_at WHERE id = 4");
        my $begin = time;
        is init(4, $units)->{status}, 200;
        cmp_ok time - $begin, '<', patient(2), "$name: they are not summed up under the lock";
        is loads(4), $units + 2 * $orders, 'booked all the same';
    }
    $stack->recount;
    laws_hold(4);
    $stack->do("DELETE FROM $_") for qw(order_items orders);
};


subtest 'many at once' => sub {
    $stack->empty;
    my @auth = ('Authorization', "Bearer $token");
    my @requests = map { [ 'POST', '/api/init-stock', body(5, 10 + $_), @auth ] } 1 .. 40;
    my (%other, $set);
    # All of them want the same row: whoever waits for too long is told so (503), and asks again.
    wait_until(20, sub {
        my @answers = HttpBurst::burst(port => $edge->port, connections => 20, requests => \@requests);
        $set += grep { $_->{status} == 200 } @answers;
        $other{ $_->{status} }++ for grep { $_->{status} != 200 && $_->{status} != 503 } @answers;
        @requests = map { $requests[$_] } grep { $answers[$_]{status} == 503 } 0 .. $#answers;
        return !@requests;
    });
    is $set, 40, 'a new product, made by all of them';
    is_deeply \%other, {}, 'no other answer';
    is register(5)->{version}, row(5)->{version}, 'the last one stands at both';
    is $stack->redis_stock(5), row(5)->{stock};
    laws_hold(5);
};


# Between nginx and MySQL: passes on what both say until the client sends COMMIT. That reaches the server or does not, and
# the connection is cut before its answer comes back.
sub start_cutter {
    my ($reaches) = @_;
    my $listen = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', LocalPort => 0) or die $!;
    my $pid = fork // die "fork: $!";
    return ($pid, $listen->sockport) if $pid;
    $SIG{TERM} = 'DEFAULT';
    alarm 30;
    while (my $client = $listen->accept) {
        my $server = IO::Socket::UNIX->new(Peer => $stack->{env}{MYSQL_SOCKET}) or last;
        my $both = IO::Select->new($client, $server);
        PASS: while (my @ready = $both->can_read) {
            for my $from (@ready) {
                sysread $from, my $bytes, 65536 or last PASS;
                my $cut = $from == $client && $bytes =~ /\x03COMMIT\z/;
                syswrite $from == $client ? $server : $client, $bytes if !$cut || $reaches;
                next if !$cut;
                sysread $server, $bytes, 65536 if $reaches;    # it is done
                last PASS;
            }
        }
        close $_ for $client, $server;
    }
    POSIX::_exit(0);
}

subtest 'the answer to COMMIT is lost' => sub {
    for my $reaches (0, 1) {
        my $name = $reaches ? 'after the commit' : 'before the commit';
        my ($cutter, $port) = start_cutter($reaches);
        my $doubtful = edge(mysql => "127.0.0.1:$port max_fails=0; server unix:$stack->{env}{MYSQL_SOCKET} backup");
        my ($version, $loads) = (row(5)->{version}, $stack->value('SELECT COUNT(*) FROM stock_movements WHERE product_id = 5'));
        my $answer = request($doubtful->port, body(5, 70 + $reaches));
        is $answer->{status}, 200, "cut $name: the job runs again" or diag $answer->{body};
        is_deeply [ @{ $answer->{data} }{qw(db_stock redis_stock)} ], [ 70 + $reaches, 70 + $reaches ], '… its answer is the row';
        is row(5)->{version}, $version + 1, '… that was changed once';
        is $stack->value('SELECT COUNT(*) FROM stock_movements WHERE product_id = 5'), $loads + 1, '… and booked once';
        $doubtful->stop;
        kill 'TERM', $cutter;
        waitpid $cutter, 0;
    }
    laws_hold(5);
};


subtest 'the row is locked for longer than a try may take' => sub {
    my $slow = edge(timeout => '4s', more => 'checkout_mysql_read_timeout 1s;');
    my $locker = $stack->connect_to($stack->{env}{MYSQL_SOCKET});
    my $version = row(5)->{version};
    $locker->begin_work;
    $locker->selectall_arrayref('SELECT * FROM products WHERE id = 5 FOR UPDATE');
    my $begin = time;
    refused(request($slow->port, body(5, 77)), 503, 'unavailable', 'nobody knows, and it says so');
    cmp_ok time - $begin, '<', patient(4.5), 'in time';
    $locker->rollback;
    sleep 1.5;    # a try that was given up may still run
    cmp_ok row(5)->{version} - $version, '<=', 1, 'done once at most';
    ok CheckoutStack::wait_until(sub { register(5)->{version} == row(5)->{version} }, 5), 'the gate follows';
    laws_hold(5);
};


subtest 'stock as MySQL has it' => sub {
    my $db_stock = sub { my $answer = $edge->get("/api/get-db-stock/$_[0]"); return ($answer->{status}, decode_json($answer->{body})) };
    is init(6, 12)->{status}, 200;
    is_deeply [ $db_stock->(6) ], [ 200, { product_id => 6, db_stock => 12 } ], 'found';
    is place(6, 5)->{status}, 'queued';
    $stack->wait_drained;
    is_deeply [ $db_stock->(6) ], [ 200, { product_id => 6, db_stock => 7 } ], 'less what was sold';
    is_deeply [ $db_stock->(999) ], [ 404, { message => '商品不存在', code => 'unknown_product' } ], 'not found';
    is +($db_stock->($_))[0], 422, "no product: $_" for '-1', '1.5', 'x', "6'%20OR%201=1", '99999999999999999999';
    laws_hold(6);
};


subtest 'a client that leaves' => sub {
    my $version = row(6)->{version};
    my $text = body(6, 15);
    for my $seconds (0, 0.001, 0.002, 0.005) {
        my $socket = $edge->connect;
        print $socket join "\r\n", 'POST /api/init-stock HTTP/1.1', 'Host: localhost', "Authorization: Bearer $token",
            'Content-Type: application/json', 'Content-Length: ' . length $text, '', $text;
        sleep $seconds;
        close $socket;
    }
    ok CheckoutStack::wait_until(sub { $stack->redis_stock(6) == row(6)->{stock} && register(6)->{version} == row(6)->{version} }, 5),
        'MySQL and the gate agree';
    is init(6, 16)->{status}, 200, 'the next one is answered';
    laws_hold(6);
};


subtest 'MySQL is away' => sub {
    is init(6, 10)->{status}, 200;
    my $nowhere = edge(mysql => '127.0.0.1:1', timeout => '1500ms');
    my $begin = time;
    my $answer = request($nowhere->port, body(6, 20));
    cmp_ok $answer->{status}, '>=', 500, 'refused: 5xx';
    cmp_ok time - $begin, '<', patient(2.5), 'in time';
    my $silent = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', LocalPort => 0) or die $!;
    my $mute = edge(mysql => '127.0.0.1:' . $silent->sockport, timeout => '1500ms');
    $begin = time;
    $answer = request($mute->port, body(6, 20), 'Authorization', "Bearer $token", 'Accept-Language', 'en');
    refused($answer, 503, 'unavailable', 'accepts, and is silent');
    like $answer->{data}{message}, qr/MySQL gave no answer in time; .* may be sent again/, 'it says what is not known';
    cmp_ok time - $begin, '<', patient(2.5), 'in time';
    is $mute->place(encode_json({ product_id => 6, quantity => 1, user_id => 1 }))->{status}, 202, 'the gate sells beside it';
    laws_hold(6);
};


subtest 'Redis is away' => sub {
    my $gone = edge(redis => '127.0.0.1:1', timeout => '700ms');
    my $version = row(6)->{version};
    refused(request($gone->port, body(6, 30)), 503, 'unavailable', 'before MySQL was asked');
    is row(6)->{version}, $version, 'nothing was changed';

    my $fake = CheckoutTest::FakeRedis->start(sub {
        my ($socket) = @_;
        CheckoutTest::FakeRedis::read_command($socket) or return;
        print $socket "*4\r\n:1\r\n\$1\r\n1\r\n\$1\r\n0\r\n*11\r\n\$1\r\n9\r\n\$1\r\n1\r\n\$1\r\n9\r\n\$1\r\n0\r\n:0\r\n", "\$0\r\n\r\n" x 6;
        CheckoutTest::FakeRedis::read_command($socket);    # the push: no answer
    });
    my $half = edge(redis => '127.0.0.1:' . $fake->port, timeout => '1s');
    my $answer = request($half->port, body(6, 30), 'Authorization', "Bearer $token", 'Accept-Language', 'en');
    refused($answer, 503, 'unavailable', 'after the commit');
    like $answer->{data}{message}, qr/set in MySQL, but Redis was not told yet/, 'it says so';
    is row(6)->{stock}, 30, 'MySQL is set';
    ok CheckoutStack::wait_until(sub { $stack->redis_stock(6) == 30 }, 5), 'W16: the reconciler brings it to the gate';
    is init(6, 30)->{status}, 200, 'and it may be sent again';

    $stack->redis->del('product:6:register');
    $stack->redis->set('product:6:register', 'no hash');
    refused(init(6, 40), 503, 'unavailable', 'a register that is no hash');
    $stack->redis->del('product:6:register');
    is init(6, 40)->{data}{redis_stock}, 40;
    laws_hold(6);
};


# Between nginx and Redis: passes on what both say, but holds back the answer "not loaded" until the file "go" is there.
sub start_holder {
    my $listen = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', LocalPort => 0) or die $!;
    my $pid = fork // die "fork: $!";
    return ($pid, $listen->sockport) if $pid;
    $SIG{TERM} = 'DEFAULT';
    alarm 60;
    while (my $client = $listen->accept) {
        my $server = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$stack->{env}{REDIS_PORT}") or last;
        my $both = IO::Select->new($client, $server);
        PASS: while (my @ready = $both->can_read) {
            for my $from (@ready) {
                sysread $from, my $bytes, 65536 or last PASS;
                if ($bytes eq "*1\r\n:-1\r\n") {
                    file('held', '');
                    sleep 0.02 while !-e "$files/go";
                }
                syswrite $from == $client ? $server : $client, $bytes;
            }
        }
        close $_ for $client, $server;
    }
    POSIX::_exit(0);
}

# The order that is in flight when MySQL is set is decided before there is a register that could hear of it.
subtest 'a worker settles before the register is there' => sub {
    $stack->empty;
    my ($holder, $port) = start_holder();
    my $held = edge(redis => "127.0.0.1:$port", timeout => '20s', more => 'checkout_read_timeout 20s;');
    is init(7, 100)->{status}, 200;
    $stack->end_workers;
    is place(7, 10)->{status}, 'queued', 'ten units in flight';
    $stack->redis->del('product:7:register', 'product:7:stock');
    pipe my $from, my $to or die $!;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my $answer = request($held->port, body(7, 100, force => JSON::PP::true));
        syswrite $to, $answer->{body} // $answer->{error};
        POSIX::_exit(0);
    }
    close $to;
    ok CheckoutStack::wait_until(sub { -e "$files/held" }), 'the gate does not know the product';
    is row(7)->{stock}, 100, 'MySQL is set';
    $stack->start_server('worker');
    $stack->wait_drained('the order is settled');
    is row(7)->{stock}, 90, 'its units are taken';
    file('go', '');
    my $said = decode_json(<$from>);
    waitpid $pid, 0;
    is_deeply [ @$said{qw(db_stock redis_stock)} ], [ 90, 90 ], 'the gate does not offer them again';
    $held->stop;
    kill 'TERM', $holder;
    waitpid $holder, 0;
    laws_hold(7);
};


# While no supply is added, the gate never offers more than MySQL had just before.
subtest 'a register made while a worker settles' => sub {
    $stack->empty;
    $edge->stop;
    $edge = edge();
    is init(8, 3000)->{status}, 200;
    my $over = 0;
    for my $round (1 .. 8) {
        $stack->end_workers;
        $stack->sell(product => 8, orders => 60, quantity => 2, connections => 8);
        $stack->redis->del('product:8:register', 'product:8:stock');
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            my $answer = request($edge->port, body(8, 3000, force => JSON::PP::true));
            POSIX::_exit($answer->{status} == 200 ? 0 : 1);
        }
        $stack->start_server('worker') if $round % 2;
        waitpid $pid, 0;
        is $?, 0, "round $round";
        $stack->start_server('worker') if !($round % 2);
        my $until = time + 5;
        while (time < $until && !$stack->is_drained) {
            my $had = $stack->db_stock(8);
            my $offered = $stack->redis_stock(8) // 0;
            $over++ if $offered > $had;
        }
    }
    is $over, 0, 'never more than there is';
    laws_hold(8);
};


subtest 'under load, and killed at any moment' => sub {
    $stack->empty;
    $edge->stop;
    $edge = edge(workers => 2);
    is init($_, 200)->{status}, 200 for 1 .. 3;
    my %status;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        my $until = time + 6;
        srand 1;
        while (time < $until) {
            my $id = 1 + int rand 3;
            request($edge->port, body($id, int rand 400, force => JSON::PP::true));
            sleep rand 0.02;
        }
        POSIX::_exit(0);
    }
    my $until = time + 6;
    my $kills = 0;
    while (time < $until) {
        my $count = $stack->sell(product => [ 1 .. 3 ], orders => 150, connections => 16);
        $status{$_} += $count->{$_} for keys %$count;
        kill 'KILL', ($edge->workers)[ $kills++ % 2 ];    # of the nginx that sets stock; the orders come through the stack's
        $stack->kill_workers if $kills % 4 == 0;
        $stack->start_server('worker') if $kills % 4 == 0;
    }
    waitpid $pid, 0;
    cmp_ok $status{202}, '>', 100, "orders under load; @{[ map { qq($_: $status{$_}) } sort keys %status ]}; $kills kills";
    is init($_, 500, force => JSON::PP::true)->{status}, 200, 'a last one' for 1 .. 3;
    laws_hold(1 .. 3);
    is $stack->redis_stock($_), $stack->db_stock($_), "product $_ at rest" for 1 .. 3;
};

subtest 'through the example configuration' => sub {
    $stack->empty;
    my @auth = ('Authorization', "Bearer $stack->{env}{CHECKOUT_ADMIN_TOKEN}");
    refused(request($stack->{port}, body(1, 10)), 401, 'unauthorized', 'another token');
    is_deeply request($stack->{port}, body(1, 10), @auth)->{data},
        { message => '商品及 Redis 庫存初始化成功!', product_id => 1, db_stock => 10, redis_stock => 10 }, 'set';
    is $stack->request('GET', '/api/get-db-stock/1')->{body}, '{"product_id":1,"db_stock":10}', 'in MySQL';
    like $stack->request('GET', '/api/get-redis-stock/1')->{body}, qr/"redis_stock":10,"in_flight":0,"loaded":true/, 'at the gate';
    is $stack->place(1, 10)->{status}, 202;
    is $stack->place(1, 1)->{status}, 400, 'sold out';
    $stack->wait_drained;
    is request($stack->{port}, body(1, 4), @auth)->{status}, 200;
    is $stack->place(1, 4)->{status}, 202, 'G15: at once for sale again';
    laws_hold(1);
};

for my $nginx (@edges) {
    $nginx->stop;
    unlike $nginx->log, qr/\[alert\] (?!.*exited on signal 9)|\[emerg\]|Sanitizer|runtime error|an-admin-token/, 'nothing alarming in the log';
}
done_testing;
