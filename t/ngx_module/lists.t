# Lists of orders: in pages up to the hundredth, and by a cursor behind that; what is counted is bounded.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use JSON::PP;
use Test::More;

my $stack = CheckoutStack->start;
my $user  = 4711;
my $ROWS  = 10_050;

# Seven orders of each moment, so that time alone does not order them.
my $digits = join ' UNION ALL ', 'SELECT 0 AS d', map { "SELECT $_" } 1 .. 9;
$stack->add_product(1, 10);
$stack->do("INSERT INTO orders (order_identifier, user_id, status, total_price, product_id, quantity, created_at, updated_at)
    SELECT CONCAT('019aa411-0000-7000-8000-', LPAD((n * 7919) % 100000, 12, '0')), ?, 'failed', 0, 1, 1, '2026-01-01' + INTERVAL n DIV 7 SECOND, '2026-01-01'
      FROM (SELECT a.d + b.d * 10 + c.d * 100 + e.d * 1000 + f.d * 10000 AS n FROM ($digits) a, ($digits) b, ($digits) c, ($digits) e, ($digits) f) numbers WHERE n < ?", $user, $ROWS);
my @all = @{ $stack->primary->selectcol_arrayref('SELECT order_identifier FROM orders WHERE user_id = ? ORDER BY created_at DESC, order_identifier DESC', undef, $user) };
ok($stack->wait_replica($_), "$_ has them") for qw(replica replica2);

sub list {
    my ($arguments) = @_;
    my $answer = $stack->request('GET', "/api/orders?user_id=$user&$arguments");
    my $body = eval { decode_json($answer->{body}) };
    return { status => $answer->{status}, %{ $body // {} } };
}

sub ids { return [ map { $_->{order_identifier} } @{ $_[0]{data} } ] }

subtest 'pages' => sub {
    my $first = list('per_page=100');
    is_deeply(ids($first), [ @all[ 0 .. 99 ] ], 'the newest first');
    is_deeply($first->{meta}, { current_page => 1, per_page => 100, total => 10_000, last_page => 100, total_at_least => JSON::PP::true }, 'counted up to the last page');
    is_deeply(ids(list('per_page=100&page=100')), [ @all[ 9900 .. 9999 ] ], 'the hundredth page');
    my $behind = list('page=101');
    is($behind->{status}, 422, 'none behind it');
    ok($behind->{errors}{page}, 'which is said');
};

subtest 'cursor' => sub {
    my @seen;
    my $cursor = '';
    for (1 .. 200) {
        my $page = list("per_page=100&cursor=$cursor");
        last if !@{ $page->{data} // [] };
        push @seen, @{ ids($page) };
        $cursor = $page->{data}[-1]{cursor};
    }
    is(scalar @seen, $ROWS, 'all of them');
    is_deeply(\@seen, \@all, 'in order, none twice');
    my $last = list("cursor=$cursor");
    is_deeply($last->{meta}, { current_page => 1, per_page => 20, total => 0, last_page => 1, total_at_least => JSON::PP::false }, 'nothing follows the last one');
    is(list("cursor=$_")->{status}, 422, "no cursor: $_") for 'x', '12', "1_$all[0]x", "123456789012345_$all[0]";
};

$stack->do('DELETE FROM orders WHERE user_id = ?', $user);
done_testing;
