package Campaign::Shop;

# The stack that a campaign breaks: two nginx worker processes, two workers, proxies before Redis and the MySQL primary.
#
# A kill of Redis loses nothing here (appendfsync always), nor does one of MySQL: the laws allow for what a server
# itself loses, and a campaign looks for what we lose.

use strict;
use warnings;
use parent 'CheckoutStack';
use Campaign::Proxy;
use File::Path qw(remove_tree);
use POSIX ();
use Time::HiRes qw(sleep time);

my $PRICE = 1980;    # hundredths

sub start {
    my ($class, %o) = @_;
    $ENV{NGINX_WORKERS} = 2;
    my $self = $class->SUPER::start;
    @$self{qw(products lead lost)} = ($o{products}, 'mysql', []);
    $self->end_workers;
    $self->durable_redis;
    $self->fake_clock if $o{clock};
    $self->replication_account;
    $self->put_proxies_between;
    $self->add_worker for 1 .. 2;
    $self->add_product($_, $o{units}, $_ % 3 ? () : ('--per-user-limit', 50)) for 1 .. $o{products};
    return $self;
}

sub products { return $_[0]{products} }
sub amount {
    my ($self, $quantity) = @_;
    return sprintf '%d.%02d', int($PRICE * $quantity / 100), $PRICE * $quantity % 100;
}

sub edit {
    my ($file, $change) = @_;
    open my $in, '<', $file or die "$file: $!\n";
    local $_ = do { local $/; <$in> };
    $change->();
    open my $out, '>', $file or die "$file: $!\n";
    print $out $_;
    close $out or die "$file: $!\n";
}

sub durable_redis {
    my ($self) = @_;
    edit("$self->{dir}/redis.conf", sub { s/appendfsync everysec/appendfsync always\nauto-aof-rewrite-percentage 0/ });
    $self->redis->config_set('appendfsync', 'always');
}

sub put_proxies_between {
    my ($self) = @_;
    $self->{proxy}{redis} = Campaign::Proxy->start($self->{env}{REDIS_PORT});
    $self->{proxy}{mysql} = Campaign::Proxy->start($self->{env}{MYSQL_PORT});
    my ($redis, $mysql) = map { '127.0.0.1:' . $self->{proxy}{$_}->port } qw(redis mysql);
    edit($self->{env}{NGINX_CONF}, sub {
        s/127\.0\.0\.1:$self->{env}{REDIS_PORT}\b/$redis/g;
        s/127\.0\.0\.1:$self->{env}{MYSQL_PORT}\b/$mysql/g;
        s/connections 4096;/connections 1024;/;
    });
    edit($self->{env}{WORKER_CONF}, sub {
        s/127\.0\.0\.1:$self->{env}{REDIS_PORT}\b/$redis/;
        s/^socket = .*$/host = 127.0.0.1\nport = @{[ $self->{proxy}{mysql}->port ]}/m;
        s/^metrics_address = .*$/metrics_address =\npayment_timeout = 20s/m;    # two workers share this file: no port
    });
    $self->end_process('QUIT', $self->{env}{NGINX_PID});
    $self->start_server('nginx');
}


# --- who is the primary ----------------------------------------------------------------------------------------

