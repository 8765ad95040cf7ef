# S8: a rebuild is killed before and after each of its outside effects, while workers go on or start in the middle; it is
# given up, or the next one takes over; the laws hold. POINTS=regex runs only some points.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use JSON::PP;
use POSIX ();
use Test::More;

my $stack = CheckoutStack->start;
my $root  = "$FindBin::Bin/../..";
my $points = $ENV{POINTS} // '.';
my $worker;
$stack->end_workers;

# A child of this process, so that its end is seen at once.
sub start_worker {
    $worker = fork // die "fork: $!";
    return if $worker;
    open STDOUT, '>', '/dev/null';
    open STDERR, '>>', "$stack->{dir}/log/worker-rebuild.log";
    { exec "$stack->{build}/checkout-worker", '-c', $stack->{env}{WORKER_CONF} }
    POSIX::_exit(127);
}

sub end_worker {
    return if !$worker;
    kill 'KILL', $worker;
    waitpid $worker, 0;
    undef $worker;
}
END { local $?; end_worker() }

sub empty {
    end_worker();
    $stack->do("DELETE FROM $_") for qw(order_items orders stock_movements payment_events products);
    $stack->redis->flushdb;
    $stack->{$_} = $_ eq 'accepted' ? [] : {} for qw(accepted supplied);
    start_worker();
}

