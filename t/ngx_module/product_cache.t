# Product reads through nginx's own cache, and the demo's files, as nginx.conf.example has them.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience qw(patient);
use CheckoutStack;
use JSON::PP;
use List::Util qw(sum0);
use Suspend;
use Test::More;
use Time::HiRes qw(sleep time);

my $stack = CheckoutStack->start;
my $page  = 0;

# Another key for each subtest, so that none finds what another one left. Products are few: page 1 holds them all.
sub fresh { return '/api/products?per_page=' . (100 - ++$page) }

sub get { my ($path, %headers) = @_; return $stack->request('GET', $path, undef, %headers) }

sub cache_of { return $_[0]{headers}{'x-cache-status'} // '' }

# Statements that the replicas have carried out for nginx.
sub statements {
    return sum0 map { ($stack->administrator_of($_)->selectrow_array("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'"))[1] } qw(replica replica2);
}

# Statements of everybody on the primary.
sub primary_statements { return ($stack->administrator_of('mysql')->selectrow_array("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'"))[1] }

$stack->add_product(1, 10);
$stack->add_product(2, 20);
ok($stack->wait_replica($_), "$_ has the products") for qw(replica replica2);

subtest 'a page is read once and then comes from the cache' => sub {
    my $path  = fresh();
    my $first = get($path);
    is($first->{status}, 200);
    is(cache_of($first), 'MISS');
    is_deeply([ map { $_->{id} } @{ decode_json($first->{body})->{data} } ], [ 1, 2 ], 'the products');
    my $before = statements();
    my $second = get($path);
    is(cache_of($second), 'HIT');
    is($second->{body}, $first->{body}, 'the same text');
    is(statements(), $before, 'and MySQL was not asked');
    is($second->{headers}{'cache-control'}, 'public, max-age=1', 'others may keep it for a second');
};

subtest 'what changed is there after its second' => sub {
    my $path = fresh();
    get($path);
    $stack->checkoutctl_ok('product', 'set', 1, '--name', 'New name');
    ok(CheckoutStack::wait_until(sub { get($path)->{body} =~ /New name/ }, 5), 'the new name');
};

subtest 'ETag: 304 through the cache' => sub {
    my $path = fresh();
    my $etag = get($path)->{headers}{etag};
    ok($etag, 'an ETag');
    my $same = get($path, 'If-None-Match' => $etag);
    is($same->{status}, 304, 'from the cache');
    is($same->{body}, '', 'no body');
    is($same->{headers}{etag}, $etag);
    is(get($path, 'If-None-Match' => '"another"')->{status}, 200, 'another ETag');
    my $detail = get('/api/products/1');
    is(get('/api/products/1', 'If-None-Match' => $detail->{headers}{etag})->{status}, 304, 'of one product');
};

subtest 'only what the answer depends on is part of the key' => sub {
    my $path = fresh();
    get($path);
    is(cache_of(get("$path&utm=$_")), 'HIT', "another argument, $_") for 1 .. 3;
    is(cache_of(get("$path&search=name")), 'MISS', 'another search');
    is(cache_of(get("$path&page=2")), 'MISS', 'another page');
    get('/api/products/2');
    is(cache_of(get('/api/products/2?x=1')), 'HIT', 'arguments of one product');
    is(cache_of(get('/api/products/%32')), 'HIT', 'another spelling of its number');
};

subtest 'only good answers to GET and HEAD are kept' => sub {
    for my $path ('/api/products/99', '/api/products/x', '/api/products?page=0') {
        my $status = get($path)->{status};
        cmp_ok($status, '>=', 400, "$path: $status");
        unlike(cache_of(get($path)), qr/HIT/, 'not kept');
    }
    my $path = fresh();
    is($stack->request('POST', $path, '{}')->{status}, 405, 'POST is refused');
    my $head = $stack->request('HEAD', $path);
    is($head->{status}, 200);
    is($head->{body}, '', 'HEAD has no body');
    is(cache_of(get($path)), 'HIT', 'and fills the cache with the whole');
    isnt(get($path)->{body}, '', 'GET has one');
};

subtest 'who says that he has just bought is read to from cache and replicas all the same' => sub {
    my $path   = fresh();
    my $answer = $stack->place(1, 1);
    is($answer->{status}, 202);
    my ($cookie) = $answer->{headers}{'set-cookie'} =~ /^(checkout_sticky=\d+)/ or return fail('no cookie');
    my %header = ('Checkout-Sticky' => $answer->{headers}{'checkout-sticky'});
    $stack->wait_drained;
    my $before = primary_statements();
    is(cache_of(get($path, Cookie => $cookie)), 'MISS');
    is(cache_of(get($path, %header)), 'HIT');
    get("/api/products/$_", %header, Cookie => $cookie) for 1001 .. 1300;
    cmp_ok(primary_statements() - $before, '<', 100, 'for 300 reads that no cache answers the primary is not asked');
};

subtest 'a path that nginx itself refuses' => sub {
    for my $path ('/api/products/%00', '/api/orders/%00') {
        my $answer = get($path);
        is($answer->{status}, 400, $path);
        is(eval { decode_json($answer->{body})->{code} }, 'bad_request', 'in the form of the others');
    }
    my $answer = $stack->place(1, 11);
    is($answer->{status}, 400);
    is($answer->{data}{code}, 'out_of_stock', 'the gate says itself why it refuses');
    is($stack->request('POST', '/api/webhook/payment', '{}')->{body} =~ /missing_signature/, 1, 'so do webhooks');
};

subtest 'many at once ask MySQL once' => sub {
    my $path    = fresh();
    my $before  = statements();
    my @answers = HttpBurst::burst(port => $stack->{port}, connections => 50, requests => [ map { [ 'GET', $path ] } 1 .. 50 ]);
    is((grep { $_->{status} == 200 } @answers), 50, '50 answers');
    # A page is two statements: its rows, and how many there are.
    cmp_ok(statements() - $before, '<=', 4, 'one read');
};

subtest 'R2: while no replica answers, what was read last is served' => sub {
    my $path = fresh();
    my $good = get($path);
    Suspend::stop(@{ $stack->{env} }{qw(MYSQL_REPLICA_PID MYSQL_REPLICA2_PID)});
    sleep 1.3;    # older than its validity now
    my $begin = time;
    my $stale = get($path);
    is($stale->{status}, 200);
    is($stale->{body}, $good->{body}, 'the old text');
    cmp_ok(time - $begin, '<', patient(0.5), 'at once');
    my $unknown = get(fresh());
    like($unknown->{status}, qr/^50[234]$/, "what was never read: $unknown->{status}");
    Suspend::go_on(@{ $stack->{env} }{qw(MYSQL_REPLICA_PID MYSQL_REPLICA2_PID)});
    ok(CheckoutStack::wait_until(sub { get('/api/products?search=' . ++$page)->{status} == 200 }, 15), 'and afterwards all is well again');
};

subtest 'live stock beside the cached product' => sub {
    my $path = fresh();
    $stack->add_product(3, 5);
    my $before = decode_json(get('/api/get-redis-stock/3')->{body})->{redis_stock};
    get($path);
    is($stack->place(3, 2)->{status}, 202);
    is(decode_json(get('/api/get-redis-stock/3')->{body})->{redis_stock}, $before - 2, 'is what the gate may still sell');
    is(get('/api/get-redis-stock/3')->{headers}{'cache-control'}, 'no-store', 'and nobody keeps it');
};

subtest 'the page and its files, for a CDN' => sub {
    my $html = get('/');
    is($html->{status}, 200);
    is($html->{headers}{'cache-control'}, 'no-cache', 'the page is asked for again each time');
    like($html->{headers}{'content-security-policy'}, qr/default-src 'none'/, 'it may load nothing from elsewhere');
    my @files = $html->{body} =~ m{"(/assets/[0-9a-f]{16}/[a-z]+\.(?:js|css|svg))"}g;
    is(@files, 3, 'it names its files with their version');
    for my $file (@files) {
        my $answer = get($file);
        is($answer->{status}, 200, $file);
        is($answer->{headers}{'cache-control'}, 'public, max-age=31536000, immutable', 'kept for a year');
        is($answer->{headers}{'access-control-allow-origin'}, '*', 'for pages from everywhere');
    }
    my $old = get('/assets/0123456789abcdef/shop.js');
    is($old->{status}, 404, 'another version is nowhere');
    is($old->{headers}{'cache-control'}, 'no-store', 'and that is not kept');
    is(get('/assets/shop.js')->{status}, 404, 'no version');
    my ($folder) = $files[0] =~ m{(.*/)};
    like(get("$folder$_")->{status}, qr/^4/, "nothing beside them: $_") for '../../../README.md', '..%2f..%2fREADME.md', '%2e%2e/index.html';
};

$stack->laws_hold;
done_testing;
