package Campaign::Faults;

# The faults of a campaign: one table of kinds, and the plan, which the seed alone decides.
#
#     my @plan = Campaign::Faults::plan($seed, $seconds, @kinds);
#     # ( { at => 1.2, kind => 'cut_redis', value => 0.37 }, … )
#     Campaign::Faults::strike($shop, $fault);                       # returns when the fault is over
#
# A kind is [ weight, what it does ]; `value`, 0 to 1, is the plan's random number for it, so that a replay does the
# same.
# A server that is killed is started again here, and whatever is suspended goes on.

use strict;
use warnings;
use Suspend;
use Time::HiRes qw(sleep);

my %KIND = (
    kill_worker       => [ 10, \&kill_worker ],
    end_worker        => [ 3,  \&end_worker ],
    suspend_worker    => [ 6,  \&suspend_worker ],
    kill_nginx_worker => [ 6,  \&kill_nginx_worker ],
    kill_nginx        => [ 2,  \&kill_nginx ],
    reload            => [ 5,  sub { my ($shop) = @_; kill 'HUP', $shop->{env}{NGINX_PID} } ],
    kill_redis        => [ 2,  sub { restart($_[0], redis => 'REDIS_PID') } ],
    suspend_redis     => [ 4,  sub { suspend($_[0]{env}{REDIS_PID}, $_[1], 4) } ],
    kill_mysql        => [ 2,  sub { restart($_[0], $_[0]->lead, $_[0]->lead_pid_key) } ],
    suspend_mysql     => [ 4,  sub { suspend($_[0]{env}{ $_[0]->lead_pid_key }, $_[1], 6) } ],
    cut_redis         => [ 10, sub { $_[0]{proxy}{redis}->cut } ],
    cut_mysql         => [ 10, sub { $_[0]{proxy}{mysql}->cut } ],
    slow_redis        => [ 4,  sub { slow($_[0]{proxy}{redis}, $_[1]) } ],
    slow_mysql        => [ 4,  sub { slow($_[0]{proxy}{mysql}, $_[1]) } ],
    silent_redis      => [ 4,  sub { $_[0]{proxy}{redis}->silence(0.2 + 3 * $_[1]) } ],
    silent_mysql      => [ 4,  sub { $_[0]{proxy}{mysql}->silence(0.2 + 5 * $_[1]) } ],
    lock_row          => [ 5,  \&lock_row ],
    read_only         => [ 2,  \&read_only ],
    flush_scripts     => [ 2,  sub { eval { $_[0]->redis->script_flush } } ],
    rebuild           => [ 2,  sub { $_[0]->checkoutctl('rebuild') } ],
    full_disk_redis   => [ 1,  sub { full_disk($_[0], redis => 'REDIS_PID', $_[1]) } ],
    full_disk_mysql   => [ 1,  sub { full_disk($_[0], $_[0]->lead, $_[0]->lead_pid_key, $_[1]) } ],
    step_clock        => [ 3,  sub { $_[0]->step_clock((-3600, 0, 3600, 60)[ 4 * $_[1] * 0.999 ]) } ],
    promote           => [ 2,  \&promote ],
);

# Not of every plan: they need --kinds, or --with.
my %EXTRA = map { $_ => 1 } qw(promote step_clock full_disk_redis full_disk_mysql rebuild);

sub kinds { return grep { !$EXTRA{$_} } sort keys %KIND }
sub all_kinds { return sort keys %KIND }

# A generator of its own, so that nothing else that asks for random numbers changes the plan.
sub sequence {
    my ($state) = @_;
    return sub {
        $state = ($state * 1_103_515_245 + 12_345) % 2_147_483_648;
        return $state / 2_147_483_648;
    };
}