sub effects {
    my %seen;
    return grep { !$seen{$_}++ } map { open my $in, '<', $_ or die "$_: $!"; join('', <$in>) =~ /EFFECT\("(rebuild\.[a-z_.]+)"/g }
        glob "$root/worker/repair/rebuild*.c";
}

sub column { return @{ $stack->primary->selectcol_arrayref(@_) } }

# Orders that were accepted and whose jobs or rows are gone, a product that is gone, a row that was set back, a register
# of another type; and one that simply waits. Product 1 has a limit.
sub lose_data {
    empty();
    $stack->add_product(1, 50, '--per-user-limit', 9);
    $stack->add_product($_, 50) for 2 .. 6;
    $stack->place(1, 2, 7);
    $stack->place(3, 1, 8);
    $stack->place(3, 1, 6);
    CheckoutStack::wait_until(sub { $stack->is_drained });
    end_worker();
    my ($committed) = column('SELECT order_identifier FROM orders WHERE product_id = 1');
    $stack->place(1, 3, 7);
    my $lost = $stack->place(2, 4, 9);
    $stack->place(1, 1, 5);
    my ($entry) = grep { my %f = @{ $_->[1] }; $f{product} == 2 } @{ $stack->redis->xrange('order-processing-queue', '-', '+') };
    $stack->redis->xdel('order-processing-queue', $entry->[0]);
    # MySQL lost the commit of product 1's first order, a failed order of product 3, and the payment of another one.
    $stack->do('DELETE FROM order_items WHERE order_identifier = ?', $committed);
    $stack->do('DELETE FROM orders WHERE order_identifier = ?', $committed);
    $stack->do('UPDATE products SET stock = stock + 2, version = version - 1 WHERE id = 1');
    my ($failed) = column('SELECT order_identifier FROM orders WHERE product_id = 3 AND user_id = 8');
    $stack->do('DELETE FROM order_items WHERE order_identifier = ?', $failed);
    $stack->do('DELETE FROM orders WHERE order_identifier = ?', $failed);
    $stack->do('UPDATE products SET stock = stock + 1 WHERE id = 3');
    $stack->recount;
    my ($bucket) = $stack->redis->keys('orders:*');
    $stack->redis->hset($bucket, $failed, $stack->redis->hget($bucket, $failed) =~ s/^\S+ \S+/failed out_of_stock/r);
    my ($paid) = column('SELECT order_identifier FROM orders WHERE product_id = 3 AND user_id = 6');
    $stack->redis->hset($bucket, $paid, $stack->redis->hget($bucket, $paid) =~ s/^\S+/paid/r);
    $stack->do('DELETE FROM stock_movements WHERE product_id = 4');
    $stack->do('DELETE FROM products WHERE id = 4');
    delete $stack->{supplied}{4};
    $stack->redis->set('product:5:register', 'no hash');
    $stack->redis->set('product:6:stock', 1);
}

sub rebuild_until {
    my ($point) = @_;
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', '/dev/null';
        open STDERR, '>', '/dev/null';
        $ENV{CHECKOUT_FAILPOINT} = $point;
        { exec "$stack->{build}/failpoints/checkoutctl", '-c', $stack->{env}{WORKER_CONF}, 'rebuild' }
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return $? & 127;
}

# What has to be true whatever happened on the way; says what is not. The next rebuild would wait until the lease of the
# one that was killed has been silent for 10 s; here that time has passed.
sub faults {
    my ($how) = @_;
    my @faults;
    if ($how eq 'given up') {
        my ($code, $text) = $stack->checkoutctl('rebuild', '--abort');
        push @faults, "--abort: $text" if $code;
        my @left = grep { defined } $stack->redis->hmget('gate', 'state', 'rebuild');
        push @faults, "the gate after --abort: @left" if @left;
        my $sold = $stack->place(6, 1)->{status};
        push @faults, "after --abort the gate answers $sold" if $sold != 202;
    } else {
        $stack->redis->hdel('workers', 'lease:rebuild');
    }
    my ($code, $text) = $stack->checkoutctl('rebuild');
    push @faults, "rebuild: $text" if $code;
    start_worker() if !$worker;
    CheckoutStack::wait_until(sub { $stack->is_drained }) or push @faults, 'not drained';
    my %want = (1 => 3, 2 => 1, 3 => 1);
    for my $id (sort keys %want) {
        CheckoutStack::wait_until(sub { $stack->live_orders($id) == $want{$id} }, 15) or push @faults, "product $id: " . $stack->live_orders($id) . ' orders';
    }
    my %stock = (1 => 44, 2 => 46, 3 => 49, 5 => 50);
    for my $id (sort keys %stock) {
        CheckoutStack::wait_until(sub { ($stack->redis_stock($id) // -1) == $stock{$id} }, 5) or push @faults, "product $id: gate " . ($stack->redis_stock($id) // 'none');
        $stack->db_stock($id) == $stock{$id} or push @faults, "product $id: MySQL " . $stack->db_stock($id);
    }
    my $failed = join ' ', column(q(SELECT CONCAT(status, ' ', failure_code) FROM orders WHERE product_id = 3 AND user_id = 8));
    push @faults, "the failed order: $failed" if $failed ne 'failed out_of_stock';
    my $paid = sub { join ' ', column('SELECT status FROM orders WHERE product_id = 3 AND user_id = 6') };
    CheckoutStack::wait_until(sub { $paid->() eq 'paid' }, 5) or push @faults, 'the paid order: ' . $paid->();
    my %held = $stack->bought(1);
    push @faults, 'buyers: ' . encode_json(\%held) if ($held{7} // 0) != 5 || ($held{5} // 0) != 1;
    push @faults, 'the product that is gone is open' if ($stack->redis->hget('product:4:register', 'state') // '') ne 'closed';
    my $again = $stack->place(2, 1)->{status};
    push @faults, "the gate answers $again" if $again != 202;
    CheckoutStack::wait_until(sub { $stack->is_drained });
    CheckoutStack::wait_until(sub { ($code, $text) = $stack->checkoutctl('audit'); $code == 0 }, 5) or push @faults, "audit: $text";
    return @faults;
}

my @effects = effects();
cmp_ok(scalar @effects, '>=', 12, scalar(@effects) . ' effects');
# The first page of a scan names the buckets, the second is read from one: records are read, nothing is written yet.
my @pages = ('scan.page.before:2', 'scan.page.after:2');
my @points = map { ("$_.before", "$_.after") } @effects, 'lease.call';
# Each effect before or after, in turn; both with CHECKOUT_FULL=1.
@points = map { $points[ 2 * $_ + $_ % 2 ] } 0 .. $#points / 2 if !$ENV{CHECKOUT_FULL} && $points eq '.';
my $cell = 0;
for my $point (grep { /$points/ } @points, @pages) {
    lose_data();
    my $signal = rebuild_until($point);
    my $company = ++$cell % 2 ? 'a worker started before the next' : 'no worker';
    my $how = $cell % 3 ? 'taken over' : 'given up';
    start_worker() if $cell % 2;
    my @faults = faults($how);
    unshift @faults, "the point was not reached (signal $signal)" if $signal != 9;
    is(join("\n", @faults), '', "killed at $point, $how, $company");
}

end_worker();
$stack->start_server('worker');
$stack->laws_hold;
done_testing;