# The name of the server that is the primary now, the socket, the environment's name of its process id.
sub lead { return $_[0]{lead} // 'mysql' }
sub lead_socket { my ($self) = @_; return "$self->{dir}/" . $self->lead . '.sock' }

sub lead_pid_key { return pid_key($_[0]->lead) }
sub pid_key { my ($name) = @_; return $name eq 'mysql' ? 'MYSQL_PID' : 'MYSQL_' . uc($name) . '_PID' }

sub primary {
    my ($self) = @_;
    $self->{primary} = $self->connect_to($self->lead_socket) unless $self->{primary} && $self->{primary}->ping;
    return $self->{primary};
}

sub administrator {
    my ($self, $statement, $server) = @_;
    return $self->SUPER::administrator($statement, $server // $self->lead);
}

# From .. to: what MySQL was told in between may be lost. Times as in the load's lines.
sub lost { return @{ $_[0]{lost} } }

sub port_of {
    my ($self, $name) = @_;
    open my $in, '<', "$self->{dir}/$name.cnf" or die "$name.cnf: $!\n";
    return (map {/^port = (\d+)/} <$in>)[0];
}

# A replica that has not had the last commits for `seconds` becomes the primary. The other one follows it; the old
# primary comes back as a copy of that one. MariaDB only.
sub promote {
    my ($self, $seconds) = @_;
    my $old = $self->lead;
    my $new = $self->{next} // 'replica';
    my ($other) = grep { $_ ne $old && $_ ne $new } qw(mysql replica replica2);
    $self->administrator_of($other)->do('STOP SLAVE');
    my ($seen) = $self->administrator_of($other)->selectrow_array('SELECT @@gtid_slave_pos');
    $self->administrator_of($new)->selectrow_array('SELECT MASTER_GTID_WAIT(?, 10)', undef, $seen);
    $self->administrator_of($new)->do('STOP SLAVE');
    my $from = time;
    sleep $seconds;
    $self->end_process('KILL', $self->{env}{ pid_key($old) });
    push @{ $self->{lost} }, [ $from, time ];

    my $admin = $self->administrator_of($new);
    $admin->do($_) for 'RESET SLAVE ALL', 'SET GLOBAL read_only = 0';
    $self->set_read_only($new, 0);
    $self->{lead} = $new;
    delete $self->{primary};
    $self->{proxy}{mysql}->lead_to($self->port_of($new));
    $self->{proxy}{mysql}->cut;
    $self->follow($other);

    $self->end_process('TERM', $self->{env}{ pid_key($other) });
    remove_tree("$self->{dir}/$old");
    system('cp', '-a', "$self->{dir}/$other", "$self->{dir}/$old") == 0 or die "cp: $?\n";
    $self->set_read_only($old, 1);
    # A replica passes over changes that bear its own number, and some of the old primary's are not in the copy.
    my $number = 10 + $self->lost;
    edit("$self->{dir}/$old.cnf", sub { s/^server_id = .*/server_id = $number/m });
    for my $name ($other, $old) {
        $self->start_server($name);
        $self->follow($name);
    }
    $self->{next} = $old;
}

sub set_read_only {
    my ($self, $name, $on) = @_;
    edit("$self->{dir}/$name.cnf", sub { s/^read_only = .*\n//mg; $_ .= "read_only = $on\n" });
}

sub follow {
    my ($self, $name) = @_;
    my $admin = $self->administrator_of($name);
    my ($user, $password) = @{ $self->replication_account };
    $admin->do($_) for 'SET GLOBAL read_only = 1', 'STOP SLAVE',
        "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=@{[ $self->port_of($self->lead) ]}, MASTER_USER='$user',"
        . " MASTER_PASSWORD='$password', MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos", 'START SLAVE';
}

# Made here, since the stack keeps its own to itself.
sub replication_account {
    my ($self) = @_;
    return $self->{replication} //= do {
        my @account = ('campaign_replica', 'p' . int rand 1e9);
        $self->administrator("CREATE OR REPLACE USER '$account[0]'\@'127.0.0.1' IDENTIFIED BY '$account[1]'");
        $self->administrator("GRANT REPLICATION SLAVE ON *.* TO '$account[0]'\@'127.0.0.1'");
        \@account;
    };
}


# --- Redis' clock ----------------------------------------------------------------------------------------------

sub faketime_library { return (glob '/usr/lib/*/faketime/libfaketime.so.1')[0] }

# From its next start on, Redis' clock is what step_clock() says.
sub fake_clock {
    my ($self) = @_;
    my $library = faketime_library() or return;
    $self->{clock_file} = "$self->{dir}/redis.clock";
    $self->step_clock(0);
    my @command = ('env', "LD_PRELOAD=$library", "FAKETIME_TIMESTAMP_FILE=$self->{clock_file}", 'DONT_FAKE_MONOTONIC=1',
        'FAKETIME_CACHE_DURATION=1');
    edit("$self->{dir}/pids/redis.command", sub { $_ = join("\0", @command) . "\0$_" });
    $self->end_process('TERM', $self->{env}{REDIS_PID});
    $self->start_server('redis');
}

# Seconds before or after the real time.
sub step_clock {
    my ($self, $seconds) = @_;
    my $file = $self->{clock_file} or return;
    open my $out, '>', "$file.new" or die "$file: $!\n";
    printf {$out} "%+d\n", $seconds;
    close $out;
    rename "$file.new", $file;
}


sub add_worker {
    my ($self) = @_;
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        chdir $self->{dir};
        open STDERR, '>>', "$self->{dir}/log/worker.stderr";
        open STDOUT, '>&', \*STDERR;
        { exec "$self->{build}/checkout-worker", '-c', $self->{env}{WORKER_CONF} };
        POSIX::_exit(127);
    }
    push @{ $self->{workers} }, $pid;
    return $pid;
}

# Waits for a child, too, so that it is not a zombie that `kill 0` finds.
sub end_worker {
    my ($self, $signal, $pid) = @_;
    @{ $self->{workers} } = grep { $_ != $pid } @{ $self->{workers} };
    kill $signal, $pid;
    kill 'CONT', $pid;
    waitpid $pid, 0;
}

sub end_workers {
    my ($self, $signal) = @_;
    return $self->SUPER::end_workers($signal) if !$self->{proxy};
    $self->end_worker($signal // 'TERM', $_) for @{ $self->{workers} // [] };
}

sub nginx_workers { my ($self) = @_; return split ' ', qx(ps -o pid= --ppid $self->{env}{NGINX_PID}) }

sub kill_nginx {
    my ($self) = @_;
    my @pids = ($self->{env}{NGINX_PID}, $self->nginx_workers);
    kill 'KILL', @pids;
    CheckoutStack::wait_until(sub { !grep { kill 0, $_ } @pids });
}

sub stop {
    my ($self) = @_;
    $self->end_workers;
    $_->stop for values %{ delete $self->{proxy} // {} };
}

1;
