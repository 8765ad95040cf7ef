# checkout_query: statements of the configuration, their values, their rows as JSON. R3 and R4 of the cases.
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use Encode qw(encode_utf8 decode_utf8);
use JSON::PP;
use List::Util qw(max);
use Math::BigInt;
use MIME::Base64;
use SqlServer;
use Test::More;

binmode Test::More->builder->$_, ':utf8' for qw(output failure_output todo_output);

my $mysql = SqlServer->start;
my $socket = $mysql->socket_file;
my $account = 'checkout_mysql database=checkout user=edge password_file=' . SqlServer::password_file() . ';';
$mysql->do('USE checkout');

$mysql->do('CREATE TABLE products (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(255) NOT NULL, price DECIMAL(12,2) NOT NULL,
    stock INT NOT NULL, note TEXT, sold_at DATETIME(3))');
$mysql->do('INSERT INTO products VALUES (?, ?, ?, ?, ?, ?)', undef, @$_) for
    [1, '100% cotton', '19.80', 3, undef, '2026-11-21 06:30:00.123'],
    [2, 'snake_case \\ "quoted"', '0.01', 0, "two\nlines", undef],
    [3, '茶壺 😀', '9999999999.99', 2147483647, '', undef],
    ['18446744073709551615', 'last', '1.00', 1, undef, undef];
$mysql->do('CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, user_id BIGINT UNSIGNED NOT NULL)');
$mysql->do('INSERT INTO orders (user_id) VALUES (7), (7), (8)');

$mysql->do('CREATE TABLE numbers (i INT PRIMARY KEY)');
$mysql->do('INSERT INTO numbers VALUES ' . join ',', map { "($_)" } 1 .. 10000);

my $http = <<END;
    upstream mysql { server unix:$socket; }
    $account
    checkout_read_from mysql;
    checkout_zone checkout:1m;
END

my $config = <<'END';
    location = /metrics { checkout_metrics; }
    location ~ ^/products/(?<id>[^/]*)$ {
        checkout_query "SELECT id, name, price, stock, note, sold_at FROM products WHERE id = ?" $id:uint;
        checkout_query_result object not_found=unknown_product;
    }
    location ~ ^/stock/(?<id>[^/]*)$ {
        checkout_query "SELECT id AS product_id, stock AS db_stock FROM products WHERE id = ?" $id:uint;
        checkout_query_result plain not_found=unknown_product;
    }
    location = /products {
        checkout_query "SELECT id, name FROM products WHERE name LIKE ? ORDER BY id;" $arg_search:like;
        checkout_query_page $arg_page $arg_per_page max=3 default=2;
    }
    location = /more {
        checkout_query "SELECT id FROM products WHERE name LIKE ? ORDER BY id -- by number" $arg_search:like;
        checkout_query_page $arg_page $arg_per_page max=3 default=2 total=off;
    }
    location = /counted {
        checkout_query "SELECT id, id FROM orders WHERE user_id = ?" $arg_user_id:uint;
        checkout_query_page $arg_page $arg_per_page "count=SELECT COUNT(*) FROM orders WHERE user_id = ?";
    }
    location = /orders {
        checkout_user $http_x_user;
        checkout_query "SELECT id, user_id FROM orders WHERE user_id = ? ORDER BY id" $arg_user_id:buyer;
    }
    location = /open-orders {
        checkout_query "SELECT id, user_id FROM orders WHERE user_id = ? ORDER BY id" $arg_user_id:buyer;
    }
    location = /values {
        checkout_query "SELECT ? AS t, ? AS u, ? AS i, ? AS l" $arg_t $arg_u:uint=7 $arg_i:int=-1 $arg_l:like;
        checkout_query_result plain;
    }
    location = /defaults {
        checkout_query "SELECT ? AS l, ? AS t, ? AS p" $arg_l:like=100% $arg_t:text=a+b $arg_p:text=%41;
        checkout_query_result plain;
    }
    location = /name {
        checkout_query "SELECT id FROM products WHERE name = ?" $arg_name:text;
    }
    location = /nothing { checkout_query "SELECT 1 AS a FROM DUAL WHERE FALSE"; checkout_query_result plain; }
    location = /error-page {
        error_page 404 = /fallback;
        checkout_query "SELECT 1 AS a FROM DUAL WHERE FALSE";
        checkout_query_result plain;
    }
    location = /failed-page { error_page 502 504 @failed; checkout_query "SELECT nothing FROM nowhere"; }
    location = /late-page { error_page 502 504 @failed; checkout_timeout 300ms; checkout_query "SELECT SLEEP(0.9) AS a"; }
    location = /failed-file { error_page 502 504 = /fallback; checkout_query "SELECT nothing FROM nowhere"; }
    location @failed { return 200 "page $checkout_code $upstream_status"; }
    location = /fallback { return 200 "fallback $checkout_code"; }
    location = /changes { checkout_query "UPDATE products SET stock = 0"; }
    location = /missing { checkout_query "SELECT nothing FROM nowhere"; }
    location = /large { checkout_query "SELECT REPEAT('a', 5000) AS x"; checkout_query_max_size 4k; }
    location = /megabyte { checkout_timeout 20s; checkout_mysql_read_timeout 20s;
        checkout_query_max_size 2m;
        checkout_query "SELECT REPEAT(CHAR(? USING ascii), 1048576) AS x" $arg_c:uint;
    }
    location = /rows { checkout_timeout 20s; checkout_mysql_read_timeout 20s;
        checkout_query_max_size 8m;
        checkout_query "SELECT i, 'row' AS t FROM numbers ORDER BY i";
    }
    location = /types {
        checkout_query_max_size 8m;
        checkout_query "SELECT * FROM types ORDER BY id";
    }
    location = /broken { checkout_query "SELECT '{' AS `a:json`"; }
    location = /if {
        if ($arg_x) { add_header X-If yes; }
        checkout_query "SELECT 5 AS a";
        checkout_query_result plain;
    }
    location = /sub { set $order $arg_order; auth_request /allowed; checkout_query "SELECT 6 AS a"; checkout_query_result plain; }
    location = /allowed { internal; checkout_query "SELECT id FROM orders WHERE id = ?" $order:uint; checkout_query_result plain not_found=order_not_found; }
    location = /ssi { ssi on; ssi_types *; default_type text/html; return 200 '<!--# include virtual="/stock/1" -->|<!--# include virtual="/stock/2" -->'; }
