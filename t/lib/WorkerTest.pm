package WorkerTest;

# Workers under test: jobs put into the queue by the gate's own script, workers started, killed and ended by hand.
#
#     my $test = WorkerTest->start;                       # over CheckoutStack, without its worker
#     $test->load(1, 20, per_user_limit => 5);            # product, units
#     $test->place([ 1 => [ $id, 2, 7 ], … ], …);         # entries: product => [identifier, quantity, user] …
#     my $pid = $test->worker(name => 'a', failpoint => 'order.commit.after');
#     $test->wait_drained;
#     $test->laws_hold('after all that');                 # one test; says what is violated

use strict;
use warnings;
use CheckoutRedis ();
use CheckoutStack;
use Digest::SHA qw(sha1_hex);
use List::Util qw(max sum0);
use Patience ();
use POSIX qw(strftime WNOHANG);
use Test::More;
use Time::HiRes qw(sleep time);

my %scripts;

sub start {
    my ($class) = @_;
    my $stack = CheckoutStack->start;
    $stack->end_workers;
    my $self = bless { stack => $stack, redis => $stack->redis, owner => $$, workers => {}, supplied => {} }, $class;
    $self->{log} = "$stack->{dir}/log/worker-test.log";
    $self->durable(0);
    return $self;
}

# Commits need not reach the disk where no power cut is tested.
sub durable {
    my ($self, $on) = @_;
    $self->{stack}->do('SET GLOBAL innodb_flush_log_at_trx_commit = ' . ($on ? 1 : 2));
    $self->{stack}->do('SET GLOBAL sync_binlog = ' . ($on ? 1 : 0));
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $@);
    $self->end_worker($_, 'KILL') for keys %{ $self->{workers} };
    eval { $self->durable(1) };
}

sub stack { return $_[0]{stack} }
sub redis { return $_[0]{redis} }
sub sql   { my ($self, @statement) = @_; return $self->{stack}->do(@statement) }
sub value { my ($self, @statement) = @_; return $self->{stack}->value(@statement) }

# Everything away, and no worker left.
sub clear {
    my ($self) = @_;
    $self->end_worker($_, 'KILL') for keys %{ $self->{workers} };
    $self->sql("DELETE FROM $_")
        for qw(order_items orders stock_movements products payment_events outgoing_events gateway_calls gate_notices);
    $self->redis->flushdb;
    $self->{supplied} = {};
    $self->{held} = {};
    $self->{dead_letters} = 0;
}


# --- the gate --------------------------------------------------------------------------------------------------

sub script {
    my ($self, $name, $keys, $args) = @_;
    my $script = $scripts{$name} //= do {
        my $source = CheckoutRedis::source("$name.lua");
        [ sha1_hex($source), $source ];
    };
    my @words = (scalar @$keys, @$keys, @$args);
    my $reply = eval { $self->redis->evalsha($script->[0], @words) };
    return $reply if !$@;
    die $@ if $@ !~ /NOSCRIPT/;
    return $self->redis->eval($script->[1], @words);
}

