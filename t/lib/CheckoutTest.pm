package CheckoutTest;

# The ground of the HTTP tests: a private Redis, the environment of Test::Nginx, and an nginx and a
# scripted Redis of one's own for what Test::Nginx cannot say.
#
#     use CheckoutTest;                               # before Test::Nginx::Socket
#     CheckoutTest::fresh(17, stock => 3);            # an empty Redis with this product loaded
#     CheckoutTest::redis->client->xlen('order-processing-queue');
#     my $nginx = CheckoutTest::Nginx->start($config);   # $config: what stands in server {}
#     my $server = CheckoutTest::FakeRedis->start(sub { my ($socket, $serial) = @_; … });
#
# Servers are stopped when the test ends. Their files are under .run/.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use Cwd qw(abs_path);
use File::Temp;
use lib dirname(__FILE__);
use CheckoutRedis;
use Patience ();
use Suspend;

our $root   = abs_path(dirname(__FILE__) . '/../..');
our $build  = $ENV{CHECKOUT_BUILD}  // "$root/build";
our $module = $ENV{CHECKOUT_MODULE} // "$build/ngx_http_checkout_module.so";
our $binary = $ENV{TEST_NGINX_BINARY} // (-x '/usr/sbin/nginx' ? '/usr/sbin/nginx' : 'nginx');

my $redis;
my $servroot;

# Environment first: Test::Nginx reads it when it is loaded.
BEGIN {
    my $dir = abs_path(dirname(__FILE__) . '/../..');
    unshift @INC, "$dir/build/perl/usr/share/perl5";
}

sub import {
    make_path("$root/.run");
    $servroot = File::Temp->newdir("$root/.run/nginx-XXXXXX");
    chmod 0755, "$servroot";
    $redis = CheckoutRedis->start;
    $ENV{TEST_NGINX_BINARY}       = $binary;
    $ENV{TEST_NGINX_SERVROOT}     = "$servroot/servroot";
    $ENV{TEST_NGINX_SERVER_PORT}  = CheckoutRedis::free_port();
    $ENV{TEST_NGINX_LOAD_MODULES} = $module;
    $ENV{TEST_NGINX_REDIS}        = '127.0.0.1:' . $redis->port;
    $ENV{TEST_NGINX_NO_SHUFFLE}   = 1;
}

sub redis { return $redis }

# An empty database, and one product if it is named. Other settings than stock: see CheckoutRedis.
sub fresh {
    my ($id, %terms) = @_;
    $redis->client->flushdb;
    $redis->load($id, %terms) if $id;
}

sub stock     { return $redis->client->get("product:$_[0]:stock") }
sub in_flight { return $redis->client->hget("product:$_[0]:register", 'in_flight') }

# Orders in the queue: what the entries count, and what the gate counts.
sub queued {
    my $orders = 0;
    for my $entry (@{ $redis->client->xrange('order-processing-queue', '-', '+') }) {
        my %fields = @{ $entry->[1] };
        $orders += $fields{count};
    }
    return $orders;
}


package CheckoutTest::Nginx;

# An nginx with the given configuration of a server. Options: workers => 1, http => what stands beside the server,
# listen => more parameters of listen, daemon => 1 for one that is not a child of the test: only such a one may be
# upgraded, and it must be stopped with the pid that it has then.

use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(sleep time);

sub start {
    my ($class, $config, %options) = @_;
    my $self = bless { owner => $$, port => CheckoutRedis::free_port() }, $class;
    $self->{dir} = File::Temp->newdir("$CheckoutTest::root/.run/nginx-XXXXXX");
    chmod 0755, "$self->{dir}";
    $self->configure($config, %options);
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        { exec $CheckoutTest::binary, '-p', "$self->{dir}", '-e', 'error.log', '-c', 'nginx.conf',
            $options{daemon} ? () : ('-g', 'daemon off;') };
        POSIX::_exit(127);
    }
    if ($options{daemon}) {
        waitpid $self->{pid}, 0;
        for (1 .. 100) { last if $self->{pid} = $self->pid_file; sleep 0.05 }
        die 'nginx did not start: ' . $self->log if !$self->{pid};
    }
    for (1 .. 100) {
        return $self if eval { $self->connect };
        sleep 0.05;
    }
    die 'nginx does not answer: ' . $self->log;
}

sub configure {
    my ($self, $config, %options) = @_;
    my $user = $> == 0 ? 'user root;' : '';
    my $workers = $options{workers} // 1;
    my $http    = $options{http} // '';
    my $listen  = $options{listen} // '';
    open my $file, '>', "$self->{dir}/nginx.conf" or die $!;
    print $file <<"END";
load_module $CheckoutTest::module;
$user
env LD_PRELOAD; env ASAN_OPTIONS;   # for an upgrade of one with sanitizers
worker_processes $workers;
debug_points abort;    # where something is not true that must be
pid nginx.pid;
error_log error.log info;
events { worker_connections 1024; }
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    $http
    server {
        listen 127.0.0.1:$self->{port} $listen;
        $config
    }
}
END
    close $file;
}

