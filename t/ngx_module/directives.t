# nginx -t refuses what is wrong, with file, line and reason.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use Test::More;

my $dir = File::Temp->newdir("$CheckoutTest::root/.run/nginx-XXXXXX");

# What nginx -t says of this http {}; undef when it has nothing against it.
sub check {
    my ($http) = @_;
    open my $file, '>', "$dir/nginx.conf" or die $!;
    print $file "load_module $CheckoutTest::module;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n",
        (map { "${_}_temp_path $_;\n" } qw(client_body proxy fastcgi uwsgi scgi)), "$http\n}\n";
    close $file;
    my $said = `$CheckoutTest::binary -t -p $dir -c nginx.conf 2>&1`;
    return $? == 0 ? undef : $said;
}

is join(' ', sort map { (split)[2] } split /\n/, `nm -D --defined-only $CheckoutTest::module`), 'ngx_module_names ngx_module_order ngx_modules',
    'the module shows nginx what it looks for, and nothing that another module could take for its own';

sub location { return "server { location / { $_[0] } }" }

is check("checkout_redis 127.0.0.1:6379;\n" . location('checkout_place_order;')), undef, 'the shortest configuration';
is check(location('checkout_health;')), undef, 'health needs no Redis';
is check(location(join "\n", 'checkout_redis unix:/nowhere.sock database=3;', 'checkout_timeout 500ms;',
    'checkout_connect_timeout 1s;', 'checkout_send_timeout 1s;', 'checkout_read_timeout 1s;',
    'checkout_max_quantity 10;', 'checkout_queue_limit 10;', 'checkout_place_order;')), undef, 'every directive';

is check("checkout_zone z:64k;\n" . location(join "\n", 'checkout_redis 127.0.0.1:1;', 'checkout_user $arg_u;',
    'checkout_sold_out_cache off;', 'checkout_place_order;')), undef, 'a zone, a user';
is check("checkout_zone z:1m;\n" . location('checkout_metrics;')), undef, 'metrics need no Redis';
is check("checkout_user \$arg_u;\n" . location('checkout_redis 127.0.0.1:1; checkout_user off; checkout_stock 1;')), undef, 'off';

sub file { my ($name, $text) = @_; open my $f, '>', "$dir/$name" or die $!; print $f $text; close $f; return $name }
file('password', "pw\n");
is check(location('checkout_redis 127.0.0.1:1 user=u password_file=password; checkout_stock 1;')), undef, 'a relative password file';
is check(location('checkout_redis 127.0.0.1:1; checkout_redis_ssl on; checkout_redis_ssl_name a.b; checkout_stock 1;')), undef, 'TLS';

