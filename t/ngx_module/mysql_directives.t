# nginx -t refuses what is wrong in the directives of MySQL, with file, line and reason.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use Test::More;

my $dir = File::Temp->newdir("$CheckoutTest::root/.run/nginx-XXXXXX");

# What nginx -t says of this http {}; undef when it has nothing against it.
sub check {
    my ($http, $main) = @_;
    open my $file, '>', "$dir/nginx.conf" or die $!;
    print $file "load_module $CheckoutTest::module;\npid nginx.pid;\nerror_log stderr;\n", $main // '', "\nevents {}\nhttp {\naccess_log off;\n",
        (map { "${_}_temp_path $_;\n" } qw(client_body proxy fastcgi uwsgi scgi)), "$http\n}\n";
    close $file;
    my $said = `$CheckoutTest::binary -t -p $dir -c nginx.conf 2>&1`;
    return $? == 0 ? undef : $said;
}

sub file { my ($name, $text) = @_; open my $f, '>', "$dir/$name" or die $!; print $f $text; close $f; return $name }
file('password', "pw\n");
file('empty', '');
file('ca', "x\n");

my $mysql = "checkout_mysql database=d user=u;\n";
my $db = "upstream db { server 127.0.0.1:1; server 127.0.0.2:1; server 127.0.0.3:1 backup; server 127.0.0.4:1 down; }\n";
my $query = "server { location / { checkout_query 'SELECT 1'; } }\n";

