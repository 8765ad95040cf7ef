# TLS to MySQL: [mysql] ssl, ssl_ca, ssl_verify, ssl_cert, ssl_key; on a server of its own.
use strict;
use warnings;
use File::Temp;
use FindBin;
use lib "$FindBin::Bin/../lib";
use SqlServer;
use TestCertificates;
use Test::More;

my $build = $ENV{CHECKOUT_BUILD} // "$FindBin::Bin/../../build";
my $dir = File::Temp->newdir;
my $server;

# The client libraries differ in what they do without an authority.
my $is_libmysqlclient = qx(ldd $build/checkoutctl) =~ /libmysqlclient/;

sub start_server {
    $server = SqlServer->start(options => [ '--bind-address=127.0.0.1,127.0.0.2', "--ssl-ca=$dir/ca.pem", "--ssl-cert=$dir/server.pem",
        "--ssl-key=$dir/server.key" ]);
    for my $account ([ 'tls', 'REQUIRE SSL' ], [ 'plain', '' ], [ 'known', 'REQUIRE X509' ]) {
        $server->do("CREATE USER $account->[0]\@127.0.0.1 $account->[1]");
        $server->do("GRANT ALL ON checkout.* TO $account->[0]\@127.0.0.1");
    }
}

# Exit code of a command that connects, and what it said.
sub connects {
    my ($user, %options) = @_;
    local %ENV = (%ENV, CHECKOUT_MYSQL_HOST => '127.0.0.1', CHECKOUT_MYSQL_PORT => $server->port, CHECKOUT_MYSQL_USER => $user,
        map { ("CHECKOUT_MYSQL_\U$_" => $options{$_}) } keys %options);
    my $said = qx($build/checkoutctl migrate 2>&1);
    return ($? >> 8, $said);
}

sub connects_ok { my ($name, @how) = @_; my ($code, $said) = connects(@how); is($code, 0, $name) or diag($said) }

sub is_refused {
    my ($name, $why, @how) = @_;
    my ($code, $said) = connects(@how);
    isnt($code, 0, $name);
    like($said, $why, "$name: and says why");
}

TestCertificates::make($dir);
start_server();

connects_ok('plain, without TLS', 'plain');
connects_ok('authority given: encrypted and checked', 'tls', ssl_ca => "$dir/ca.pem");
is_refused('signed by somebody else', qr/SSL|TLS|certificate/i, 'tls', ssl_ca => "$dir/other.pem");
connects_ok('ssl without a check', 'tls', ssl => 'yes', ssl_verify => 'no');

# MariaDB's client library trusts a server on the loopback address without an authority from 11.4 on.
my ($major, $minor) = $is_libmysqlclient ? (0, 0) : qx(mariadb --version) =~ /(\d+)\.(\d+)\.\d+-MariaDB/ or die 'no version of mariadb';
if ($major > 11 || ($major == 11 && $minor >= 4)) {
    connects_ok('no authority, but a check: a new client trusts the loopback address', 'tls', ssl => 'yes');
} else {
    is_refused('no authority, but a check', qr/SSL|TLS|certificate/i, 'tls', ssl => 'yes');
}
is_refused('the account wants a certificate, and none is given', qr/denied|SSL/, 'known', ssl_ca => "$dir/ca.pem");
connects_ok('a certificate of the client', 'known', ssl_ca => "$dir/ca.pem", ssl_cert => "$dir/client.pem", ssl_key => "$dir/client.key");
is_refused('another name than the certificate has', qr/SSL|TLS|certificate|validation/i, 'tls', ssl_ca => "$dir/ca.pem", host => '127.0.0.2');
connects_ok('which ssl_verify = no lets pass', 'tls', ssl_ca => "$dir/ca.pem", host => '127.0.0.2', ssl_verify => 'no');
done_testing;
