package Campaign::Shop;

# The stack that a campaign breaks: two nginx worker processes, two workers, proxies before Redis and the MySQL primary.
#
# A kill of Redis loses nothing here (appendfsync always), nor does one of MySQL: the laws allow for what a server
# itself loses, and a campaign looks for what we lose.

use strict;
use warnings;
use parent 'CheckoutStack';
use Campaign::Proxy;
use POSIX ();

my $PRICE = 1980;    # hundredths

sub start {
    my ($class, %o) = @_;
    $ENV{NGINX_WORKERS} = 2;
    my $self = $class->SUPER::start;
    $self->{products} = $o{products};
    $self->end_workers;
    $self->durable_redis;
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
