# checkoutctl order cancel, complete, refund: killed, or cut off from MySQL or Redis, before and after each outside effect.
# Either nothing happened or all of it; the same command again completes it, the shop gets one event, and the laws hold.
#
# POINTS=regex runs only those points.
use strict;
use warnings;
use File::Temp;
use FindBin;
use lib "$FindBin::Bin/../lib";
use MIME::Base64 qw(encode_base64);
use PaymentEvents;
use POSIX ();
use Test::More;
use Time::HiRes qw(time);
use WorkerTest;

my $root = "$FindBin::Bin/../..";
my $test = WorkerTest->start;
my $events = PaymentEvents->new(sub { $test->sql(@_) });
my $folder = File::Temp->newdir;
open my $out, '>', "$folder/secret" or die $!;
print $out 'whsec_' . encode_base64('s' x 24, ''), "\n";
close $out;

sub text_of { my ($file) = @_; open my $in, '<', $file or die "$file: $!"; local $/; return scalar <$in> }

# Those of the files that a command runs through. single_change.settings is left to nginx: checkoutctl has the configuration.
my %seen;
my @effects = grep { !$seen{$_}++ && $_ ne 'single_change.settings' }
    map { text_of($_) =~ /EFFECT\("((?:single_change|change|transition)\.[a-z_.]+)"/g } glob "$root/{common/lifecycle/*,worker/lifecycle/transition}.c";
cmp_ok(scalar @effects, '>=', 8, join ' ', @effects);

sub status { return $test->value('SELECT status FROM orders WHERE order_identifier = ?', $_[0]) // 'queued' }
sub event_count { return $test->value('SELECT COUNT(*) FROM outgoing_events WHERE order_identifier = ?', $_[0]) }

# One order of a product with a limit for each buyer, as far as it has to be; a worker goes on but where it is to wait.
sub order {
    my ($status) = @_;
    $test->clear;
    $test->load(1, 20, per_user_limit => 9);
    my ($id) = $test->place_new(1, 1, 7);
    return $id if $status eq 'queued';
    $test->worker(name => 'w');
    $test->wait_drained or die 'not drained';
    $events->add(succeeded => $id) if $status eq 'paid';
    $test->wait_until(sub { status($id) eq $status && $test->record($id) =~ /^$status / }, 8) or die "not $status";
    return $id;
}

# Returns the signal that ended the command, its exit code, and what it said.
sub command {
    my ($word, $id, $failpoint) = @_;
    my $said = "$folder/said";
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        open STDOUT, '>', $said;
        open STDERR, '>&', \*STDOUT;
        @ENV{qw(CHECKOUT_EVENTS_URL CHECKOUT_EVENTS_SECRET_FILE)} = ('http://127.0.0.1:9/', "$folder/secret");
        $ENV{CHECKOUT_FAILPOINT} = $failpoint if $failpoint;
        my $build = $test->stack->{build} . ($failpoint ? '/failpoints' : '');
        { exec "$build/checkoutctl", '-c', $test->stack->{env}{WORKER_CONF}, 'order', $word, $id }
        POSIX::_exit(127);
    }
    waitpid $pid, 0;
    return ($? & 127, $? >> 8, text_of($said));
}

# command, status before, status after, how many events the shop gets
my @changes = ([ cancel => 'pending_payment', 'cancelled', 1 ], [ cancel => 'queued', 'cancelled', 1 ],
              [ complete => 'paid', 'completed', 0 ], [ refund => 'paid', 'refunded', 0 ]);
my (%reached, $cells);

sub cell {
    my ($change, $point, $action) = @_;
    my ($word, $before, $after, $events_wanted) = @$change;
    my $name = "$word, $before: $point, $action";
    my $id = order($before);
    my ($signal, $code, $said) = command($word, $id, $action eq 'kill' ? $point : "$point:$action");
    return if $said !~ /failpoint \Q$point $action/;
    $reached{$point}++;
    $cells++;
    return fail("$name: ended by itself with $code, $said") if $action eq 'kill' && $signal != 9;
    my $now = status($id);
    return fail("$name: $now") if $now ne $before && $now ne $after;
    return fail("$name: said to be done and is $now") if !$signal && $code == 0 && $now ne $after;
    ($signal, $code, $said) = command($word, $id);
    return fail("$name: again: $code, $said") if $signal || $code;
    return fail("$name: afterwards " . status($id)) if status($id) ne $after;
    ($signal, $code, $said) = command($word, $id);
    return fail("$name: once more: $code, $said") if $code || $said !~ /already/;
    return fail("$name: the shop is told " . event_count($id) . ' times') if event_count($id) != $events_wanted;
    if ($before eq 'queued') {
        $test->worker(name => 'w');
        $test->wait_drained or return fail("$name: drained");
    }
    return $test->laws_hold($name);
}

my $begin = time;
for my $action (qw(kill cut_mysql lose_mysql cut_redis lose_redis)) {
    subtest "each point: $action" => sub {
        %reached = ();
        # A lost connection shows at the call that follows.
        my $those = $action =~ /redis/ ? qr/^transition/ : $action =~ /mysql/ ? qr/^single_change|^change\.(?:update|insert)/ : qr/./;
        my @points = map { $action eq 'kill' ? ("$_.before", "$_.after") : "$_.before" } grep { $_ =~ $those } @effects;
        for my $point (grep { !$ENV{POINTS} || /$ENV{POINTS}/ } @points) {
            cell($_, $point, $action) for @changes;
            # Some of the engine's are on the way of payments and expiry alone: t/worker/intake_failpoints.t.
            ok($reached{$point}, "$point: reached") if $point !~ /^change\./ || $point =~ /^change\.(?:read_items|lock|update|insert)/;
        }
        pass('all points') if $ENV{POINTS};
        done_testing;
    };
}
subtest 'Redis is away' => sub {
    my $id = order('pending_payment');
    my @away = do { local $ENV{CHECKOUT_REDIS_ADDRESS} = '127.0.0.1:9'; command(cancel => $id) };
    is($away[1], 2, 'what moves stock waits until the gate can be read') or diag($away[2]);
    like($away[2], qr/or Redis cannot be read; try again/, 'the message says so');
    is(status($id), 'pending_payment');
    is((command(cancel => $id))[1], 0, 'again, with Redis');
    is(status($id), 'cancelled');
    $test->laws_hold('cancelled with Redis');
    $id = order('queued');
    @away = do { local $ENV{CHECKOUT_REDIS_ADDRESS} = '127.0.0.1:9'; command(cancel => $id) };
    is($away[1], 2, 'what may wait in the queue is not called unknown');
    like($away[2], qr/Redis cannot be read/, 'the message says why');
    is((command(cancel => $id))[1], 0, 'again, with Redis');
    is(status($id), 'cancelled');
    $test->worker(name => 'w');
    $test->wait_drained;
    $test->laws_hold('cancelled in the queue');
};

diag(sprintf '%d cells in %.0f s', $cells, time - $begin);

$test->clear;
done_testing;
