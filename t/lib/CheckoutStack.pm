package CheckoutStack;

# The whole stack for tests: nginx, Redis, primary, two replicas, worker.
#
#     my $stack = CheckoutStack->start;      # empty: no product, no order, one worker
#     $stack->add_product(1, 500);           # id, units; at the gate and in MySQL
#     my $count = $stack->sell(product => 1, orders => 2000);     # { 202 => 500, 400 => 1500 }
#     $stack->laws_hold;                     # tests: every suite ends with it
#
# `make test` starts stacks for all suites and names their folders in CHECKOUT_TEST_STACKS, divided by colons: a suite
# takes one that no other suite has, until it ends. A suite by itself starts one in .run/test-<pid> and stops it at its
# end, also when it dies. start() empties the stack that it finds.

use strict;
use warnings;
use DBI;
use Fcntl qw(LOCK_EX LOCK_NB);
use File::Basename qw(dirname);
use File::Path qw(make_path remove_tree);
use File::Spec;
use HttpBurst;
use JSON::PP;
use List::Util qw(sum0);
use Patience ();
use POSIX ();
use Redis;
use Test::More;
use Time::HiRes qw(sleep time);

our $SOON = 30;    # seconds that anything has to happen in

my $root = File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my $build = $ENV{CHECKOUT_BUILD} // "$root/build";
my $own_dir;       # of a stack that this process started
my $keep;          # its files are looked at afterwards
my $taken;         # one of several, and the lock that says so
my $own_pid = $$;


# --- start and end ---------------------------------------------------------------------------------------------

sub start {
    my ($class) = @_;
    my $dir = take_stack();
    if (!$dir) {
        $dir = $own_dir = "$root/.run/test-$$";
        make_path($dir);
        stack_command($dir, 'up') or die "the stack did not start\n";
    }
    my $self = bless { dir => $dir, build => $build }, $class;
    $self->read_env;
    $self->{redis} = Redis->new(server => "127.0.0.1:$self->{env}{REDIS_PORT}", reconnect => 10, every => 100_000,
        on_connect => sub { $_[0]->select($self->{env}{REDIS_DB}) });
    $self->empty;
    return $self;
}

sub keep_files { return $keep = 1 }

# A stack that is up already, and is this process's own from now on; undef where there are none.
sub take_stack {
    my @dirs = split /:/, $ENV{CHECKOUT_TEST_STACKS} // '' or return undef;
    return $taken->{dir} if $taken;
    for (1 .. 6000) {
        for my $dir (@dirs) {
            open my $lock, '>', "$dir/.test-lock" or die "$dir/.test-lock: $!\n";
            $taken = { dir => $dir, lock => $lock }, return $dir if flock $lock, LOCK_EX | LOCK_NB;
        }
        sleep 0.1;
    }
    die "no stack came free in ten minutes\n";
}

END {
    if ($own_dir && $$ == $own_pid) {
        local $?;
        stack_command($own_dir, 'down') and !$keep and remove_tree($own_dir);
    }
}

# What it prints is passed on as comments.
sub stack_command {
    my ($dir, @words) = @_;
    local %ENV = (%ENV, RUN_DIR => $dir, CHECKOUT_BUILD => $build);
    open my $out, '-|', "$root/deploy/local/stack", @words or die "stack: $!\n";
    diag($_) for grep { !/^stack: (up|down)/ } map { chomp; $_ } <$out>;
    return close $out;
}

sub read_env {
    my ($self) = @_;
    open my $in, '<', "$self->{dir}/env" or die "$self->{dir}/env: $!\n";
    $self->{env} = { map { chomp; split /=/, $_, 2 } <$in> };
    ($self->{port}) = $self->{env}{CHECKOUT_URL} =~ /:(\d+)$/;
}

