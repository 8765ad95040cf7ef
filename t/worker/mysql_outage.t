# MySQL is away in the middle of a sale at full speed: every 202 becomes an order, no order fails for it, the gate does not notice.
#
# OUTAGE_SECONDS=60 makes it as long as an outage is (5 by default).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = $ENV{OUTAGE_SECONDS} // 5;
my $stack = CheckoutStack->start;
my ($accepted, $other, $slowest) = (0, 0, 0);

# Sells for so long, in bursts; the time of a burst of 500 is what the gate shows of an outage.
sub sell_for {
    my ($product, $duration) = @_;
    my ($begin, $bursts) = (time, 0);
    while (time - $begin < $duration) {
        my $count = $stack->sell(product => $product, orders => 500);
        $accepted += delete $count->{202} // 0;
        $other += $_ for values %$count;
        $bursts++;
    }
    return $bursts / (time - $begin);
}

$stack->add_product(1, 2_000_000_000);
my $before = sell_for(1, 2);
ok($stack->end_process('KILL', $stack->{env}{MYSQL_PID}), 'MySQL is killed');
my $without = sell_for(1, $seconds);
$stack->start_server('mysql');
my $after = sell_for(1, 1);
diag(sprintf '%d orders accepted; bursts of 500 a second: %.1f before, %.1f without MySQL, %.1f afterwards', $accepted, $before, $without, $after);

is($other, 0, 'every request was answered with 202');
cmp_ok($without, '>', $before / 2, 'the gate is as fast as before');
ok(CheckoutStack::wait_until(sub { $stack->is_drained }, 30 + $seconds), 'the queue drains by itself');
is($stack->live_orders(1), $accepted, 'every 202 is an order');
is($stack->value("SELECT COUNT(*) FROM orders WHERE status = 'failed'"), 0, 'none failed for it');
$stack->laws_hold;
done_testing;