for my $case (
    [ 'checkout_redis 127.0.0.1:1 password_file=nowhere;', 'nowhere" failed (2: No such file or directory)', 'no password file' ],
    [ "checkout_redis 127.0.0.1:1 password_file=@{[ file('empty', '') ]};", 'empty" is empty', 'an empty password file' ],
    [ "checkout_redis 127.0.0.1:1 password_file=@{[ file('blank', qq(\nx)) ]};", 'blank" is empty', 'an empty first line' ],
    [ "checkout_redis 127.0.0.1:1 password_file=@{[ file('long', 'x' x 1025) ]};", 'more than 1024 bytes', 'a long password' ],
    [ 'checkout_redis 127.0.0.1:1 password_file=.;',      'cannot be read',                'a folder for a password' ],
    [ 'checkout_redis 127.0.0.1:1 password_file=;',       'invalid parameter "password_file="', 'a password file without a name' ],
    [ 'checkout_redis 127.0.0.1:1 user=u;',               '"user=u" without "password_file"', 'a user without a password' ],
    [ 'checkout_redis 127.0.0.1:1 user=;',                'invalid parameter "user="',     'a user without a name' ],
    [ 'checkout_zone z;',                                 'is no name and size of a zone', 'a zone without a size' ],
    [ 'checkout_zone :1m;',                               'is no name and size of a zone', 'a zone without a name' ],
    [ 'checkout_zone z:8k;',                              'invalid size of a zone in "z:8k", the least is 64k', 'a small zone' ],
    [ 'checkout_zone z:big;',                             'invalid size',                  'a zone of no size' ],
    [ "checkout_zone z:1m;\ncheckout_zone y:1m;",         'is duplicate',                  'two zones' ],
    [ 'server { checkout_zone z:1m; }',                   'is not allowed here',           'a zone in a server' ],
    [ 'checkout_sold_out_cache 0;',                       'must be "off" or a time of 1ms to 60s', 'a mark of no time' ],
    [ 'checkout_sold_out_cache 2m;',                      'must be "off" or',              'a mark of long' ],
    [ 'checkout_sold_out_cache on;',                      'must be "off" or',              'a mark without a time' ],
    [ 'checkout_sticky 0;',                               'must be "off" or a time of 1s to 1h', 'sticky for no time' ],
    [ 'checkout_sticky 500ms;',                           'must be "off" or',              'sticky for a part of a second' ],
    [ 'checkout_sticky 2h;',                              'must be "off" or',              'sticky for long' ],
    [ "checkout_sticky 5s;\ncheckout_sticky 5s;",         'is duplicate',                  'sticky twice' ],
    [ "checkout_user a;\ncheckout_user b;",               'is duplicate',                  'two users' ],
    [ 'checkout_redis_ssl maybe;',                        'it must be "on" or "off"',      'TLS perhaps' ],
    [ 'checkout_redis 127.0.0.1:99999;',                  'invalid port in "checkout_redis 127.0.0.1:99999"', 'a wrong port' ],
    [ 'checkout_redis 127.0.0.1:6379/1;',                 'invalid host',                  'an address with a path' ],
    [ 'checkout_redis unix:;',                            'no path in the unix domain socket', 'a socket without a path' ],
    [ 'checkout_redis no.such.host.invalid:6379;',        'host not found',                'a name that nobody knows' ],
    [ 'checkout_redis 127.0.0.1:1 database=x;',           'invalid database number in "database=x"', 'a wrong database' ],
    [ 'checkout_redis 127.0.0.1:1 database=-1;',          'invalid database number',       'a negative database' ],
    [ 'checkout_redis 127.0.0.1:1 base=1;',               'invalid parameter "base=1"',    'an unknown parameter' ],
    [ 'checkout_redis;',                                  'invalid number of arguments',   'no address' ],
    [ "checkout_redis 127.0.0.1:1;\ncheckout_redis 127.0.0.1:1;", '"checkout_redis" directive is duplicate', 'Redis twice' ],
    [ 'checkout_timeout 0;',                              'must be positive',              'a time-out of nothing' ],
    [ 'checkout_timeout soon;',                           'invalid value',                 'a time-out that is none' ],
    [ 'checkout_max_quantity 0;',                         'must be between 1 and 2147483647', 'a quantity of nothing' ],
    [ 'checkout_max_quantity 2147483648;',                'must be between',               'a quantity over the bound' ],
    [ 'checkout_max_quantity 1.5;',                       'invalid number',                'half a unit' ],
    [ 'checkout_queue_limit 0;',                          'must be between',               'a queue that is always full' ],
    [ "checkout_queue_limit 5;\ncheckout_queue_limit 5;", 'is duplicate',                  'a limit twice' ],
    [ 'checkout_place_order;',                            'is not allowed here',           'a handler outside a location' ],
    [ 'checkout_nothing on;',                             'unknown directive',             'an unknown directive' ],
) {
    my ($http, $reason, $name) = @$case;
    my $said = check($http) // 'accepted';
    like $said, qr/\Q$reason\E/, "refused: $name";
    like $said, qr/nginx\.conf:\d+/, '… with file and line';
}