# All products and orders away, from MySQL and from Redis, and one new worker.
sub empty {
    my ($self) = @_;
    $self->end_workers;
    $self->start_server('nginx') if !kill 0, $self->{env}{NGINX_PID};
    $self->do("DELETE FROM $_")
        for qw(outgoing_events gateway_calls gate_notices payment_events order_items orders stock_movements products);
    $self->redis->flushdb;
    $self->{supplied} = {};
    $self->{accepted} = [];
    $self->start_server('worker');
}


# --- servers ---------------------------------------------------------------------------------------------------

sub start_server {
    my ($self, $name) = @_;
    stack_command($self->{dir}, 'start', $name) or die "$name did not start again\n";
    $self->read_env;
    my $key = ($name =~ /^replica/ ? 'MYSQL_' : '') . uc($name) . '_PID';
    push @{ $self->{workers} }, $self->{env}{$key} if $name eq 'worker';
    return $self->{env}{$key};
}

# Ends a process of the stack and waits until it is gone.
sub end_process {
    my ($self, $signal, $pid) = @_;
    kill $signal, $pid or return 1;
    return wait_until(sub { !kill 0, $pid });
}

sub end_workers {
    my ($self, $signal) = @_;
    my @pids = $self->{workers} ? @{ $self->{workers} } : $self->{env}{WORKER_PID};
    kill $signal // 'TERM', @pids;
    $self->end_process('CONT', $_) or die "worker $_ does not end\n" for @pids;
    $self->{workers} = [];
}

sub kill_workers { return $_[0]->end_workers('KILL') }

