package TestCertificates;

# Certificates for a test of TLS, in a folder:
#
#     TestCertificates::make($dir);     # ca.pem; server.pem and client.pem with their .key, signed by it, for 127.0.0.1
#                                       # and localhost; other.pem, an authority that signed nothing
use strict;
use warnings;

sub run_quietly { my ($dir, @words) = @_; system("@words > $dir/out 2>&1") == 0 or die "@words: " . qx(cat $dir/out) }

sub make {
    my ($dir) = @_;
    for my $authority ('ca', 'other') {
        run_quietly($dir, "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout $dir/$authority.key"
            . " -out $dir/$authority.pem -subj /CN=$authority");
    }
    for my $name ('server', 'client') {
        open my $out, '>', "$dir/$name.ext" or die $!;
        print {$out} "subjectAltName=IP:127.0.0.1,DNS:localhost\n";
        close $out;
        run_quietly($dir, "openssl req -newkey rsa:2048 -nodes -keyout $dir/$name.key -out $dir/$name.csr"
            . " -subj /CN=$name");
        run_quietly($dir, "openssl x509 -req -in $dir/$name.csr -CA $dir/ca.pem -CAkey $dir/ca.key -CAcreateserial"
            . " -days 2 -extfile $dir/$name.ext -out $dir/$name.pem");
    }
}

1;