# About `each` seconds between two faults.
sub plan {
    my ($seed, $seconds, $each, @kinds) = @_;
    my $random = sequence($seed);
    $random->() for 1 .. 10;
    my %weight = map { $_ => $KIND{$_}[0] } @kinds ? @kinds : kinds();
    my $sum    = 0;
    $sum += $_ for values %weight;
    my @plan;
    for (my $at = $each * $random->(); $at < $seconds; $at += $each * (0.4 + 1.2 * $random->())) {
        my $pick = $sum * $random->();
        my ($kind) = grep { ($pick -= $weight{$_}) < 0 } sort keys %weight;
        push @plan, { at => $at, kind => $kind // 'cut_redis', value => $random->() };
    }
    return @plan;
}

sub strike {
    my ($shop, $fault) = @_;
    my $kind = $KIND{ $fault->{kind} } or die "there is no fault \"$fault->{kind}\": @{[ all_kinds() ]}\n";
    return $kind->[1]->($shop, $fault->{value});
}


# --- the kinds -------------------------------------------------------------------------------------------------

sub some { my ($value, @list) = @_; return $list[ $value * 0.999 * @list ] }

sub kill_worker {
    my ($shop, $value) = @_;
    $shop->end_worker('KILL', some($value, @{ $shop->{workers} }));
    sleep 1.5 * $value;
    $shop->add_worker;
}

sub end_worker {
    my ($shop, $value) = @_;
    $shop->end_worker('TERM', some($value, @{ $shop->{workers} }));
    $shop->add_worker;
}

# Longer than a heartbeat lives, now and then: another one takes its entries over, and it wakes as a zombie.
sub suspend_worker {
    my ($shop, $value) = @_;
    suspend(some($value, @{ $shop->{workers} }), $value, 14);
}

sub suspend {
    my ($pid, $value, $most) = @_;
    sleep 0.1 + $most * $value**2 if eval { Suspend::stop($pid); 1 };
    Suspend::go_on($pid);
}

sub kill_nginx_worker {
    my ($shop, $value) = @_;
    my @pids = $shop->nginx_workers or return;
    kill 'KILL', some($value, @pids);
}

sub kill_nginx {
    my ($shop) = @_;
    $shop->kill_nginx;
    $shop->start_server('nginx');
}

sub restart {
    my ($shop, $name, $key) = @_;
    $shop->end_process('KILL', $shop->{env}{$key});
    $shop->start_server($name);
}

# Each write that makes a file longer than a byte fails, as on a disk that is full; what a server cannot bear ends it. Needs
# no rights but those of the servers' user.
sub full_disk {
    my ($shop, $name, $key, $value) = @_;
    my $pid = $shop->{env}{$key};
    system('prlimit', '--pid', $pid, '--fsize=1:') == 0 or return;
    sleep 0.3 + 3 * $value;
    system('prlimit', '--pid', $pid, '--fsize=unlimited:');
    restart($shop, $name, $key);
}

# MySQL goes back: a replica that stopped taking changes a moment ago becomes the primary.
sub promote {
    my ($shop, $value) = @_;
    $shop->promote(0.1 + 1.5 * $value) if $shop->is_mariadb;
}

sub slow {
    my ($proxy, $value) = @_;
    $proxy->slow(20 + int(400 * $value), 1 + 3 * $value);
}

# A session holds a product's row.
sub lock_row {
    my ($shop, $value) = @_;
    eval {
        my $session = $shop->connect_to($shop->lead_socket);
        $session->begin_work;
        $session->do('SELECT 1 FROM products WHERE id = ? FOR UPDATE', undef,
            1 + int(0.999 * $value * $shop->products));
        sleep 0.5 + 6 * $value;
        $session->rollback;
        1;
    };
}

sub read_only {
    my ($shop, $value) = @_;
    my $name = $shop->is_mariadb ? 'read_only' : 'super_read_only';
    eval { $shop->administrator("SET GLOBAL $name = 1") };
    sleep 0.5 + 4 * $value;
    for (1 .. 50) {
        last if eval { $shop->administrator("SET GLOBAL $_ = 0") for $name, 'read_only'; 1 };
        sleep 0.2;
    }
}

1;