# What nginx wrote into its pid file; 0 when it is not there.
sub pid_file {
    my ($self) = @_;
    open my $file, '<', "$self->{dir}/nginx.pid" or return 0;
    my $pid = <$file> // return 0;    # not written yet
    return $pid + 0;
}

sub pid    { $_[0]{pid} }
sub port   { $_[0]{port} }
sub reload { kill 'HUP', $_[0]{pid} }

sub log {
    my ($self) = @_;
    open my $file, '<', "$self->{dir}/error.log" or return '';
    local $/;
    return <$file>;
}

sub connect {
    my ($self) = @_;
    return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port}, Proto => 'tcp')
        || die "connect: $!";
}

# The bytes of an order.
sub order_request {
    my ($body, @headers) = @_;
    return join "\r\n", 'POST /api/place-order HTTP/1.1', 'Host: localhost', 'Content-Type: application/json',
        'Content-Length: ' . length $body, @headers, '', $body;
}

# Reads one answer: { status, headers, body }, or undef when the connection was closed or nothing came in time.
sub answer {
    my ($socket, $seconds) = @_;
    my ($text, $until) = ('', time + Patience::patient($seconds // 5));
    while ((my $left = $until - time) > 0) {
        last if !IO::Select->new($socket)->can_read($left);
        my $n = sysread $socket, $text, 65536, length $text;
        last if !$n;
        my ($head, $body) = $text =~ /^(.*?)\r\n\r\n(.*)$/s or next;
        my ($length) = $head =~ /^Content-Length: (\d+)/mi;
        next if length $body < ($length // 0);
        my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};
        return { status => $status, headers => $head, body => $body };
    }
    return undef;
}

# One order on a connection of its own.
sub place {
    my ($self, $body, @headers) = @_;
    my $socket = $self->connect;
    print $socket order_request($body, @headers);
    return answer($socket);
}

# One request without a body on a connection of its own.
sub get { my ($self, $path, @headers) = @_; return $self->request('GET', $path, @headers) }

sub request {
    my ($self, $method, $path, @headers) = @_;
    my $socket = $self->connect;
    print $socket join "\r\n", "$method $path HTTP/1.1", 'Host: localhost', @headers, '', '';
    return answer($socket);
}

# Orders that arrive together, each on its own connection: nginx has accepted all of them (each has had an answer), and
# they are sent while it is stopped, so that they are read in one turn of its event loop. Returns the answers in order.
sub place_together {
    my ($self, @bodies) = @_;
    my @sockets = map { $self->connect } @bodies;
    for my $socket (@sockets) {
        print $socket "GET /accepted HTTP/1.1\r\nHost: localhost\r\n\r\n";
        answer($socket) or die "no answer on a new connection\n";
    }
    my @processes = $self->workers;
    Suspend::stop(@processes);
    for my $i (0 .. $#bodies) { my $socket = $sockets[$i]; print $socket order_request($bodies[$i]) }
    Suspend::go_on(@processes);
    return map { answer($_) } @sockets;
}

sub workers {
    my ($self) = @_;
    open my $file, '<', "/proc/$self->{pid}/task/$self->{pid}/children" or die "children of $self->{pid}: $!";
    return split ' ', <$file> // '';
}

sub stop {
    my ($self, $signal) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    kill $signal // 'QUIT', $self->{pid};
    waitpid($self->{pid}, 0) > 0 or $self->wait_end;
    delete $self->{pid};
}

# The end of a process that is no child.
sub wait_end {
    my ($self) = @_;
    for (1 .. 200) { return if !kill 0, $self->{pid}; sleep 0.05 }
}

sub DESTROY { local $?; $_[0]->stop('TERM') }


package CheckoutTest::FakeRedis;

# A server that misbehaves on purpose. The script is called in a process of its own for each connection, with
# the socket and the connection's number from 0; SELECT is answered beforehand.

use strict;
use warnings;

sub start {
    my ($class, $script) = @_;
    my $listen = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1', LocalPort => 0) or die "listen: $!";
    my $self = bless { owner => $$, port => $listen->sockport }, $class;
    $self->{pid} = fork // die "fork: $!";
    return $self if $self->{pid};
    $SIG{CHLD} = 'IGNORE';
    $SIG{TERM} = 'DEFAULT';
    for (my $serial = 0; my $socket = $listen->accept; $serial++) {
        next if fork;
        alarm 20;
        $socket->autoflush(1);
        read_command($socket);
        print $socket "+OK\r\n";
        $script->($socket, $serial);
        POSIX::_exit(0);
    }
    POSIX::_exit(0);
}

# The words of one command.
sub read_command {
    my ($socket) = @_;
    my ($count) = (<$socket> // return) =~ /^\*(\d+)/ or die 'no command';
    my @words;
    for (1 .. $count) {
        my ($length) = <$socket> =~ /^\$(\d+)/ or die 'no word';
        read $socket, my $word, $length + 2;
        push @words, substr $word, 0, $length;
    }
    return @words;
}

sub port { $_[0]{port} }

sub stop {
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};
}

sub DESTROY { local $?; $_[0]->stop }

1;
