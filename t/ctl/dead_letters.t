# Dead letters: found, shown, retried, dropped.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutStack;
use JSON::PP;
use Test::More;

my $stack = CheckoutStack->start;
my ($POISON, @letters) = 666;

# MySQL refuses the data of one user's orders, failed ones too, so that not even a tombstone can be written.
sub start_refusing {
    $stack->do("CREATE TRIGGER poison BEFORE INSERT ON orders FOR EACH ROW
                BEGIN IF NEW.user_id = $POISON THEN SIGNAL SQLSTATE '22003' SET MYSQL_ERRNO = 1264, MESSAGE_TEXT = 'poison'; END IF; END");
}
sub stop_refusing { $stack->do('DROP TRIGGER IF EXISTS poison') }
END { $stack && eval { stop_refusing() } }

sub json {
    my ($code, @words) = @_;
    my ($got, $text) = $stack->checkoutctl(@words, '--json');
    is($got, $code, "@words: exit code $code") or diag($text);
    return $code > 1 ? $text : decode_json($text);
}

sub letters { return @{ json(0, 'dlq', 'list')->{letters} } }

subtest 'W9: one poison order among 255 others' => sub {
    $stack->add_product(1, 1000);
    start_refusing();
    $stack->end_workers;
    my $dead = $stack->place(1, 3, $POISON)->{data}{order_identifier};
    is_deeply($stack->sell(product => 1, orders => 255), { 202 => 255 });
    $stack->start_server('worker');
    $stack->wait_drained;
    is($stack->live_orders(1), 255, 'the others became orders');
    @letters = letters();
    is(scalar @letters, 1, 'one dead letter');
    is($letters[0]{units}, 3);
    is($letters[0]{reason}, 'rejected');
    is($stack->redis_stock(1), 1000 - 255 - 3, 'its units stay in flight');
    my $letter = json(0, 'dlq', 'show', $letters[0]{id});
    ok($letter->{reads_as_a_job});
    like($letter->{orders}, qr/^\Q$dead\E /);
    is(json(0, 'order', 'show', $dead)->{dead_letters}[0]{id}, $letters[0]{id}, 'order show finds it');
    is(json(0, 'audit')->{dead_letters}, 1, 'the laws hold with a dead letter');
};

subtest 'retry while the cause is there' => sub {
    json(0, 'dlq', 'retry', $letters[0]{id}, '--dry-run');
    is((letters())[0]{id}, $letters[0]{id}, '--dry-run: still there');
    is(json(0, 'dlq', 'retry', $letters[0]{id})->{orders}, 1);
    CheckoutStack::wait_until(sub { $stack->is_drained });
    my @again = letters();
    is(scalar @again, 1, 'it is back');
    isnt($again[0]{id}, $letters[0]{id}, 'as a new letter');
    is($stack->redis_stock(1), 1000 - 255 - 3, 'units in flight as before');
    json(3, 'dlq', 'retry', $letters[0]{id});
    json(2, 'dlq', 'retry', '-');
    @letters = @again;
};

subtest 'drop while the cause is there' => sub {
    json(2, 'dlq', 'drop', $letters[0]{id});
    my $refused = json(2, 'dlq', 'drop', $letters[0]{id}, '--yes');
    like($refused, qr/poison/, 'no row, no units');
    is(scalar letters(), 1, 'the letter stays');
    is($stack->redis_stock(1), 1000 - 255 - 3, 'and its units');
};

subtest 'retry once the cause is gone' => sub {
    stop_refusing();
    is(json(0, 'dlq', 'retry', '--all')->{letters_retried}, 1);
    $stack->wait_drained;
    is($stack->live_orders(1), 256, 'an order like the others');
    is(scalar letters(), 0);
    is($stack->value("SELECT quantity FROM orders WHERE user_id = $POISON"), 3);
};

subtest 'drop' => sub {
    $stack->add_product(2, 10, '--per-user-limit', 5);
    start_refusing();
    my $dead = $stack->place(2, 4, $POISON)->{data}{order_identifier};
    CheckoutStack::wait_until(sub { $stack->redis->xlen('dead-letter-queue') == 1 });
    stop_refusing();
    my ($letter) = letters();
    is($stack->redis->hget('product:2:buyers', $POISON), 4, 'the buyer holds 4');
    open my $out, '>', "$stack->{dir}/dlq.secret" or die $!;
    print $out "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n";
    close $out;
    local @ENV{qw(CHECKOUT_EVENTS_URL CHECKOUT_EVENTS_SECRET_FILE)} = ('http://127.0.0.1:9/', "$stack->{dir}/dlq.secret");
    my @ids = map { my $pid = fork // die; if (!$pid) { my ($code) = $stack->checkoutctl('dlq', 'drop', $letter->{id}, '--yes'); POSIX::_exit($code) } $pid } 1 .. 4;
    waitpid $_, 0 for @ids;
    is(scalar letters(), 0, 'four at once: gone');
    is($stack->redis_stock(2), 10, 'units back once');
    is($stack->redis->hget('product:2:buyers', $POISON), undef, 'the buyer too');
    is_deeply($stack->primary->selectrow_arrayref('SELECT status, failure_code, quantity FROM orders WHERE order_identifier = ?', undef, $dead),
        [ 'failed', 'dropped', 4 ], 'and the row says why');
    my @events = map { decode_json($_) } @{ $stack->primary->selectcol_arrayref('SELECT body FROM outgoing_events') };
    is_deeply([ map { "$_->{type} $_->{data}{order_identifier} $_->{data}{failure_code}" } @events ], ["order.failed $dead dropped"], 'the shop is told once');
    is($stack->order_status($dead)->{failure_code}, 'dropped', 'the client is told');
};

subtest 'a dead letter whose order was cancelled meanwhile' => sub {
    for my $way ([ 4, 'retry' ], [ 5, 'drop', '--yes' ]) {
        my ($product, $verb, @words) = @$way;
        $stack->add_product($product, 10, '--per-user-limit', 5);
        start_refusing();
        my $dead = $stack->place($product, 4, $POISON)->{data}{order_identifier};
        ok(CheckoutStack::wait_until(sub { $stack->redis->xlen('dead-letter-queue') == 1 }), "$verb: a dead letter");
        stop_refusing();
        json(0, 'order', 'cancel', $dead);
        is($stack->redis->hget("product:$product:buyers", $POISON), undef, 'cancelled: the buyer may buy again');
        is($stack->redis_stock($product), 6, 'its units are in flight as long as the letter is there');
        $stack->place($product, 2, $POISON);
        $stack->wait_drained;
        my ($letter) = letters();
        json(0, 'dlq', $verb, $letter->{id}, @words);
        $stack->wait_drained;
        is(scalar letters(), 0, "$verb: no letter is left");
        is($stack->redis_stock($product), 8, 'its units are back');
        is($stack->db_stock($product), 8);
        is($stack->redis->hget("product:$product:buyers", $POISON), 2, 'the buyer\'s came back once');
        is_deeply([ @{ $stack->order_status($dead) }{qw(status failure_code)} ], [qw(cancelled cancelled_by_operator)], 'cancelled it stays');
        is($stack->value('SELECT CONCAT(status, failure_code) FROM orders WHERE order_identifier = ?', $dead), 'cancelledcancelled_by_operator');
        is(json(0, 'audit')->{dead_letters}, 0, 'the laws hold');
    }
};

subtest 'drop while the gate\'s record says more already' => sub {
    $stack->add_product(6, 10, '--per-user-limit', 5);
    start_refusing();
    my $dead = $stack->place(6, 4, $POISON)->{data}{order_identifier};
    CheckoutStack::wait_until(sub { $stack->redis->xlen('dead-letter-queue') == 1 });
    stop_refusing();
    my ($letter) = letters();
    my ($bucket) = grep { $stack->redis->hget($_, $dead) } $stack->redis->keys('orders:*');
    my $record = $stack->redis->hget($bucket, $dead) =~ s/^queued/paid/r;
    $stack->redis->hset($bucket, $dead, $record);
    json(0, 'dlq', 'drop', $letter->{id}, '--yes');
    is($stack->redis->hget($bucket, $dead), $record, 'an earlier verdict replaces no later one');
    is($stack->redis->hget('product:6:buyers', $POISON), 4, 'and the buyer holds what it says');
    is($stack->redis_stock(6), 10);
    $stack->redis->hset($bucket, $dead, $record =~ s/^paid -/failed dropped/r);
    $stack->redis->hdel('product:6:buyers', $POISON);
};

subtest 'something else wrote into the queue' => sub {
    $stack->add_product(3, 10);
    $stack->redis->xadd('order-processing-queue', '*', 'hello', 'world');
    ok(CheckoutStack::wait_until(sub { $stack->redis->xlen('dead-letter-queue') == 1 }), 'buried');
    my ($letter) = letters();
    ok(!json(0, 'dlq', 'show', $letter->{id})->{reads_as_a_job});
    json(2, 'dlq', 'retry', $letter->{id});
    json(0, 'dlq', 'drop', $letter->{id}, '--yes');
    is(scalar letters(), 0);
    is($stack->redis_stock(3), 10);
};

subtest 'digits that are no number of JSON' => sub {
    my $id = $stack->redis->xadd('dead-letter-queue', '*', nonce => '0993526101726444', product => '007', units => '-', count => '0');
    my $letter = json(0, 'dlq', 'show', $id);
    is_deeply([ @$letter{qw(nonce product units count)} ], [ '0993526101726444', '007', '-', 0 ], 'are texts');
    $stack->redis->xdel('dead-letter-queue', $id);
};

$stack->laws_hold;
done_testing;
