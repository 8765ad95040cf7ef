# G6 and G18: reloads, a binary upgrade and kills under load. Every request is answered, and what was accepted is
# what Redis holds; no process keeps descriptors or memory. CHECKOUT_RELOADS: how many reloads, 10 by default.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Patience;
use CheckoutTest;
use HttpBurst;
use JSON;
use Test::More;
use Time::HiRes qw(sleep time);

my $redis   = CheckoutTest::redis();
my $reloads = $ENV{CHECKOUT_RELOADS} // 10;
my $config  = "checkout_redis 127.0.0.1:@{[ $redis->port ]};" . <<'END';
    location = /api/place-order { checkout_place_order; }
    location = /metrics { checkout_metrics; }
    location = /api/stock { checkout_stock 17; }
END

sub body { return encode_json({ product_id => 17, quantity => 1, user_id => 1 + int rand 1000 }) }

# Orders, each on a connection of its own: nginx closes idle connections when it reloads, and a client that has just
# sent on one cannot tell whether it was heard.
sub load {
    my ($nginx, $count, $before_each) = @_;
    return HttpBurst::burst(port => $nginx->port, connections => 16, timeout => 120, before_each => $before_each,
        requests => [ map { [ 'POST', '/api/place-order', body(), 'Connection', 'close' ] } 1 .. $count ]);
}

sub check_counts {
    my ($answers) = @_;
    my %by_status;
    $by_status{ $_ ? $_->{status} : 'none' }++ for @$answers;
    is_deeply \%by_status, { 202 => scalar @$answers }, 'every request is answered';
    is CheckoutTest::queued(), scalar @$answers, 'the queue holds what was accepted';
    is CheckoutTest::in_flight(17), scalar @$answers, 'counted in flight';
    is $redis->client->hget('gate', 'queued'), scalar @$answers, 'counted at the gate';
    is CheckoutTest::stock(17), 1000000 - @$answers, 'deducted';
    my ($records) = map { $redis->client->hlen($_) } $redis->client->keys('orders:*');
    is $records, scalar @$answers, 'recorded';
}

sub descriptors { my ($pid) = @_; opendir my $dir, "/proc/$pid/fd" or return 0; return scalar grep {/\d/} readdir $dir }

sub resident {
    my ($pid) = @_;
    open my $file, '<', "/proc/$pid/status" or return 0;
    return (grep {/^VmRSS/} <$file>)[0] =~ /(\d+)/ ? $1 : 0;
}

sub one_worker { my ($nginx) = @_; return wait_until(10, sub { 1 == (() = $nginx->workers) }) }

subtest "G18 $reloads reloads under load" => sub {
    CheckoutTest::fresh(17, stock => 1000000);
    my $nginx = CheckoutTest::Nginx->start($config, http => 'checkout_zone checkout:1m;');
    my $each = 60;
    load($nginx, 1);
    CheckoutTest::fresh(17, stock => 1000000);
    my (%before, %after);
    my $measure = sub {
        one_worker($nginx) or diag 'old processes stay';
        $nginx->get('/metrics');
        my ($worker) = $nginx->workers;
        return (descriptors => descriptors($nginx->pid), memory => resident($nginx->pid),
                worker_descriptors => descriptors($worker), worker_memory => resident($worker));
    };
    my @answers = load($nginx, 2 * $each, sub { $nginx->reload if $_[0] % $each == 0 });
    %before = $measure->();
    push @answers, load($nginx, $each * $reloads, sub { $nginx->reload if $_[0] % $each == 0; sleep 0.001 });
    %after = $measure->();
    check_counts(\@answers);
    for my $what (qw(descriptors worker_descriptors)) {
        cmp_ok $after{$what}, '<=', $before{$what} + 2, "$what: $before{$what} before, $after{$what} after";
    }
    for my $what (qw(memory worker_memory)) {
        cmp_ok $after{$what}, '<', $before{$what} * 1.3 + 2048, "$what: $before{$what} kB before, $after{$what} kB after";
    }
    my ($counted) = $nginx->get('/metrics')->{body} =~ /^checkout_orders_total\{outcome="queued"\} (\d+)$/m;
    is $counted, @answers + 1, 'the counters of the zone are kept, and exact';
    unlike $nginx->log, qr/\[alert\]|\[emerg\]/, 'no process died';
    $nginx->stop;
};

subtest 'G18 a binary upgrade under load' => sub {
    CheckoutTest::fresh(17, stock => 1000000);
    my $nginx = CheckoutTest::Nginx->start($config, http => 'checkout_zone checkout:1m;', daemon => 1);
    my $old = $nginx->pid;
    my $new = 0;
    my @answers = load($nginx, 1500, sub {
        my ($n) = @_;
        sleep 0.001;
        kill 'USR2', $old if $n == 300;
        if ($n == 700) {
            wait_until(5, sub { ($new = $nginx->pid_file) && $new != $old });
            kill 'WINCH', $old if $new && $new != $old;
        }
        kill 'QUIT', $old if $n == 1100 && $new && $new != $old;
    });
    ok $new && $new != $old, 'a new master process';
    check_counts(\@answers);
    ok wait_until(5, sub { !kill 0, $old }), 'the old one is gone';
    $nginx->{pid} = $new if $new;
    ok wait_until(5, sub { my $answer = $nginx->place(body()); $answer && $answer->{status} == 202 }), 'it serves';
    unlike $nginx->log, qr/\[alert\]|\[emerg\]/, 'no process died';
    $nginx->stop;
};

subtest 'G6 worker processes killed under load: all of an order or nothing of it' => sub {
    CheckoutTest::fresh(17, stock => 1000000);
    my $nginx = CheckoutTest::Nginx->start($config, workers => 2, http => 'checkout_zone checkout:1m;');
    my @answers = load($nginx, 1500, sub {
        my ($n) = @_;
        return if $n % 150;
        my ($victim) = $nginx->workers;
        kill 'KILL', $victim if $victim;
        sleep 0.02;
    });
    my %accepted = map { decode_json($_->{body})->{order_identifier} => 1 } grep { $_ && $_->{status} == 202 } @answers;
    my (%queued, %recorded);
    for my $entry (@{ $redis->client->xrange('order-processing-queue', '-', '+') }) {
        my %fields = @{ $entry->[1] };
        my @words = split ' ', $fields{orders};
        while (my ($id) = splice @words, 0, 7) { $queued{$id} = 1 }
    }
    for my $day ($redis->client->keys('orders:*')) { $recorded{$_} = 1 for $redis->client->hkeys($day) }
    cmp_ok scalar keys %accepted, '>', 1000, 'most are accepted';
    is scalar(grep { !$queued{$_} } keys %accepted), 0, 'what was accepted is in the queue';
    is_deeply [ sort keys %recorded ], [ sort keys %queued ], 'queue and records agree';
    is CheckoutTest::stock(17), 1000000 - keys %queued, 'deducted';
    is CheckoutTest::in_flight(17), scalar keys %queued, 'counted';
    is $nginx->place(body())->{status}, 202, 'and it goes on';
    $nginx->stop;
};

$redis->stop;
done_testing;