END

my $nginx = CheckoutTest::Nginx->start($config, http => $http);
my $json = JSON::PP->new->utf8->allow_bignum;

sub get    { my ($path, @headers) = @_; return $nginx->get($path, @headers) }
sub status { return get(@_)->{status} }
sub body   { return get(@_)->{body} }
sub code   { return $json->decode(body(@_))->{code} }
sub header { my ($answer, $name) = @_; return $answer->{headers} =~ /^\Q$name\E: (.*?)\r?$/mi ? $1 : undef }

subtest 'forms' => sub {
    my $answer = get('/products/1');
    is $answer->{status}, 200, 'answered';
    is header($answer, 'Content-Type'), 'application/json', 'JSON';
    is $answer->{body}, '{"data":{"id":1,"name":"100% cotton","price":"19.80","stock":3,"note":null,"sold_at":"2026-11-21T06:30:00.123Z"}}', 'object';
    is body('/stock/18446744073709551615'), '{"product_id":18446744073709551615,"db_stock":1}', 'plain, and a number above 2^53';
    is decode_utf8(body('/products/3')), '{"data":{"id":3,"name":"茶壺 😀","price":"9999999999.99","stock":2147483647,"note":"","sold_at":null}}', 'R4 emoji';
    is body('/products/2'), '{"data":{"id":2,"name":"snake_case \\\\ \"quoted\"","price":"0.01","stock":0,"note":"two\nlines","sold_at":null}}', 'R4 quotes';
    is status('/stock/99'), 404, 'not found';
    is decode_utf8(body('/stock/99')), '{"message":"商品不存在","code":"unknown_product"}', 'and its words';
    is code('/nothing'), 'not_found', 'the usual code';
    is body('/error-page'), 'fallback not_found', 'error_page';
    is_deeply [ @{ get($_->[0]) }{qw(status body)} ], $_->[1], "error_page: $_->[1][1]" for
        ['/failed-page', [502, 'page bad_gateway 502']], ['/late-page', [504, 'page gateway_timeout 504']], ['/failed-file', [200, 'fallback bad_gateway']];
    is body('/if?x=1'), '{"a":5}', 'inside an if';
};