sub ok_with { my ($name, $http, $main) = @_; is check($http, $main), undef, $name }
ok_with('the shortest', "$db$mysql checkout_read_from db;$query");
ok_with('only a primary', "$db$mysql checkout_primary db;$query");
ok_with('an address', "$mysql checkout_read_from 127.0.0.1:3306; checkout_primary unix:/nowhere;$query");
ok_with('every directive', "$db checkout_mysql database=d user=u password_file=password server_public_key=on; checkout_read_from db; checkout_primary db;
    checkout_mysql_ssl on; checkout_mysql_ssl_verify on; checkout_mysql_ssl_trusted_certificate ca; checkout_mysql_ssl_certificate ca;
    checkout_mysql_ssl_certificate_key ca; checkout_mysql_connect_timeout 1s; checkout_mysql_read_timeout 1s;
    checkout_thread_pool sql threads=8; checkout_pool size=2 queue=0 timeout=100ms idle=10s;$query", 'thread_pool sql threads=8;');
ok_with('as many connections as threads: 3 servers', "$db$mysql checkout_read_from db; checkout_pool size=10;$query");
ok_with('one pool for what is the same', "$db$mysql checkout_read_from db; checkout_primary db; checkout_pool size=10;
    server { location /a { checkout_query 'SELECT 1'; } location /b { checkout_query 'SELECT 2'; } }");
my $webhook = 'location /w { checkout_webhook standard; checkout_webhook_secret_file secret; }';
file('secret', 'whsec_' . 'YWJj' x 10 . "\n");
ok_with('as many connections as threads: 3 servers to read from, one to write to', "$db$mysql checkout_read_from db; checkout_primary 127.0.0.1:1; checkout_pool size=8;
    server { location /a { checkout_query 'SELECT 1'; } $webhook }");
ok_with('nothing of MySQL is needed without it', "$mysql checkout_pool size=1000; server { location / { checkout_health; } }");

my $tls = "$db$mysql checkout_read_from db; checkout_mysql_ssl on;";
ok_with('TLS that believes every certificate', "$tls checkout_mysql_ssl_verify off;$query");

if (qx(ldd $CheckoutTest::module) =~ /libmysqlclient/) {
    like check("$tls$query"), qr/needs "checkout_mysql_ssl_trusted_certificate" with libmysqlclient, for "checkout_query" in \S+nginx.conf:\d+/, 'a library that trusts nobody';

} else {
    ok_with('the authorities that the system trusts', "$tls$query");
}

SKIP: {
    my ($major, $minor, $patch) = qx($CheckoutTest::binary -v 2>&1) =~ m{nginx/(\d+)\.(\d+)\.(\d+)};
    skip "nginx $major.$minor.$patch does not know \"resolve\"", 2 if $major * 1e6 + $minor * 1e3 + $patch < 1027003;
    my $names = 'resolver 127.0.0.1; upstream names { zone names 64k; server a.test:3306 resolve; server b.test:3306 resolve; }';
    ok_with('two names, of which nothing is known yet', "$names$mysql checkout_read_from names; checkout_pool size=16;$query");
    like check("$names$mysql checkout_read_from names; checkout_pool size=17;$query"), qr/allows 34 connections/, 'are two servers, though they have one port';
}

for my $case (
    [ "$db$mysql checkout_read_from db; checkout_pool size=11;$query", 'allows 33 connections to all MySQL servers together, which is more than the 32 threads of "checkout_thread_pool default"', 'too few threads' ],
    [ "$db$mysql checkout_read_from db; checkout_thread_pool default threads=11;$query", 'allows 12 connections', 'too few threads said' ],
    [ "$db$mysql checkout_read_from db; checkout_pool size=6; server { location /a { checkout_query 'SELECT 1'; } location /b { checkout_mysql database=e user=u; checkout_query 'SELECT 1'; } }",
      'allows 36 connections', 'two ways to enter' ],
    [ "$db$mysql checkout_read_from db; checkout_primary 127.0.0.1:1; checkout_pool size=9; server { location /a { checkout_query 'SELECT 1'; } $webhook }",
      'allows 36 connections', 'connections to write on are others' ],
    [ "$db$mysql checkout_read_from db; checkout_thread_pool none;$query", 'unknown thread pool "none"', 'no such thread pool' ],
    [ "$mysql checkout_read_from nobody;$query", '"nobody"', 'no such upstream' ],
    [ "$mysql checkout_read_from localhost:3306;$query", 'no upstream "localhost"', 'a name, that would be resolved once' ],
    [ "$mysql$query", '"checkout_query" without "checkout_read_from"', 'nowhere to read from' ],
    [ "$db checkout_read_from db;$query", '"checkout_query" without "checkout_mysql"', 'no way to enter' ],
    [ "$db$mysql checkout_read_from db; checkout_mysql_ssl on; checkout_mysql_ssl_trusted_certificate nofile;$query", 'nofile" failed', 'no authority' ],
    [ "$db$mysql checkout_read_from db; checkout_mysql_ssl on; checkout_mysql_ssl_certificate ca;$query", 'without "checkout_mysql_ssl_certificate_key"', 'a certificate without its key' ],
    [ 'checkout_mysql database=d;', 'needs "database" and "user"', 'no user' ],
    [ 'checkout_mysql user=u;', 'needs "database" and "user"', 'no database' ],
    [ 'checkout_mysql database= user=u;', 'invalid parameter "database="', 'a database without a name' ],
    [ 'checkout_mysql database=d user=u pass=x;', 'invalid parameter "pass=x"', 'an unknown parameter' ],
    [ 'checkout_mysql database=d user=u server_public_key=x;', 'invalid parameter "server_public_key=x"', 'a key, perhaps' ],
    [ 'checkout_mysql database=d user=u password_file=nofile;', 'nofile" failed', 'no password file' ],
    [ 'checkout_mysql database=d user=u password_file=empty;', 'is empty', 'an empty password file' ],
    [ "$mysql$mysql", 'is duplicate', 'MySQL twice' ],
    [ 'checkout_read_from 127.0.0.1:1; checkout_read_from 127.0.0.1:1;', 'is duplicate', 'replicas twice' ],
    [ 'checkout_read_from 127.0.0.1:99999;', 'invalid port', 'a wrong port' ],
    [ 'checkout_thread_pool a; checkout_thread_pool b;', 'is duplicate', 'a thread pool twice' ],
    [ 'checkout_thread_pool a threads=0;', 'invalid parameter "threads=0"', 'no threads' ],
    [ 'checkout_thread_pool a threads=x;', 'invalid parameter "threads=x"', 'threads without a number' ],
    [ 'checkout_thread_pool a size=1;', 'invalid parameter "size=1"', 'threads of a size' ],
    [ 'server { checkout_thread_pool a; }', 'is not allowed here', 'threads of a server' ],
    [ 'checkout_pool size=0;', 'invalid parameter "size=0"', 'a pool of nothing' ],
    [ 'checkout_pool size=1025;', 'invalid parameter "size=1025"', 'a pool too large' ],
    [ 'checkout_pool queue=-1;', 'invalid parameter "queue=-1"', 'a negative queue' ],
    [ 'checkout_pool timeout=0;', 'invalid parameter "timeout=0"', 'a wait of nothing' ],
    [ 'checkout_pool idle=2d;', 'invalid parameter "idle=2d"', 'idle for days' ],
    [ 'checkout_pool depth=1;', 'invalid parameter "depth=1"', 'a pool of some depth' ],
    [ 'checkout_pool size=1; checkout_pool size=1;', 'is duplicate', 'a pool twice' ],
    [ 'checkout_mysql_read_timeout 0;', 'must be positive', 'no time to read' ],
    [ 'checkout_mysql_connect_timeout 0;', 'must be positive', 'no time to connect' ],
) {
    my ($http, $reason, $name) = @$case;
    my $said = check($http) // 'accepted';
    like $said, qr/\Q$reason\E/, "refused: $name";
    like $said, qr/nginx\.conf:\d+|host not found/, '… with file and line';
}

CheckoutTest::redis()->stop;
done_testing;
