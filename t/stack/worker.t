# The worker's cases that need the whole stack.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use Test::More;

my $stack = CheckoutStack->start;

# What another program does that changes the stock and dies before it tells Redis.
sub change_stock_in_mysql {
    my ($product, $units) = @_;
    $stack->do('UPDATE products SET stock = stock + ?, supplied_units = supplied_units + ?, version = version + 1 WHERE id = ?',
        $units, $units, $product);
    $stack->do("INSERT INTO stock_movements (product_id, kind, units, stock_after, reason)
                SELECT id, 'adjust', ?, stock, 'test' FROM products WHERE id = ?", $units, $product);
    $stack->{supplied}{$product} += $units;
}

sub redis_stock_becomes {
    my ($product, $units, $name) = @_;
    CheckoutStack::wait_until(sub { $stack->redis_stock($product) == $units }, 5);
    is($stack->redis_stock($product), $units, $name);
}

subtest 'W1: accepted at the gate, too little in MySQL' => sub {
    $stack->add_product(1, 5);
    $stack->end_workers;
    my $answer = $stack->place(1, 3);
    is($answer->{status}, 202);
    is($answer->{data}{status}, 'queued');
    is($stack->redis_stock(1), 2, 'three units are held');
    change_stock_in_mysql(1, -3);
    $stack->start_server('worker');
    $stack->wait_drained;
    my $order = $stack->order_status($answer->{data}{order_identifier});
    is($order->{status}, 'failed', 'the order failed');
    is($order->{failure_code}, 'out_of_stock', 'and says why (W14)');
    is($stack->value("SELECT COUNT(*) FROM orders WHERE status = 'failed' AND failure_code = 'out_of_stock'"), 1);
    is($stack->db_stock(1), 2, 'MySQL stock as it was');
    redis_stock_becomes(1, 2, 'its units are back, once');
};

subtest 'W3: two workers, 10 units, two orders of 1' => sub {
    my @products = 11 .. 20;
    $stack->add_product($_, 10) for @products;
    $stack->start_server('worker');
    is_deeply($stack->sell(product => \@products, orders => 20), { 202 => 20 });
    $stack->wait_drained;
    is_deeply([ map { $stack->db_stock($_) } @products ], [ (8) x 10 ], '8 units left of each');
    is_deeply([ map { $stack->live_orders($_) } @products ], [ (2) x 10 ], 'two orders each');
    redis_stock_becomes($_, 8, "Redis agrees on $_") for @products;
};

subtest 'W3, W17: two workers settle batches of one product in any order' => sub {
    $stack->add_product(21, 1000);
    is_deeply($stack->sell(product => 21, orders => 1500), { 202 => 1000, 400 => 500 });
    $stack->wait_drained;
    is($stack->db_stock(21), 0);
    redis_stock_becomes(21, 0, 'Redis agrees');
};

subtest 'W16: a top-up was committed, its push to Redis is missing, no traffic' => sub {
    $stack->add_product(31, 1);
    $stack->place(31, 1);
    $stack->wait_drained;
    redis_stock_becomes(31, 0, 'the gate is at 0');
    $stack->end_workers;
    change_stock_in_mysql(31, 5);
    is($stack->redis_stock(31), 0, 'still 0 without a worker');
    $stack->start_server('worker');
    redis_stock_becomes(31, 5, 'pushed within seconds of a start');
    change_stock_in_mysql(31, 2);
    redis_stock_becomes(31, 7, 'and by a worker that runs');
};

subtest 'W17: the operator lowers the stock below what is in flight' => sub {
    $stack->add_product(41, 10);
    $stack->end_workers;
    is_deeply($stack->sell(product => 41, orders => 8), { 202 => 8 });
    $stack->checkoutctl_ok('product', 'set', 41, '--stock', 5);
    $stack->{supplied}{41} = 5;
    is($stack->redis_stock(41), 0, 'nothing to sell, not below zero');
    is($stack->place(41, 1)->{status}, 400, 'the gate refuses');
    $stack->start_server('worker');
    $stack->wait_drained;
    is($stack->live_orders(41), 5, 'five orders stand');
    is($stack->value("SELECT COUNT(*) FROM orders WHERE product_id = 41 AND status = 'failed'"), 3, 'three failed');
    redis_stock_becomes(41, 0, 'right at rest');
};

subtest 'W10: SIGTERM under load' => sub {
    $stack->add_product(51, 3000);
    my $worker = $stack->{workers}[-1];
    my $count  = $stack->sell(product => 51, orders => 1000, before_each => sub { kill 'TERM', $worker if $_[0] == 500 });
    is_deeply($count, { 202 => 1000 }, 'the gate does not notice');
    ok(CheckoutStack::wait_until(sub { !kill 0, $worker }, 15), 'it ends');
    $stack->start_server('worker');
    $stack->wait_drained('the next one does the rest');
};

subtest 'a wrong option is refused by name' => sub {
    my $file = "$stack->{dir}/wrong.conf";
    open my $in,  '<', $stack->{env}{WORKER_CONF} or die $!;
    open my $out, '>', $file or die $!;
    print {$out} (<$in>), "batch_odrers = 5\n";
    close $out;
    my $text = qx($stack->{build}/checkout-worker -c $file 2>&1);
    isnt($? >> 8, 0, 'it does not start');
    like($text, qr/wrong\.conf:\d+/, 'the file and line');
    like($text, qr/batch_odrers/, 'the name');
    unlink $file;
};

$stack->laws_hold;
done_testing;
