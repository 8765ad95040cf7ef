# kill -9 at random moments. The seed is printed; SEED=N repeats a run, ROUNDS=N makes it longer.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use List::Util qw(sum0);
use Test::More;
use Time::HiRes qw(sleep);

my $seed   = $ENV{SEED}   // time ^ $$;
my $rounds = $ENV{ROUNDS} // 12;
srand $seed;
note "SEED=$seed ROUNDS=$rounds";

my $stack = CheckoutStack->start;

# Kills the worker after a random time, again and again, until the queue is drained.
sub kill_until_drained {
    my $kills = 0;
    until ($stack->is_drained || $kills == 20) {
        sleep rand 0.08;
        $stack->kill_workers;
        $stack->start_server('worker');
        $kills++;
    }
    return $kills;
}

subtest 'W4: the worker is killed at random' => sub {
    my $kills = 0;
    for my $round (1 .. $rounds) {
        my $units = 50 + int rand 150;
        my $kill  = int rand 300;
        $stack->add_product($round, $units);
        my $count = $stack->sell(product => $round, orders => 300, before_each => sub { $stack->kill_workers if $_[0] == $kill });
        $stack->start_server('worker');
        $kills += 1 + kill_until_drained();
        $stack->wait_drained("round $round: drained");
        is($count->{202}, $units, "round $round: accepted what there was");
        is($stack->live_orders($round), $units, "round $round: one order each");
        is($stack->db_stock($round), 0, "round $round: MySQL stock 0");
    }
    note "$kills kills";
};

# Master and workers at once, as a power cut does it.
sub kill_nginx {
    my $master  = $stack->{env}{NGINX_PID};
    my @workers = split ' ', qx(ps -o pid= --ppid $master);
    kill 'KILL', $master, @workers;
    CheckoutStack::wait_until(sub { !grep { kill 0, $_ } $master, @workers });
}

subtest 'G6: nginx is killed under load' => sub {
    for my $product (101 .. 103) {
        my $kill = 200 + int rand 1000;
        $stack->add_product($product, 3000);
        my $count = $stack->sell(product => $product, orders => 2000, before_each => sub { kill_nginx() if $_[0] == $kill });
        cmp_ok($count->{0}, '>', 0, "$product: some requests got no answer");
        $stack->start_server('nginx');
        is($stack->place($product, 1)->{status}, 202, "$product: sells again");
        $stack->wait_drained;
        my $orders = $stack->live_orders($product);
        cmp_ok($orders, '>=', $count->{202} // 0, "$product: every accepted order is there");
        is($stack->redis_stock($product), 3000 - $orders, "$product: deducted exactly what became an order");
    }
    my $records = sum0 map { $stack->redis->hlen($_) } $stack->redis->keys('orders:*');
    is($records, $stack->value('SELECT COUNT(*) FROM orders'), 'records and orders are as many');
};

$stack->laws_hold;
done_testing;
