# A sale through the whole stack: HTTP, nginx, Redis, worker, MySQL and its replica.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use Test::More;

my $stack = CheckoutStack->start;

# 2,000 orders of 1 for a product with 500 units, from 64 connections.
sub sold_exactly {
    my ($product, $count) = @_;
    is_deeply($count, { 202 => 500, 400 => 1500 }, '500 accepted, 1,500 refused');
    $stack->wait_drained;
    is($stack->live_orders($product), 500, '500 orders in MySQL');
    is($stack->value('SELECT COUNT(*) FROM orders WHERE product_id = ?', $product), 500, 'and no failed one');
    is($stack->db_stock($product), 0, 'MySQL stock 0');
    is($stack->redis_stock($product), 0, 'Redis stock 0');
}

subtest '2,000 orders for 500 units' => sub {
    $stack->add_product(1, 500);
    sold_exactly(1, $stack->sell(product => 1, orders => 2000));
};

subtest 'an order can be asked for over HTTP' => sub {
    my $identifier = $stack->{accepted}[0];
    my $order      = $stack->order_status($identifier);
    is($order->{order_identifier}, $identifier);
    is($order->{status}, 'pending_payment', 'committed');
    is_deeply($order->{items}, [ { product_id => 1, quantity => 1, unit_price => '19.80' } ]);
    is($stack->order_status('019aa2f1-79b0-7000-9f3c-0d5b8a1e22c4')->{status}, 'HTTP 404', 'an unknown one');
};

subtest 'the replica gets the orders' => sub {
    ok(CheckoutStack::wait_until(sub { $stack->replica_value('SELECT COUNT(*) FROM orders') == 500 }), '500 orders there');
    is($stack->replica_value('SELECT stock FROM products WHERE id = 1'), 0, 'and the stock');
    is($stack->replica_value('SELECT @@global.read_only'), 1, 'it is read-only');
};

subtest 'W4: kill -9 of the worker in the middle of 2,000 orders, then a new one' => sub {
    $stack->add_product(2, 500);
    my $count = $stack->sell(product => 2, orders => 2000, before_each => sub { $stack->kill_workers if $_[0] == 300 });
    $stack->start_server('worker');
    sold_exactly(2, $count);
};

$stack->laws_hold;
done_testing;
