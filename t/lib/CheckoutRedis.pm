package CheckoutRedis;

# A private redis-server for tests, and the project's scripts as the programs send them.
#
#     my $redis = CheckoutRedis->start;             # stopped when the test ends
#     $redis->load(1, stock => 10);                 # a product at the gate, through push.lua
#     $redis->script('find_order', \@keys, \@args);
#     $redis->client->get('product:1:stock');       # a plain Redis client, database 1

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Spec;
use File::Temp;
use IO::Socket::INET;
use POSIX ();
use Redis;

my $root = File::Spec->rel2abs(dirname(__FILE__) . '/../..');

# The source of a script with its includes pasted in, as common/lua/embed does it.
sub source {
    my ($name) = @_;
    my $text = '';
    open my $fh, '<', "$root/common/lua/$name" or die "common/lua/$name: $!";
    while (my $line = <$fh>) {
        $text .= $line =~ /^--#include (\S+)/ ? source($1) : $line;
    }
    return $text;
}

sub free_port {
    my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', LocalPort => 0) or die "no free port: $!";
    return $socket->sockport;
}

# Options are added to redis-server's command line: start(maxmemory => '4mb').
sub start {
    my ($class, %options) = @_;
    make_path("$root/.run");
    my $self = bless {
        port => free_port(), dir => File::Temp->newdir("$root/.run/redis-XXXXXX"), owner => $$, options => \%options,
    }, $class;
    $self->_launch;
    return $self;
}

sub _launch {
    my ($self) = @_;
    my %options = (
        port => $self->{port}, bind => '127.0.0.1', dir => "$self->{dir}", save => '', appendonly => 'no',
        logfile => "$self->{dir}/log", daemonize => 'no', %{ $self->{options} },
    );
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        open STDOUT, '>', '/dev/null';
        { exec 'redis-server', map { ("--$_", $options{$_}) } sort keys %options };
        POSIX::_exit(127);
    }
    for (1 .. 100) {
        $self->{client} = eval { Redis->new(server => "127.0.0.1:$self->{port}", encoding => undef, reconnect => 2) };
        last if $self->{client} && eval { $self->{client}->ping };
        select undef, undef, undef, 0.05;
    }
    die "redis-server does not answer; see $self->{dir}/log" if !$self->{client};
    $self->{client}->select(1);
}

sub stop {
    my ($self, $signal) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    kill $signal // 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};
}

sub DESTROY { local $?; $_[0]->stop }
sub port    { $_[0]{port} }
sub client  { $_[0]{client} }

# Runs a script; a Redis error dies with its text.
sub script {
    my ($self, $name, $keys, $args) = @_;
    my $reply = $self->{client}->eval(source("$name.lua"), scalar @$keys, @$keys, @$args);
    return $reply;
}

sub product_keys { my ($id) = @_; return ("product:$id:stock", "product:$id:register") }

# Loads a product, or pushes a newer version: stock, version, opens_at, closes_at, per_user_limit, max_quantity, state.
# create => 0: only where it is loaded; recount => 1: what is in flight is counted too; buyers: what the register then says
# of them, '' as the release before leaves it (the default).
sub load {
    my ($self, $id, %terms) = @_;
    my %all = (version => 1, opens_at => 0, closes_at => 0, per_user_limit => 0, max_quantity => 0, state => 'open', create => 1, %terms);
    my @words = @all{qw(version stock opens_at closes_at per_user_limit max_quantity state)};
    my $mode = $all{recount} ? 'recount' : $all{create} ? 'create' : '';
    my $reply = $mode ? $self->script('load', [ load_keys($id) ], [ $mode, 'checkout-worker', $id, @words, '-' ])
                      : $self->script('push', [ push_keys($id) ], \@words);
    my $buyers = $all{buyers} // '';
    $self->{client}->hdel("product:$id:register", 'buyers') if $buyers eq '' && $reply->[0] >= 0;
    $self->{client}->hset("product:$id:register", 'buyers', $buyers) if $buyers ne '' && $buyers ne 'as pushed';
    $self->{client}->hset("product:$id:buyers", '0', 0) if $buyers eq 'complete';
    return $reply->[0];
}

# The keys of the script push.
sub push_keys { my ($id) = @_; return (product_keys($id), "product:$id:buyers") }

# The keys of the script load.
sub load_keys { my ($id) = @_; return ('order-processing-queue', 'dead-letter-queue', 'gate', 'products', push_keys($id)) }

1;
