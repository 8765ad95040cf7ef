# nginx.conf.example and the configuration of docs/laravel.md: what no other test of them looks at.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use File::Temp;
use IO::Socket::INET;
use JSON::PP;
use Suspend;
use Test::More;
use Time::HiRes qw(sleep);

my $stack = CheckoutStack->start;
my $nginx = $ENV{TEST_NGINX_BINARY} // '/usr/sbin/nginx';

sub get { my ($path, %headers) = @_; return $stack->request('GET', $path, undef, %headers) }
sub slurp { my ($file) = @_; open my $in, '<', $file or die "$file: $!"; local $/; return scalar <$in> }
sub spill { my ($file, $text) = @_; open my $out, '>', $file or die "$file: $!"; print {$out} $text; close $out }

# The configuration with something in it changed, for as long as the code runs.
sub with_changed_configuration {
    my ($change, $seen, $code) = @_;
    my $file = $stack->{env}{NGINX_CONF};
    my $was  = slurp($file);
    (my $new = $was) =~ s/$change->[0]/$change->[1]/ or die "nothing to change: $change->[0]";
    spill($file, $new);
    kill 'HUP', $stack->{env}{NGINX_PID};
    ok(CheckoutStack::wait_until($seen, 10), 'the configuration is changed') and $code->();
    spill($file, $was);
    kill 'HUP', $stack->{env}{NGINX_PID};
    ok(CheckoutStack::wait_until(sub { !$seen->() }, 10), 'and as it was');
}

subtest 'errors of nginx itself, in both languages' => sub {
    my $said = sub { my ($answer) = @_; my $data = eval { decode_json($answer->{body}) } // {}; return ($data->{message} // '', $data->{code} // '') };
    my $large = '{"x":"' . 'y' x 20_000 . '"}';
    my %json = ('Content-Type' => 'application/json');
    Suspend::stop(@{ $stack->{env} }{qw(MYSQL_REPLICA_PID MYSQL_REPLICA2_PID)});
    my $serial = 0;
    for my $case ([ 413, 'body_too_large', sub { $stack->request('POST', '/api/place-order', $large, %json, @_) } ],
        [ '50[24]', '(?:bad_gateway|gateway_timeout)', sub { get('/api/products?search=' . ++$serial, @_) } ])
    {
        my ($status, $code, $ask) = @$case;
        my $answer = $ask->();
        like($answer->{status}, qr/^$status$/, "status $answer->{status}");
        my ($message, $got) = $said->($answer);
        like($got, qr/^$code$/, $got);
        like($message, qr/\P{ASCII}/, 'in Chinese');
        for my $language ('en', 'en-GB,en;q=0.9', 'EN;q=1') {
            ($message) = $said->($ask->('Accept-Language' => $language));
            like($message, qr/^[A-Z][\x20-\x7e]+\.$/, "$language: $message");
        }
        ($message) = $said->($ask->('Accept-Language' => 'eno'));
        like($message, qr/\P{ASCII}/, 'another language that begins with the same letters');
    }
    Suspend::go_on(@{ $stack->{env} }{qw(MYSQL_REPLICA_PID MYSQL_REPLICA2_PID)});
    ok(CheckoutStack::wait_until(sub { get('/api/products?search=' . ++$serial)->{status} == 200 }, 15), 'and afterwards all is well again');
};

subtest 'R1: who comes back from paying reads from the primary' => sub {
    is(get('/')->{headers}{'set-cookie'}, undef, 'the page as such sets no cookie');
    is(get('/?paid=')->{headers}{'set-cookie'}, undef, 'nor where nothing was paid');
    my ($cookie) = (get('/?paid=1')->{headers}{'set-cookie'} // '') =~ /^(checkout_sticky=\d+)/;
    ok($cookie, 'the page after paying does');
    $stack->add_product(1, 10);
    my $id = $stack->place(1, 1, 77)->{data}{order_identifier};
    $stack->wait_drained;
    $stack->wait_replica($_) for qw(replica replica2);
    $stack->delay_replica($_, 3) for qw(replica replica2);
    $stack->do("UPDATE orders SET status = 'paid' WHERE order_identifier = ?", $id);
    my $status = sub { return decode_json(get('/api/orders?user_id=77', @_)->{body})->{data}[0]{status} };
    is($status->(), 'pending_payment', 'the replicas are late');
    is($status->(Cookie => $cookie), 'paid', 'the cookie leads to the primary');
    $stack->delay_replica($_, 0) for qw(replica replica2);
    ok(CheckoutStack::wait_until(sub { $status->() eq 'paid' }, 10), 'the replicas follow');
};

subtest 'files on a CDN' => sub {
    my $cdn = 'https://cdn.example.com';
    my $html = sub { get('/') };
    with_changed_configuration([ qr/(map \$host \$asset_url \{\s*default) "";/, qq(map \$host \$asset_url { default "$cdn";) ],
        sub { $html->()->{body} =~ /\Q$cdn/ }, sub {
        my @files = $html->()->{body} =~ m{"\Q$cdn\E(/assets/[0-9a-f]{16}/[a-z]+\.(?:js|css|svg))"}g;
        is(@files, 3, 'the page names its files there');
        is(get($_)->{status}, 200, "and this server is their origin: $_") for @files;
        my $policy = $html->()->{headers}{'content-security-policy'};
        like($policy, qr/$_ 'self' \Q$cdn\E;/, "the policy lets them in: $_") for qw(script-src style-src img-src);
    });
    is((() = $html->()->{body} =~ m{"/assets/}g), 3, 'without one they are here');
};

subtest 'the configuration of docs/laravel.md' => sub {
    my $dir  = File::Temp->newdir;
    my $text = slurp("$FindBin::Bin/../../docs/laravel.md");
    my ($main) = $text =~ /```nginx\n(load_module.*?)```/s or return fail('no configuration');
    my ($hook) = $text =~ m{^(    location = /api/webhook/stripe \{.*?^    \})}ms or return fail('no location of the webhook');
    my ($files) = $text =~ m{```nginx\n(location /build/.*?)```}s or return fail('no location of files');
    spill("$dir/mysql", "a password of mysql\n");
    spill("$dir/stripe", "whsec_a-secret-of-stripe-that-is-long\n");
    $main =~ s{modules/ngx_http_checkout_module.so}{$stack->{build}/ngx_http_checkout_module.so};
    $main =~ s{/var/cache/nginx/}{$dir/};
    $hook =~ s{/etc/nginx/secrets/}{$dir/}g;
    $main =~ s/(\n +location \/ \{)/\n$hook\n$files$1/ or die 'no place for them';
    my $temp = join ' ', map { "${_}_temp_path $dir/$_;" } qw(client_body proxy fastcgi uwsgi scgi);
    $main =~ s/http \{/events { } error_log stderr; pid $dir\/pid; http { $temp/;
    spill("$dir/nginx.conf", $main);
    my $said = qx($nginx -t -p $dir -c $dir/nginx.conf -e stderr 2>&1);
    is($?, 0, 'nginx takes it') or diag($said);
};

$stack->laws_hold;
done_testing;
