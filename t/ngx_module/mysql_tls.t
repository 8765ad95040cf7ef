# TLS from nginx to MySQL: encrypted, the authority checked, and the name, which is an address; certificates of the client.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutTest;
use SqlServer;
use TestCertificates;
use Test::More;

# MySQL's client library takes TLS where it can have it, MariaDB's where it is told to.
my $takes_tls = qx(ldd $ENV{CHECKOUT_MODULE}) =~ /libmysqlclient/;

my $dir = File::Temp->newdir('sql-XXXXXX', TMPDIR => 1);
my $redis = CheckoutTest::redis();

TestCertificates::make($dir);
my $server = SqlServer->start(options => [ "--ssl-ca=$dir/ca.pem", "--ssl-cert=$dir/server.pem", "--ssl-key=$dir/server.key",
    '--bind-address=127.0.0.1,127.0.0.2' ]);
$server->do($_) for map { ("CREATE USER $_->[0]\@127.0.0.1 REQUIRE $_->[1]", "GRANT ALL ON *.* TO $_->[0]\@127.0.0.1") } ([ 'tls', 'SSL' ], [ 'known', 'X509' ]);

my %way = (
    plain        => 'user=edge password_file=' . SqlServer::password_file() . ';',
    unencrypted  => 'user=tls;',
    checked      => "user=tls; checkout_mysql_ssl on; checkout_mysql_ssl_trusted_certificate $dir/ca.pem;",
    stranger     => "user=tls; checkout_mysql_ssl on; checkout_mysql_ssl_trusted_certificate $dir/other.pem;",
    unchecked    => 'user=tls; checkout_mysql_ssl on; checkout_mysql_ssl_verify off;',
    name         => "user=tls; checkout_read_from second; checkout_mysql_ssl on; checkout_mysql_ssl_trusted_certificate $dir/ca.pem;",
    uncertified  => "user=known; checkout_mysql_ssl on; checkout_mysql_ssl_trusted_certificate $dir/ca.pem;",
    certified    => "user=known; checkout_mysql_ssl on; checkout_mysql_ssl_trusted_certificate $dir/ca.pem;
                     checkout_mysql_ssl_certificate $dir/client.pem; checkout_mysql_ssl_certificate_key $dir/client.key;",
);

my $port = $server->port;
my $nginx = CheckoutTest::Nginx->start(
    (join "\n", map { "location = /$_ { checkout_mysql database=checkout $way{$_} checkout_query \"SHOW STATUS LIKE 'Ssl_cipher'\"; }" } sort keys %way),
    http => "checkout_pool size=1; checkout_read_from first; upstream first { server 127.0.0.1:$port max_fails=0; } upstream second { server 127.0.0.2:$port max_fails=0; }");

sub ask { my ($path) = @_; return $nginx->get("/$path") }

is ask('plain')->{status}, 200, 'without TLS';
is ask('unencrypted')->{status}, $takes_tls ? 200 : 502, 'nothing is said of TLS, and the account wants it';
my $answer = ask('checked');
is $answer->{status}, 200, 'authority given: encrypted and checked';
like $answer->{body}, qr/"Value":"\w{3}/, 'the connection is encrypted';
is ask('checked')->{status}, 200, 'and used again';
is ask('stranger')->{status}, 502, 'signed by somebody else';
is ask('unchecked')->{status}, 200, 'encrypted, without a check';
is ask('name')->{status}, 502, 'another address than the certificate has';
is ask('uncertified')->{status}, 502, 'the account wants a certificate, and none is given';
is ask('certified')->{status}, 200, 'a certificate of the client';
is ask('checked')->{status}, 200, 'the others go on';
$nginx->stop;
like $nginx->log, qr/(?:SSL|TLS|certificate).*"checkout_query"/i, 'the log says why';
unlike $nginx->log, qr/\[alert\]|opensesame|Sanitizer/, 'no process died, nothing secret is logged';

$redis->stop;
done_testing;