for my $case (
    [ 'checkout_place_order;',                        '"checkout_place_order" without "checkout_redis" in', 'a handler without Redis' ],
    [ 'checkout_metrics;',                            '"checkout_metrics" without "checkout_zone" in',      'metrics without a zone' ],
    [ 'checkout_redis 127.0.0.1:1; checkout_redis_ssl on; checkout_stock 1;', 'an address needs "checkout_redis_ssl_name"', 'TLS to an address' ],
    [ 'checkout_redis 127.0.0.1:1; checkout_redis_ssl on; checkout_redis_ssl_verify off; checkout_redis_ssl_certificate c; checkout_stock 1;',
      'without "checkout_redis_ssl_certificate_key"', 'a certificate without its key' ],
    [ 'checkout_stock $arg_id;',                      '"checkout_stock" without "checkout_redis" in',       'a read without Redis' ],
    [ "checkout_health;\ncheckout_health;",           'is duplicate',                                       'a handler twice' ],
    [ "checkout_health;\ncheckout_place_order;",      '"checkout_place_order" stands in one location with "checkout_health"', 'two handlers' ],
    [ "stub_status;\ncheckout_health;",               'has another handler',                                'a handler beside another' ],
    [ 'checkout_order_status;',                       'invalid number of arguments',                        'a status without a value' ],
    [ 'checkout_ready;',                              '"checkout_ready" without "checkout_redis" in',       'readiness without Redis' ],
    [ 'checkout_redis 127.0.0.1:1; checkout_ready oldest_job=;',     'invalid time in "oldest_job="',       'readiness with a job of no age' ],
    [ 'checkout_redis 127.0.0.1:1; checkout_ready oldest_job=0;',    'invalid time in "oldest_job=0"',      'readiness with a job of age 0' ],
    [ 'checkout_redis 127.0.0.1:1; checkout_ready youngest_job=1s;', 'invalid parameter "youngest_job=1s"', 'readiness with something else' ],
    [ "checkout_redis 127.0.0.1:1;\ncheckout_ready;\ncheckout_ready;", 'is duplicate',                      'readiness twice' ],
    [ 'checkout_place_order now;',                    'invalid number of arguments',                        'a value where there is none' ],
) {
    my ($directives, $reason, $name) = @$case;
    my $said = check(location($directives)) // 'accepted';
    like $said, qr/\Q$reason\E/, "refused: $name";
    like $said, qr/nginx\.conf:\d+/, '… with file and line';
}

# An administrator's token.
my $stock = "checkout_redis 127.0.0.1:1;\nupstream primary { server 127.0.0.1:1; }\n"
    . "checkout_mysql database=d user=u;\ncheckout_primary primary;\n";
my $init = 'checkout_init_stock;';
file('token', ('t' x 16) . "\n");
is check($stock . location("$init checkout_admin_token_file token;")), undef, 'init-stock';
is check("${stock}checkout_admin_token_file token;\n" . location($init)), undef, 'a token for all locations';

for my $case (
    [ $stock . location($init), '"checkout_init_stock" without "checkout_admin_token_file" in', 'init-stock without a token' ],
    [ "checkout_admin_token_file token;\n" . location($init), '"checkout_init_stock" without "checkout_redis" in', '… without Redis' ],
    [ "checkout_redis 127.0.0.1:1; checkout_admin_token_file token;\n" . location($init), '"checkout_init_stock" without "checkout_mysql" in', '… without MySQL' ],
    [ "checkout_redis 127.0.0.1:1; checkout_mysql database=d user=u; checkout_admin_token_file token;\n" . location($init), '"checkout_init_stock" without "checkout_primary" in', '… without a primary' ],
    [ 'checkout_admin_token_file nowhere;', 'nowhere" failed (2: No such file or directory)', 'no token file' ],
    [ "checkout_admin_token_file @{[ file('empty', '') ]};", 'empty" is empty', 'an empty token file' ],
    [ "checkout_admin_token_file @{[ file('blank', qq(\n) . 't' x 20) ]};", 'blank" is empty', 'an empty first line' ],
    [ "checkout_admin_token_file @{[ file('short', 't' x 15) ]};", 'short" has a first line of less than 16 bytes', 'a short token' ],
    [ "checkout_admin_token_file @{[ file('long', 't' x 1025) ]};", 'more than 1024 bytes', 'a long token' ],
    [ "checkout_admin_token_file @{[ file('space', 'two words of a token') ]};", 'other characters than visible ASCII', 'a token of two words' ],
    [ "checkout_admin_token_file token;\ncheckout_admin_token_file token;", 'is duplicate', 'two tokens' ],
    [ 'checkout_init_stock;', 'is not allowed here', 'init-stock outside a location' ],
) {
    my ($http, $reason, $name) = @$case;
    my $said = check($http) // 'accepted';
    like $said, qr/\Q$reason\E/, "refused: $name";
    like $said, qr/nginx\.conf:\d+/, '… with file and line';
    unlike $said, qr/ttttt|two words/, '… and without the token';
}

my $said = check("\n\n" . location('checkout_place_order;'));
like $said, qr/nginx\.conf:14\b/, 'the line is that of the handler';

CheckoutTest::redis()->stop;
done_testing;