# A product in MySQL, booked, and at the gate. Options: price, per_user_limit, uncounted (workers count its buyers).
sub load {
    my ($self, $id, $units, %o) = @_;
    $self->sql('INSERT INTO products (id, name, price, stock, per_user_limit, live_units, supplied_units, counted_at)
                VALUES (?, ?, ?, ?, ?, 0, 0, NOW(3))', $id,
        "Product $id",
        $o{price} // '19.80', $units, $o{per_user_limit});
    $self->book($id, 'load', $units);
    $self->push_product($id, 1);
    $self->mark_counted($id) if $o{per_user_limit} && !$o{uncounted};
}

# A connection of its own that holds the lock of a product.
sub lock_product {
    my ($self, $id) = @_;
    my $db = $self->stack->connect_to($self->stack->{env}{MYSQL_SOCKET});
    $db->begin_work;
    $db->selectrow_array('SELECT stock FROM products WHERE id = ? FOR UPDATE', undef, $id);
    return $db;
}

# The buyers of a new product are counted: there are none.
sub mark_counted {
    my ($self, $id) = @_;
    $self->redis->hset("product:$id:register", 'buyers', 'complete');
    $self->redis->hset("product:$id:buyers", '0', 0);
}

sub push_product {
    my ($self, $id, $create) = @_;
    my ($version, $stock, $limit) = $self->stack->primary->selectrow_array(
        'SELECT version, stock, COALESCE(per_user_limit, 0) FROM products WHERE id = ?', undef, $id);
    my @words = ($version, $stock, 0, 0, $limit, 0, 'open');
    return $self->script('push', [ CheckoutRedis::push_keys($id) ], \@words) if !$create;
    $self->script('load', [ CheckoutRedis::load_keys($id) ], [ 'create', 'checkout-worker', $id, @words, '-' ]);
}

sub book {
    my ($self, $id, $kind, $units) = @_;
    $self->sql('INSERT INTO stock_movements (product_id, kind, units, stock_after, reason)
                SELECT id, ?, ?, stock, ? FROM products WHERE id = ?', $kind, $units, 'test', $id);
    $self->sql('UPDATE products SET supplied_units = supplied_units + ? WHERE id = ?', $units, $id);
    $self->{supplied}{$id} += $units;
}

# The stock changes in MySQL as checkoutctl does it, but is not pushed to the gate.
sub change_stock {
    my ($self, $id, $units) = @_;
    $self->sql('UPDATE products SET stock = stock + ?, version = version + 1 WHERE id = ?', $units, $id);
    $self->book($id, 'adjust', $units);
}

# A UUIDv7.
sub identifier {
    my $time = sprintf '%012x', time * 1000;
    return sprintf '%s-%s-7000-%04x-%06x%06x', substr($time, 0, 8), substr($time, 8), 0x8000 | int rand 0x4000,
        int rand 2**24, int rand 2**24;
}

sub today { return strftime('%Y-%m-%d', gmtime) }

# One call of the gate for each entry; returns its verdicts.
sub place {
    my ($self, @entries) = @_;
    my @verdicts;
    for my $entry (@entries) {
        my ($product, @orders) = @$entry;
        my ($units, $largest, @words) = (0, 0);
        for my $order (@orders) {
            my ($id, $quantity, $user) = @$order;
            $units += $quantity;
            $largest = $quantity if $quantity > $largest;
            push @words, $id, "queued - $product $quantity $user " . int(time * 1000);
        }
        my $reply = $self->script('place_order',
            [ 'order-processing-queue', 'gate', 'orders:' . today(),
                'orders:' . strftime('%Y-%m-%d', gmtime(time - 86400)),
              CheckoutRedis::product_keys($product), "product:$product:buyers" ],
            [ 1_000_000, today(), $product, sprintf('%08x%08x', int rand 2**32, int rand 2**32), scalar @orders, $units,
                $largest, 0, @words ]);
        push @verdicts, $reply->[1][1];
    }
    return @verdicts;
}

# One entry with as many new orders of 1 as asked for; returns their identifiers.
sub place_new {
    my ($self, $product, $orders, $user) = @_;
    my @ids = map { identifier() } 1 .. $orders;
    my ($verdict) = $self->place([ $product, map { [ $ids[$_], 1, $user // $_ + 1 ] } 0 .. $#ids ]);
    die "not accepted: $verdict\n" if $verdict ne 'queued';
    return @ids;
}

# Units that stay in flight as a dead letter: what is released twice is missing there afterwards.
sub hold {
    my ($self, $product, $units, $user) = @_;
    my $id = identifier();
    $self->place([ $product, [ $id, $units, $user ] ]);
    my ($entry) = @{ $self->redis->xrevrange('order-processing-queue', '+', '-', 'COUNT', 1) };
    $self->redis->xadd('dead-letter-queue', '*', @{ $entry->[1] });
    $self->redis->xdel('order-processing-queue', $entry->[0]);
    $self->redis->hdel('orders:' . today(), $id);
    $self->redis->hincrby('gate', 'queued', -1);
    $self->{held}{$product}{$user} += $units;
    $self->{dead_letters}++;
}

sub held_of {
    my ($self, $product) = @_;
    return sum0(values %{ $self->{held}{$product} // {} });
}

sub stock_at_gate { return $_[0]->redis->get("product:$_[1]:stock") }
sub in_flight { return $_[0]->redis->hget("product:$_[1]:register", 'in_flight') }

sub record {
    my ($self, $id) = @_;
    return $self->redis->hget('orders:' . today(), $id) // '';
}

# "status failure_code" of the row.
sub row {
    my ($self, $id) = @_;
    return $self->value("SELECT CONCAT_WS(' ', status, failure_code) FROM orders WHERE order_identifier = ?", $id)
        // 'no row';
}


# --- workers ---------------------------------------------------------------------------------------------------

# Options: name, threads, failpoint (then with the build that has them), env => { CHECKOUT_… => value }, build,
# wrap => [command].
sub worker {
    my ($self, %o) = @_;
    my $build = $o{build} // $self->stack->{build};
    my %env = (
        CHECKOUT_WORKER_DEAD_AFTER => '1s', CHECKOUT_WORKER_RECONCILE_INTERVAL => '100ms',
        CHECKOUT_WORKER_METRICS_ADDRESS => '',
        CHECKOUT_WORKER_LAWS_INTERVAL => '100ms', CHECKOUT_LOG_FILE => $self->{log}, %{ $o{env} // {} },
    );
    $env{CHECKOUT_WORKER_NAME} = $o{name} if $o{name};
    $env{CHECKOUT_WORKER_THREADS} = $o{threads} if $o{threads};
    $env{CHECKOUT_FAILPOINT} = $o{failpoint} if $o{failpoint};
    $build .= '/failpoints' if $o{failpoint};
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        %ENV = (%ENV, %env);
        open STDERR, '>>', "$self->{log}.stderr";
        open STDOUT, '>&', \*STDERR;
        { exec @{ $o{wrap} // [] }, "$build/checkout-worker", '-c', $self->stack->{env}{WORKER_CONF} };
        POSIX::_exit(127);
    }
    $self->{workers}{$pid} = 1;
    return $pid;
}

# Has it ended? Then its wait status is in {status}.
sub has_ended {
    my ($self, $pid) = @_;
    return 1 if !$self->{workers}{$pid};
    return 0 if waitpid($pid, WNOHANG) != $pid;
    $self->{status} = $?;
    delete $self->{workers}{$pid};
    return 1;
}

# Returns the exit code, or -9 and the like for a signal.
sub end_worker {
    my ($self, $pid, $signal, $seconds) = @_;
    return if !$self->{workers}{$pid};
    kill $signal // 'TERM', $pid;
    $self->wait_until(sub { $self->has_ended($pid) }, $seconds // 30) or die "worker $pid does not end\n";
    return $self->{status} & 127 ? -($self->{status} & 127) : $self->{status} >> 8;
}

sub wait_until {
    my ($self, $condition, $seconds) = @_;
    return Patience::wait_until($seconds // 20, $condition, 0.003);
}

sub wait_drained {
    my ($self, $seconds) = @_;
    return $self->wait_until(sub { $self->redis->xlen('order-processing-queue') == 0 }, $seconds);
}

sub log_holds {
    my ($self, $pattern) = @_;
    open my $in, '<', $self->{log} or return 0;
    return scalar grep { $_ =~ $pattern } <$in>;
}

sub forget_log { my ($self) = @_; truncate $_, 0 for grep { -e } $self->{log}, "$self->{log}.stderr" }


# --- the laws --------------------------------------------------------------------------------------------------

# What is wrong now, as text; empty: nothing.
sub violations {
    my ($self) = @_;
    my $db = $self->stack->primary;
    my $redis = $self->redis;
    my %live = map { $_->[0] => $_->[1] } @{ $db->selectall_arrayref(
        "SELECT i.product_id, SUM(i.quantity) FROM order_items i JOIN orders o USING (order_identifier)
          WHERE o.status IN ('pending_payment', 'paid', 'completed') GROUP BY i.product_id") };
    my @wrong;
    for my $row (@{ $db->selectall_arrayref('SELECT id, stock, COALESCE(per_user_limit, 0) FROM products') }) {
        my ($id, $stock, $limit) = @$row;
        push @wrong, "law 1: product $id: stock $stock + live " . ($live{$id} // 0) . " is not $self->{supplied}{$id}"
            if $stock + ($live{$id} // 0) != $self->{supplied}{$id} || $stock < 0;
        my $gate = $self->stock_at_gate($id) // 'none';
        my $held = $self->held_of($id);
        push @wrong, "law 5: product $id: MySQL $stock, in flight $held, Redis $gate"
            if $gate ne max(0, $stock - $held);
        my $in_flight = $self->in_flight($id) // 'unknown';
        push @wrong, "product $id: in flight $in_flight" if $in_flight ne $held;
        push @wrong, $self->wrong_buyers($id) if $limit;
    }
    push @wrong, $self->stack->wrong_counters;
    my $notices = $self->value('SELECT COUNT(*) FROM gate_notices');
    push @wrong, "$notices notices wait" if $notices;
    my $queued = $redis->hget('gate', 'queued') // 0;
    push @wrong, "$queued orders queued by the gate's count" if $queued != 0;
    my $letters = $redis->xlen('dead-letter-queue');
    push @wrong, "$letters dead letters" if $letters != ($self->{dead_letters} // 0);
    push @wrong, $self->wrong_records;
    return join "\n", @wrong;
}

# Law 5 for the units of each buyer: those in live orders, and in flight.
sub wrong_buyers {
    my ($self, $id) = @_;
    my %bought = $self->stack->bought($id);
    my $state = $self->redis->hget("product:$id:register", 'buyers') // 'none';
    return "buyers of $id: $state" if $state ne 'complete';
    my %has = map { $_->[0] => $_->[1] } @{ $self->stack->primary->selectall_arrayref(
        "SELECT user_id, SUM(quantity) FROM orders WHERE product_id = ?"
            . " AND status IN ('pending_payment', 'paid', 'completed') GROUP BY user_id", undef, $id) };
    $has{$_} += $self->{held}{$id}{$_} for keys %{ $self->{held}{$id} // {} };
    my ($one, $other) = map { my $hash = $_; join ' ', map { "$_=$hash->{$_}" } sort keys %$hash } \%bought, \%has;
    return $one eq $other ? () : "buyers of $id: at the gate $one, in MySQL $other";
}

# Every record at the gate has its row (laws 2 and 3), with the same verdict.
sub wrong_records {
    my ($self) = @_;
    my %records = map { @{ $self->redis->hgetall($_) } } $self->redis->keys('orders:*');
    my %rows = map { $_->[0] => $_->[1] }
        @{ $self->stack->primary->selectall_arrayref('SELECT order_identifier, status FROM orders') };
    my @wrong;
    for my $id (sort keys %records) {
        my ($status) = split ' ', $records{$id};
        push @wrong, "law 3: no row of $id" if !$rows{$id};
        push @wrong, "$id: $status at the gate, $rows{$id} in MySQL"
            if $rows{$id} && $rows{$id} ne $status;
    }
    return @wrong;
}

# One test: waits a little until the laws hold, then asks the audit as well. A plain worker does not abort where a check
# of its own fails, so its log must hold none. Options: seconds, checks_fail (the test makes them fail).
sub laws_hold {
    my ($self, $name, %o) = @_;
    my $wrong = '';
    $self->wait_until(sub { ($wrong = $self->violations) eq '' }, $o{seconds} // 8);
    if ($wrong eq '') {
        my ($code, $text);
        $self->wait_until(sub { ($code, $text) = $self->stack->checkoutctl('audit'); $code == 0 }, 3);
        $wrong = $text if $code != 0;
    }
    $wrong .= "\na check of the worker failed: $self->{log}" if !$o{checks_fail} && $self->log_holds(qr/event=invariant_failed/);
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return ok($wrong eq '', $name) || do { diag($wrong); 0 };
}

1;
