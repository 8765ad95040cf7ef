package WorkerQueue;

# A queue filled by the gate's own script, and how fast one worker drains it: what bench/worker and bench/lifecycle
# share.
#
#     my $queue = WorkerQueue->new($stack, products_stock => 1_000_000_000, entry_orders => 32);
#     $queue->empty(1);                           # one product, nothing else
#     my $count = $queue->fill(1, 32, 40_000);    # products, orders in an entry, orders
#     my $pid = $queue->start_worker;
#     my $rate = $queue->rate($count);            # orders per second

use strict;
use warnings;
use CheckoutRedis;
use POSIX qw(strftime);
use Time::HiRes qw(sleep time);

sub new {
    my ($class, $stack, %o) = @_;
    return bless { stack => $stack, serial => 0, %o }, $class;
}

sub empty {
    my ($self, $products) = @_;
    my ($stack, $stock) = @$self{qw(stack products_stock)};
    $stack->do('SET SESSION foreign_key_checks = 0');
    $stack->do("TRUNCATE $_") for qw(order_items orders stock_movements payment_events outgoing_events products);
    $stack->do('SET SESSION foreign_key_checks = 1');
    for (my $first = 1; $first <= $products; $first += 500) {
        my $last = $first + 499 < $products ? $first + 499 : $products;
        $stack->do('INSERT INTO products (id, name, price, stock, live_units, supplied_units, counted_at) VALUES '
            . join ',', map {"($_, 'Product', 19.80, $stock, 0, $stock, NOW(3))"} $first .. $last);
        $stack->do('INSERT INTO stock_movements (product_id, kind, units, stock_after) VALUES ' . join ',',
            map {"($_, 'load', $stock, $stock)"} $first .. $last);
    }
    $stack->redis->flushdb;
}

# One call of the gate's script: groups of [product, orders].
sub place {
    my ($self, $sha, $day, @groups) = @_;
    my @keys = ('order-processing-queue', 'gate', "orders:$day", 'orders:none');
    my @args = (2_000_000_000, $day);
    for my $group (@groups) {
        my ($product, $n) = @$group;
        push @keys, CheckoutRedis::product_keys($product), "product:$product:buyers";
        push @args, $product, sprintf('%016x', ++$self->{serial}), $n, $n, 1, 0;
        for (1 .. $n) {
            my $id = ++$self->{serial};
            push @args, sprintf('%08x-%04x-7000-8000-%012x', time, $id & 0xffff, $id),
                sprintf('queued - %d 1 %d %d', $product, $id, time * 1000);
        }
    }
    $self->{stack}->redis->evalsha($sha, scalar @keys, @keys, @args, sub { });
}

sub fill {
    my ($self, $products, $entry_orders, $count) = @_;
    my $redis = $self->{stack}->redis;
    my $day = strftime('%Y-%m-%d', gmtime);
    my $sha = $redis->script_load(CheckoutRedis::source('place_order.lua'));
    my ($placed, $product) = (0, 0);
    while ($placed < $count) {
        my $groups = $entry_orders == 1 && $products > 1 ? $self->{entry_orders} : 1;
        $self->place($sha, $day, map { [ $product++ % $products + 1, $entry_orders ] } 1 .. $groups);
        $placed += $groups * $entry_orders;
        $redis->wait_all_responses if $placed % 4096 == 0;
    }
    $redis->wait_all_responses;
    my $queued = $redis->hget('gate', 'queued') // 0;
    die "the gate took $queued of $placed orders\n" if $queued != $placed;
    return $placed;
}

# What the environment says of CHECKOUT_… counts.
sub start_worker {
    my ($self) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', '/dev/null';
        { exec "$self->{stack}{build}/checkout-worker", '-c', $self->{stack}{env}{WORKER_CONF} }
        POSIX::_exit(127);
    }
    return $pid;
}

# Orders per second, from the first twentieth of the queue to the last.
sub rate {
    my ($self, $count) = @_;
    my ($from, $to, $deadline) = (undef, undef, time + 120);
    while (!$to) {
        my $left = $self->{stack}->redis->hget('gate', 'queued') // 0;
        $from = [ time, $left ] if !$from && $left < $count * 0.95;
        $to = [ time, $left ] if $from && $left < $count * 0.05;
        die "the queue does not drain\n" if time > $deadline;
        sleep 0.005;
    }
    return ($from->[1] - $to->[1]) / ($to->[0] - $from->[0]);
}

1;