sub wait_until {
    my ($condition, $seconds) = @_;
    return Patience::wait_until($seconds // $SOON, $condition);
}


# --- MySQL, Redis, checkoutctl ---------------------------------------------------------------------------------

sub connect_to {
    my ($self, $socket) = @_;
    return DBI->connect("DBI:MariaDB:database=$self->{env}{MYSQL_DATABASE};mariadb_socket=$socket",
        @{ $self->{env} }{qw(MYSQL_USER MYSQL_PASSWORD)}, { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
}

# The handle is made anew where the server went away in between.
sub primary {
    my ($self) = @_;
    $self->{primary} = $self->connect_to($self->{env}{MYSQL_SOCKET}) unless $self->{primary} && $self->{primary}->ping;
    return $self->{primary};
}

sub do { my ($self, $statement, @values) = @_; return $self->primary->do($statement, undef, @values) }

# Statements as the server's administrator, who is known by the socket alone (see deploy/local/databases). The server is
# mysql, replica or replica2.
sub administrator {
    my ($self, $statement, $server) = @_;
    return $self->administrator_of($server // 'mysql')->do($statement);
}

sub administrator_of {
    my ($self, $server) = @_;
    my $socket = "$self->{dir}/$server.sock";
    my $user   = $self->is_mariadb ? getpwuid $> : 'root';
    return DBI->connect("DBI:MariaDB:mariadb_socket=$socket", $user, '', { RaiseError => 1, PrintError => 0 });
}

sub is_mariadb {
    my ($self) = @_;
    return $self->{is_mariadb} //= ($self->value('SELECT VERSION()') =~ /MariaDB/ ? 1 : 0);
}

# From now on the replica does everything so many seconds after the primary; 0: at once.
sub delay_replica {
    my ($self, $server, $seconds) = @_;
    my $admin = $self->administrator_of($server);
    $admin->do($_) for $self->is_mariadb
        ? ('STOP SLAVE', "CHANGE MASTER TO MASTER_DELAY = $seconds", 'START SLAVE')
        : ('STOP REPLICA', "CHANGE REPLICATION SOURCE TO SOURCE_DELAY = $seconds", 'START REPLICA');
}

# Until the replica has all that the primary has now.
sub wait_replica {
    my ($self, $server) = @_;
    my ($position, $reached) = $self->is_mariadb
        ? ('SELECT @@gtid_binlog_pos', 'SELECT MASTER_GTID_WAIT(?, ?) = 0')
        : ('SELECT @@gtid_executed',   'SELECT WAIT_FOR_EXECUTED_GTID_SET(?, ?) = 0');
    my $end = $self->value($position);
    my ($done) = $self->administrator_of($server)->selectrow_array($reached, undef, $end, $SOON);
    return $done;
}

# The first column of the first row.
sub value {
    my ($self, $statement, @values) = @_;
    return ($self->primary->selectrow_array($statement, undef, @values))[0];
}

sub replica_value {
    my ($self, $statement, @values) = @_;
    $self->{replica} //= $self->connect_to($self->{env}{MYSQL_REPLICA_SOCKET});
    return ($self->{replica}->selectrow_array($statement, undef, @values))[0];
}

sub redis { return $_[0]{redis} }

# Runs checkoutctl; returns its exit code and what it printed.
sub checkoutctl {
    my ($self, @words) = @_;
    my $pid = open(my $out, '-|') // die "fork: $!";
    if ($pid == 0) {
        open STDERR, '>&', \*STDOUT;
        { exec "$self->{build}/checkoutctl", '-c', $self->{env}{WORKER_CONF}, @words };
        POSIX::_exit(127);
    }
    my $text = do { local $/; <$out> } // '';
    close $out;
    return ($? >> 8, $text);
}

sub checkoutctl_ok {
    my ($self, @words) = @_;
    my ($code, $text) = $self->checkoutctl(@words);
    die "checkoutctl @words ended with $code: $text\n" if $code;
}


# --- the shop --------------------------------------------------------------------------------------------------

sub add_product {
    my ($self, $id, $units, @options) = @_;
    $self->checkoutctl_ok('product', 'add', $id, '--name', "Product $id", '--price', '19.80', '--stock', $units,
        @options);
    $self->checkoutctl_ok('stock', 'load', $id);
    $self->{supplied}{$id} = $units;
}

sub db_stock { return $_[0]->value('SELECT stock FROM products WHERE id = ?', $_[1]) }
sub redis_stock { return $_[0]->redis->get("product:$_[1]:stock") }

# Orders in MySQL of a product that hold stock.
sub live_orders {
    my ($self, $id) = @_;
    return $self->value("SELECT COUNT(*) FROM orders JOIN order_items i USING (order_identifier)
                          WHERE i.product_id = ? AND status IN ('pending_payment', 'paid', 'completed')", $id);
}

sub request { my ($self, @request) = @_; return HttpBurst::request($self->{port}, @request) }

# One order; returns the answer, with its JSON in {data}.
sub place {
    my ($self, $product, $quantity, $user) = @_;
    my $answer = $self->request('POST', '/api/place-order', order_json($product, $quantity, $user // 1));
    $self->note_accepted($answer);
    return $answer;
}

sub order_json {
    my ($product, $quantity, $user) = @_;
    return qq({"product_id":$product,"quantity":$quantity,"user_id":$user});
}

sub note_accepted {
    my ($self, $answer) = @_;
    $answer->{data} = eval { decode_json($answer->{body} // '') };
    push @{ $self->{accepted} }, $answer->{data}{order_identifier} if $answer->{status} == 202;
}

# Many orders at once. product: one id, or a list to take turns; orders, quantity, connections: numbers;
# before_each: see HttpBurst. Returns how often each status came.
sub sell {
    my ($self, %o) = @_;
    my @products = ref $o{product} ? @{ $o{product} } : $o{product};
    my @requests = map { [ 'POST', '/api/place-order',
        order_json($products[ $_ % @products ], $o{quantity} // 1, $_ + 1) ] }
        0 .. $o{orders} - 1;
    my @answers = HttpBurst::burst(port => $self->{port}, connections => $o{connections} // 64, requests => \@requests,
        before_each => $o{before_each});
    my %count;
    for my $answer (@answers) {
        $self->note_accepted($answer);
        $count{ $answer->{status} }++;
    }
    return \%count;
}

# The state of an order as a client sees it.
sub order_status {
    my ($self, $identifier) = @_;
    my $answer = $self->request('GET', "/api/orders/$identifier");
    return $answer->{status} == 200 ? decode_json($answer->{body})->{data} : { status => "HTTP $answer->{status}" };
}

sub is_drained {
    my ($self) = @_;
    return $self->redis->xlen('order-processing-queue') == 0;
}

sub wait_drained {
    my ($self, $name) = @_;
    my $drained = wait_until(sub { $self->is_drained });
    ok($drained, $name // 'the queue is drained')
        or diag($self->redis->xlen('order-processing-queue') . ' entries left');
}


# --- the laws --------------------------------------------------------------------------------------------------

sub laws_hold {
    my ($self) = @_;
    my $level = $Test::Builder::Level;
    local $Test::Builder::Level = $level + 1;
    subtest 'the laws hold' => sub {
        $self->wait_drained;
        $self->law_1_and_5($_) for sort keys %{ $self->{supplied} };
        is_deeply([ $self->wrong_counters ], [], 'law 1 by the counters, and they are what orders and movements add up to');
        wait_until(sub { !$self->wrong_buyers }, 10);
        is_deeply([ $self->wrong_buyers ], [], 'law 5 for the units of each buyer, and nothing is left to tell the gate');
        $self->law_3;
        my ($code, $text);
        wait_until(sub { ($code, $text) = $self->checkoutctl('audit'); $code == 0 }, 5);
        is($code, 0, 'the audit passes') or diag($text);
        $self->logs_are_clean;
    };
}

sub law_1_and_5 {
    my ($self, $id) = @_;
    my ($stock, $sold) = $self->primary->selectrow_array(
        "SELECT stock, (SELECT COALESCE(SUM(i.quantity), 0) FROM order_items i JOIN orders USING (order_identifier)
                         WHERE i.product_id = p.id AND status IN ('pending_payment', 'paid', 'completed'))
           FROM products p WHERE id = ?", undef, $id);
    cmp_ok($stock, '>=', 0, "law 1: product $id is not below zero");
    is($stock + $sold, $self->{supplied}{$id}, "law 1: product $id, supplied = stock + sold");
    wait_until(sub { ($self->redis_stock($id) // '') eq $stock }, 5);
    is($self->redis_stock($id), $stock, "law 5: product $id, Redis = MySQL");
}

# The counters as they are where orders and movements were written by hand in a test: whole.
sub recount {
    my ($self) = @_;
    $self->do("UPDATE products p SET counted_at = NOW(3),
        live_units = (SELECT COALESCE(SUM(i.quantity), 0) FROM order_items i JOIN orders o USING (order_identifier)
                       WHERE i.product_id = p.id AND o.status IN ('pending_payment', 'paid', 'completed')),
        supplied_units = (SELECT COALESCE(SUM(m.units), 0) FROM stock_movements m
                           WHERE m.product_id = p.id AND m.kind IN ('load', 'adjust', 'archive'))");
}

# Counters that count and are whole, and differ from what they count, or from the stock; as text.
sub wrong_counters {
    my ($self) = @_;
    my @wrong;
    for my $row (@{ $self->primary->selectall_arrayref(
        "SELECT p.id, p.stock, p.live_units, p.supplied_units,
                (SELECT COALESCE(SUM(i.quantity), 0) FROM order_items i JOIN orders o USING (order_identifier)
                  WHERE i.product_id = p.id AND o.status IN ('pending_payment', 'paid', 'completed')) AS live,
                (SELECT COALESCE(SUM(m.units), 0) FROM stock_movements m
                  WHERE m.product_id = p.id AND m.kind IN ('load', 'adjust', 'archive')) AS supplied
           FROM products p WHERE p.counted_at IS NOT NULL
            AND EXISTS (SELECT 1 FROM settings WHERE name = 'counters' AND value <> '')", { Slice => {} }) }) {
        my %p = %$row;
        push @wrong, "product $p{id}: live_units $p{live_units}, in live orders $p{live}" if $p{live_units} != $p{live};
        push @wrong, "product $p{id}: supplied_units $p{supplied_units}, in movements $p{supplied}"
            if $p{supplied_units} != $p{supplied};
        push @wrong, "product $p{id}: stock $p{stock} + live_units $p{live_units}, supplied_units $p{supplied_units}"
            if $p{stock} + $p{live_units} != $p{supplied_units};
    }
    return @wrong;
}

# Units by user, as the gate counts them. User 0 is nobody (common/lua/buyers.lua).
sub bought {
    my ($self, $id) = @_;
    my %hash = @{ $self->redis->hgetall("product:$id:buyers") };
    return map { $_ => $hash{$_} } grep { /^[1-9]\d*$/ } keys %hash;
}

# Products with a limit for each user whose buyers' units at the gate are not those in live orders and in flight; as text.
sub wrong_buyers {
    my ($self) = @_;
    my $redis = $self->redis;
    my (%in_flight, @wrong);
    for my $entry (map { @{ $redis->xrange($_, '-', '+') } } qw(order-processing-queue dead-letter-queue)) {
        my %field = @{ $entry->[1] };
        my @words = split ' ', $field{orders} // '';
        while (my ($id, $status, $reason, $product, $quantity, $user) = splice @words, 0, 7) {
            $in_flight{$product}{$user} += $quantity;
        }
    }
    for my $id (@{ $self->primary->selectcol_arrayref('SELECT id FROM products WHERE per_user_limit IS NOT NULL') }) {
        next if !$redis->hexists("product:$id:register", 'stock');
        my $state = $redis->hget("product:$id:register", 'buyers') // 'none';
        my %hash = $self->bought($id);
        my %right = map { $_->[0] => $_->[1] } @{ $self->primary->selectall_arrayref(
            "SELECT o.user_id, SUM(i.quantity) FROM order_items i JOIN orders o USING (order_identifier) WHERE i.product_id = ?"
                . " AND o.status IN ('pending_payment', 'paid', 'completed') GROUP BY o.user_id", undef, $id) };
        $right{$_} += $in_flight{$id}{$_} for keys %{ $in_flight{$id} // {} };
        my $ends = $redis->hget("product:$id:register", 'closes_at') // 0;
        next if $ends > 0 && $ends < time * 1000 || $redis->hget("product:$id:register", 'state') eq 'closed';    # over: its orders may be archived
        my ($gate, $mysql) = map { my $h = $_; join ' ', map { "$_=$h->{$_}" } sort keys %$h } \%hash, \%right;
        push @wrong, "buyers of $id ($state): at the gate $gate, in MySQL and in flight $mysql" if $state ne 'complete' || $gate ne $mysql;
    }
    my $notices = $self->value('SELECT COUNT(*) FROM gate_notices');
    push @wrong, "$notices notices wait" if $notices;
    return @wrong;
}

sub law_3 {
    my ($self) = @_;
    my %left = map { $_ => 1 } @{ $self->{accepted} };
    is(scalar keys %left, scalar @{ $self->{accepted} }, 'law 2: no two answers with one identifier');
    delete $left{ $_->[0] } for @{ $self->primary->selectall_arrayref('SELECT order_identifier FROM orders') };
    is_deeply([ keys %left ], [], 'law 3: every 202 has its row');
}

# Lines of nginx' and the worker's logs that tell of a crash, a sanitizer's report or a check that failed.
sub bad_log_lines {
    my ($self) = @_;
    my @bad;
    for my $file (glob "$self->{dir}/log/{nginx,worker}*") {
        open my $in, '<', $file or next;
        push @bad, grep { /AddressSanitizer|LeakSanitizer|runtime error:|exited on signal (?!9)|\[alert\]|invariant/ } <$in>;
    }
    return @bad;
}

sub logs_are_clean {
    my ($self) = @_;
    is_deeply([ $self->bad_log_lines ], [], 'no crash, no sanitizer report, no check that failed');
}

1;