subtest 'a statement that cannot be used' => sub {
    for (['/changes', qr/it is none that gives rows/], ['/large', qr/larger than 4096 bytes/], ['/broken', qr/column "a:json" has a value that is no JSON/],
         ['/missing', qr/Table 'checkout.nowhere' doesn't exist/]) {
        my ($path, $reason) = @$_;
        is status($path), 502, "$path: 502";
        is code($path), 'bad_gateway', 'and its code';
        like $nginx->log, $reason, 'the log says why';
    }
    like $nginx->log, qr/the statement in \S+nginx\.conf:\d+ cannot be used/, 'and where';
    is $mysql->value('SELECT stock FROM products WHERE id = 1'), 3, 'nothing was changed';
};

subtest 'R3 values' => sub {
    my @bad = map { "/products/$_" } '%27%20OR%201=1%20--', '1%20OR%201=1', '-1', '1.0', '01', '+1', '1e3', '18446744073709551616', '9' x 60, '0x1', '%FF', '';
    for my $path (@bad) {
        is status($path), 422, "$path: 422" or next;
        my $said = $json->decode(body($path));
        is $said->{code}, 'invalid_request', 'its code';
        is join(',', keys %{ $said->{errors} }), 'id', 'and the name of the value';
    }
    is $json->decode(body('/products/x', 'Accept-Language: en'))->{errors}{id}[0], 'This field must be an integer.', 'in English';
    is $json->decode(body('/products/-1', 'Accept-Language: en'))->{errors}{id}[0], 'This field must be at least 0.', 'too small';
    is $json->decode(body('/products/18446744073709551616', 'Accept-Language: en'))->{errors}{id}[0], 'This field must be at most 18446744073709551615.', 'too large';
    is status('/products/%00'), 400, 'a NUL in the path is refused by nginx';

    is body('/name?name=%27%20OR%201=1%20--'), '{"data":[]}', 'quotes are text';
    is body('/name?name=100%25+cotton'), '{"data":[{"id":1}]}', 'decoded once';
    is status("/name?name=$_"), 422, "$_ is no text" for '%00', 'a%00b', '%FF', '%E8%8C', '%zz', '%2', 'x' x 1025, '%61' x 1025;
    is status('/name?name=' . 'x' x 1024), 200, '1024 bytes are';
    is status('/name?name=' . 'x' x 65536), 414, '64 KB are refused by nginx';
    is status('/values?i=' . $_), 422, "no integer: $_" for qw(9223372036854775808 -9223372036854775809 - --1 -01 1.5);
    is body('/values?t=&i=-9223372036854775808&u=18446744073709551615&l=x'), '{"t":"","u":18446744073709551615,"i":-9223372036854775808,"l":"%x%"}', 'bounds';
    is body('/values?t=a%2Bb+c%22'), '{"t":"a+b c\"","u":7,"i":-1,"l":"%"}', 'defaults, and + as a space';
    is body('/defaults'), '{"l":"%100\\\\%%","t":"a+b","p":"%41"}', 'defaults are taken as they are written';
    is body('/defaults?l=100%25&t=a%2Bb&p=%41'), '{"l":"%100\\\\%%","t":"a+b","p":"A"}', 'what a request brings is decoded';
    is body('/values?l=%25_%5C'), '{"t":"","u":7,"i":-1,"l":"%\\\\%\\\\_\\\\\\\\%"}', 'LIKE is escaped';
    my $said = $json->decode(body('/values?u=x&i=y&t=%FF'));
    is join(',', sort keys %{ $said->{errors} }), 'i,t,u', 'all that is wrong is said';
};

subtest 'search' => sub {
    my $found = sub { join ',', map { $_->{id} } @{ $json->decode(body("/products?per_page=3&search=$_[0]"))->{data} } };
    is $found->('100%25'), '1', '% is a character';
    is $found->('e_c'), '2', '_ is one too';
    is $found->('%5C'), '2', 'and the backslash';
    is $found->(join '', map { sprintf '%%%02X', ord } split //, encode_utf8('壺')), '3', 'other letters';
    is $found->('%27%20OR%201=1%20--'), '', 'no SQL';
    is $found->(''), '1,2,3', 'an empty one finds all';
};

subtest 'pages' => sub {
    is body('/products?page=2'), '{"data":[{"id":3,"name":"' . encode_utf8('茶壺 😀') . '"},{"id":18446744073709551615,"name":"last"}],' .
        '"meta":{"current_page":2,"per_page":2,"total":4,"last_page":2}}', 'the second';
    is_deeply $json->decode(body('/products?page=3'))->{data}, [], 'behind the last';
    is body('/products?search=zzz'), '{"data":[],"meta":{"current_page":1,"per_page":2,"total":0,"last_page":1}}', 'none';
    is_deeply $json->decode(body("/products?page=18446744073709551615&per_page=3"))->{data}, [], 'far behind';
    is body('/more?page=1&per_page=3'), '{"data":[{"id":1},{"id":2},{"id":3}],"meta":{"current_page":1,"per_page":3,"has_more":true}}', 'more';
    is body('/more?page=2&per_page=3'), '{"data":[{"id":18446744073709551615}],"meta":{"current_page":2,"per_page":3,"has_more":false}}', 'no more';
    is body('/more?page=2&per_page=2'), '{"data":[{"id":3},{"id":18446744073709551615}],"meta":{"current_page":2,"per_page":2,"has_more":false}}', 'a full last page';
    is body('/counted?user_id=7&per_page=1'), '{"data":[{"id":1,"id":1}],"meta":{"current_page":1,"per_page":1,"total":2,"last_page":2}}', 'a count of its own';
    is status("/products?$_"), 422, "$_: 422" for qw(page=0 page=-1 page=x page=1.5 page=18446744073709551616 per_page=0 per_page=4 per_page=x page=1%00);
    is status("/products?page=%27"), 422, 'a quote';
    is $json->decode(body('/products?per_page=4', 'Accept-Language: en'))->{errors}{per_page}[0], 'This field must be at most 3.', 'the most rows';
    is $json->decode(body('/products?page=0', 'Accept-Language: en'))->{errors}{page}[0], 'This field must be at least 1.', 'the first page';
};

subtest 'orders of a buyer' => sub {
    is body('/orders', 'X-User: 7'), '{"data":[{"id":1,"user_id":7},{"id":2,"user_id":7}]}', 'his own';
    is body('/orders?user_id=7', 'X-User: 7'), '{"data":[{"id":1,"user_id":7},{"id":2,"user_id":7}]}', 'named';
    is status('/orders?user_id=8', 'X-User: 7'), 404, 'those of others are not found';
    is code('/orders?user_id=8', 'X-User: 7'), 'order_not_found', 'and say no more';
    is status('/orders?user_id=7'), 401, 'nobody is logged in';
    is status('/orders?user_id=x', 'X-User: 7'), 422, 'no number';
    is body('/open-orders?user_id=8'), '{"data":[{"id":3,"user_id":8}]}', 'without checkout_user anybody is asked for';
    is status('/open-orders'), 422, 'by name';
};

subtest 'ETag' => sub {
    my $answer = get('/products/1');
    my $etag = header($answer, 'ETag');
    like $etag, qr/^"[0-9a-f]{32}"$/, 'strong, 128 bits';
    is header(get('/products/1'), 'ETag'), $etag, 'the same for the same';
    isnt header(get('/products/2'), 'ETag'), $etag, 'another for another';
    is status('/products/1', "If-None-Match: $etag"), 304, 'not modified';
    is status('/products/1', 'If-None-Match: "x"'), 200, 'answered';
    is status('/products/1', "If-None-Match: W/$etag"), 304, 'a proxy made it weak';
    $mysql->do('UPDATE products SET stock = 4 WHERE id = 1');
    $answer = get('/products/1', "If-None-Match: $etag");
    is $answer->{status}, 200, 'changed';
    isnt header($answer, 'ETag'), $etag, 'another one';
    is header(get('/stock/99'), 'ETag'), undef, 'none for a refusal';
    $mysql->do('UPDATE products SET stock = 3 WHERE id = 1');
};

subtest 'methods' => sub {
    my $socket = $nginx->connect;
    print $socket "HEAD /products/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    my $text = do { local $/; <$socket> };
    like $text, qr{^HTTP/1\.1 200 .*\r\nContent-Length: 113\r\n.*\r\n\r\n$}s, 'HEAD has no body, and its length';
    $socket = $nginx->connect;
    print $socket "POST /products/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}";
    my $answer = CheckoutTest::Nginx::answer($socket);
    is $answer->{status}, 405, 'POST';
    is header($answer, 'Allow'), 'GET, HEAD', 'and what is allowed';
};

subtest 'subrequests, HTTP/2' => sub {
    is body('/sub?order=1'), '{"a":6}', 'auth_request';
    is status('/sub?order=99'), 500, 'a guard that finds nothing';
    is status('/sub'), 500, 'a guard that refuses at once';
    like body('/ssi'), qr/\{"product_id":1,"db_stock":3\}.*\|.*\{"product_id":2,"db_stock":0\}/s, 'parts of a page';
    my $second = CheckoutTest::Nginx->start($config, http => $http, listen => 'http2');
    is scalar qx(curl -s --http2-prior-knowledge http://127.0.0.1:@{[$second->port]}/stock/1), '{"product_id":1,"db_stock":3}', 'HTTP/2';
    $second->stop;
};

subtest 'R4 large results' => sub {
    my $rows = $json->decode(body('/rows'))->{data};
    is scalar @$rows, 10000, '10,000 rows';
    is_deeply [map { $_->{i} } @$rows], [1 .. 10000], 'all of them, in order';
    is length $json->decode(body('/megabyte?c=97'))->{data}[0]{x}, 1048576, '1 MB of text';
    is status('/megabyte?c=34'), 502, 'that escapes would make larger than the limit';
    is body('/stock/1'), '{"product_id":1,"db_stock":3}', 'and the next request';
};


# --- exact JSON, against an independent reader -----------------------------------------------------------------

# Name, type, how the values of DBD::MariaDB and of the JSON are compared, values.
my @columns = (
    [tiny => 'TINYINT', 'number', -128, 0, 127], [utiny => 'TINYINT UNSIGNED', 'number', 0, 255], [small => 'SMALLINT', 'number', -32768, 32767],
    [medium => 'MEDIUMINT', 'number', -8388608, 8388607], [umedium => 'MEDIUMINT UNSIGNED', 'number', 16777215], [whole => 'INT', 'number', -2147483648, 2147483647],
    [uwhole => 'INT UNSIGNED ZEROFILL', 'number', 0, 7, 4294967295], [big => 'BIGINT', 'number', '-9223372036854775808', '9223372036854775807', '9007199254740993'],
    [ubig => 'BIGINT UNSIGNED', 'number', '18446744073709551615', '9007199254740993'], [bool_ => 'BOOL', 'number', 0, 1], [year_ => 'YEAR', 'number', 1901, 2155],
    [dec12 => 'DECIMAL(12,2)', 'text', '19.80', '-0.01', '9999999999.99', '0.00'],
    [dec65 => 'DECIMAL(65,30)', 'text', '12345678901234567890123456789012345.123456789012345678901234567890', '0.000000000000000000000000000001'],
    [dbl => 'DOUBLE', 'double', '0.1', '1.7976931348623157e308', '-2.2250738585072014e-308', '123456789.123456789', '0.30000000000000004'],
    [vc => 'VARCHAR(200)', 'text', '', 'plain', "quote \" apostrophe ' backslash \\ slash /", "tab\tnewline\nreturn\r", "bell\a null\0 escape\e delete\x7f", "emoji \x{1F600} \x{1F1F9}\x{1F1FC}", "\x{2028}\x{2029}", '{"a":1}', 'null'],
    [txt => 'LONGTEXT', 'text', 'x' x 70000, "\x{8336}" x 30000], [en => "ENUM('a','b c','\"')", 'text', 'a', 'b c', '"'], [st => "SET('x','y','z')", 'text', '', 'x,z'],
    [ch => 'CHAR(10)', 'text', 'abc'], [latin => 'VARCHAR(20) CHARACTER SET latin1', 'text', "caf\x{e9}"],
    [bin => 'BINARY(4)', 'bytes', "\0\xff\x80a"], [vbin => 'VARBINARY(300)', 'bytes', '', "\xff", join('', map { chr } 0 .. 255)], [blob_ => 'LONGBLOB', 'bytes', "\0" x 70001],
    [d => 'DATE', 'text', '2026-11-21', '1000-01-01', '9999-12-31', '0000-00-00'], [t => 'TIME', 'text', '06:30:00', '-838:59:59', '838:59:59', '00:00:00'],
    [t3 => 'TIME(3)', 'text', '-00:00:00.500', '12:00:00.000'], [dt => 'DATETIME', 'moment', '2026-11-21 06:30:00', '0000-00-00 00:00:00'],
    [dt6 => 'DATETIME(6)', 'moment', '2026-11-21 06:30:00.000001', '9999-12-31 23:59:59.999999'], [ts => 'TIMESTAMP(3) NULL', 'moment', '2026-11-21 06:30:00.100', '1970-01-01 00:00:01.000'],
    [js => 'JSON', 'json', '{"a": [1, 2.50, "x\u00e9", null, true], "b": {}}', '[]', '"text"', '12345678901234567890', 'null'],
);

# A JSON column comes as bytes from MySQL, as characters from MariaDB.
sub same_json {
    my ($have, $want) = @_;
    my $bytes = utf8::is_utf8($want) ? encode_utf8($want) : $want;
    return $json->canonical->encode([$have]) eq $json->canonical->encode($json->decode("[$bytes]"));
}

subtest 'R4 exact JSON' => sub {
    my $handle = $mysql->administrator;
    $handle->do("SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES', NAMES utf8mb4");
    $handle->do('CREATE TABLE types (id INT PRIMARY KEY, ' . join(', ', map { "$_->[0] $_->[1]" . ($_->[1] =~ /NULL/ ? '' : ' NULL') } @columns) . ') ENGINE=InnoDB');
    my $rows = max map { @$_ - 3 } @columns;
    for my $row (0 .. $rows) {
        my $insert = $handle->prepare('INSERT INTO types VALUES (?' . ', ?' x @columns . ')');
        $insert->bind_param(1, $row);
        $insert->bind_param($_ + 2, $columns[$_][$row + 3], $columns[$_][2] eq 'bytes' ? DBI::SQL_BLOB() : ()) for 0 .. $#columns;
        $insert->execute;
    }

    my $answer = get('/types');
    is $answer->{status}, 200, 'answered' or return;
    my $data = $json->decode($answer->{body})->{data};
    is scalar @$data, $rows + 1, 'rows';
    my $seen = $handle->selectall_arrayref('SELECT * FROM types ORDER BY id', { Slice => {} });

    for my $column (@columns) {
        my ($name, $type, $kind) = @$column;
        my @wrong;
        for my $i (0 .. $rows) {
            my ($have, $want) = ($data->[$i]{$name}, $seen->[$i]{$name});
            next if !defined $have && (!defined $want || $kind eq 'json' && $want eq 'null');
            push @wrong, "row $i: null" and next if !defined $have || !defined $want;
            my $ok = $kind eq 'number' ? Math::BigInt->new("$have") == Math::BigInt->new($want)
                : $kind eq 'double' ? "$have" == $want
                : $kind eq 'text' ? $have eq $want
                : $kind eq 'bytes' ? decode_base64($have) eq $want
                : $kind eq 'moment' ? $have eq ($want =~ s/ /T/r) . 'Z'
                : same_json($have, $want);
            push @wrong, "row $i" if !$ok;
        }
        is join(', ', @wrong), '', "$type";
    }

    # numbers are numbers, texts are texts
    for my $column (@columns) {
        my ($name, $type, $kind) = @$column;
        my ($first) = $answer->{body} =~ /"\Q$name\E":(.)/;
        like $first, $kind =~ /number|double/ ? qr/[-0-9]/ : $kind eq 'json' ? qr/\{/ : qr/"/, "$type: form";
    }
};


# --- configuration ---------------------------------------------------------------------------------------------

sub check {
    my ($location, $around) = @_;
    my $dir = File::Temp->newdir;
    open my $file, '>', "$dir/nginx.conf" or die $!;
    print $file "load_module $CheckoutTest::module; events {} http { upstream mysql { server unix:$socket; }\n", $around // "$account checkout_read_from mysql;",
        "\nserver { location / {\n$location } } }";
    close $file;
    my $said = qx($CheckoutTest::binary -t -p $dir -e stderr -c nginx.conf 2>&1);
    return $? == 0 ? 'accepted' : $said;
}

subtest 'nginx -t' => sub {
    is check('checkout_query "SELECT 1";'), 'accepted', 'no values';
    is check(q(checkout_query "SELECT '?', \"?\", `?` -- ?\n , ? /* ? */" $arg_a;)), 'accepted', 'question marks in texts and comments';
    is check('checkout_query "SELECT ?, ?" "$host:$server_port" literal:with:text;'), 'accepted', 'colons in values';
    like check('checkout_query "SELECT ?";'), qr/has 0 values for 1 places "\?" in \S+nginx\.conf:4/, 'too few values';
    like check('checkout_query "SELECT 1" $arg_a;'), qr/has 1 values for 0 places/, 'too many';
    like check('checkout_query "SELECT ?" $arg_a:number;'), qr/unknown type in "\$arg_a:number".* in \S+nginx\.conf:4/, 'unknown type';
    like check('checkout_query "SELECT ?" $arg_a:uint=x;'), qr/invalid default "x"/, 'bad default';
    like check('checkout_query "SELECT ?" $nosuch;'), qr/unknown "nosuch" variable/, 'unknown variable';
    like check('checkout_query "SELECT 1";', 'checkout_read_from mysql;'), qr/"checkout_query" without "checkout_mysql" in \S+nginx\.conf:4/, 'no account';
    like check('checkout_query "SELECT 1";', $account), qr/"checkout_query" without "checkout_read_from" in/, 'no servers';
    like check('checkout_query "SELECT 1"; checkout_query "SELECT 2";'), qr/"checkout_query" directive is duplicate/, 'twice';
    like check('checkout_query "SELECT 1"; checkout_health;'), qr/"checkout_health" stands in one location with "checkout_query"/, 'two handlers';
    like check('checkout_query "SELECT 1"; checkout_query_result table;'), qr/unknown form "table"/, 'unknown form';
    like check('checkout_query "SELECT 1"; checkout_query_result rows not_found=not_found;'), qr/invalid parameter "not_found=not_found"/, 'rows are never missing';
    like check('checkout_query "SELECT 1"; checkout_query_result plain not_found=x;'), qr/invalid parameter "not_found=x"/, 'unknown code';
    like check('checkout_query_result plain;'), qr/"checkout_query_result" without "checkout_query" in \S+nginx\.conf:4/, 'a result of nothing';
    like check('checkout_query_page $arg_page $arg_n;'), qr/"checkout_query_page" without "checkout_query"/, 'pages of nothing';
    like check('checkout_query "SELECT 1"; checkout_query_result plain; checkout_query_page $arg_page $arg_n;'), qr/"checkout_query_page" with a result that is no "rows"/, 'pages of one';
    like check("checkout_query \"SELECT 1\"; checkout_query_page \$arg_page \$arg_n $_;"), qr/invalid parameter "$_"/, $_ for qw(max=0 max=x total=maybe default=0 size=3);
    like check('checkout_query "SELECT 1"; checkout_query_page $arg_page $arg_n "count=SELECT ?";'), qr/"count" needs as many places "\?" as "checkout_query" has values in/, 'another count';
    like check('checkout_query "SELECT 1"; checkout_query_page $arg_page $arg_n total=off "count=SELECT 1";'), qr/"count" with "total=off" in \S+nginx\.conf:4/, 'a count of no total';
    like check('checkout_query "SELECT 1"; checkout_query_page $arg_page $arg_n max=5 default=6;'), qr/"default" above its "max"/, 'default above max';
    like check('checkout_query "SELECT 1"; checkout_query_max_size 1;'), qr/must be between 1k and 2g/, 'a size';
};

subtest 'counters' => sub {
    my $metrics = body('/metrics');
    like $metrics, qr/^checkout_reads_total\{outcome="$_"\} [1-9]/m, $_ for qw(found not_found unknown_product order_not_found invalid_request bad_gateway unauthorized method_not_allowed);
};

unlike $nginx->log, qr/\[(alert|emerg)\]/, 'no alerts';
$nginx->stop;
done_testing;
