package Campaign::Proxy;

# A TCP proxy on loopback whose connections can be cut, slowed down and silenced.
#
#     my $proxy = Campaign::Proxy->start($port_of_the_server);
#     $proxy->port;                # where clients connect instead
#     $proxy->cut;                 # every connection ends now; new ones work
#     $proxy->slow($ms, $s);       # each piece of data waits so long, for $s seconds
#     $proxy->silence($s);         # nothing passes for so long; connections stay
#     $proxy->lead_to($port);      # new connections go to another server
#     $proxy->stop;
#
# It is a process of its own; commands go through a pipe. Data is never changed, and never passed in another order.

use strict;
use warnings;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

my $PIECE = 65536;           # bytes that are read at once
my $HELD  = 4 * 1024 * 1024; # bytes that wait for one side, at most: then its peer is not read

sub start {
    my ($class, $server) = @_;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 256, ReuseAddr => 1)
        or die "proxy: $!\n";
    pipe my $commands, my $out or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        close $out;
        my $self = bless { listen => $listen, server => $server, commands => $commands, side => {}, delay => 0,
            until => 0,
            silent => 0 }, $class;
        eval { $self->run };
        warn "proxy: $@" if $@;
        POSIX::_exit($@ ? 1 : 0);
    }
    close $commands;
    $out->autoflush(1);
    return bless { pid => $pid, out => $out, port => $listen->sockport }, $class;
}

sub port { return $_[0]{port} }
sub cut { return $_[0]->send_command('cut') }
sub slow { my ($self, $ms, $seconds) = @_; return $self->send_command("slow $ms $seconds") }
sub silence { my ($self, $seconds) = @_; return $self->send_command("silence $seconds") }

sub lead_to { my ($self, $port) = @_; return $self->send_command("server $port") }

sub send_command { my ($self, $text) = @_; local $SIG{PIPE} = 'IGNORE'; return print { $self->{out} } "$text\n" }

sub stop {
    my ($self) = @_;
    my $pid = delete $self->{pid} or return;
    kill 'TERM', $pid;    # another child may hold the pipe, so that closing it ends nothing
    waitpid $pid, 0;
    close delete $self->{out};
}


# --- the process -----------------------------------------------------------------------------------------------

# A side: { socket, peer, out => [ [due, data] … ], held => bytes, eof }. What was read of a side stands in its peer's
# `out`.
sub run {
    my ($self) = @_;
    local $SIG{PIPE} = 'IGNORE';
    while (1) {
        my @reading = map { $_->{socket} } grep { !$_->{eof} && $_->{peer}{held} < $HELD } values %{ $self->{side} };
        my $now     = time;
        my @due     = grep { @{ $_->{out} } && $self->may_pass($_, $now) } values %{ $self->{side} };
        my @waiting = grep { @{ $_->{out} } } values %{ $self->{side} };
        my ($in, $out) = IO::Select::select(IO::Select->new(@reading, $self->{listen}, $self->{commands}),
            @due ? IO::Select->new(map { $_->{socket} } @due) : undef, undef, @waiting && !@due ? 0.002 : 1);
        for my $socket (@{ $in // [] }) {
            if ($socket == $self->{listen}) { $self->accept_client }
            elsif ($socket == $self->{commands}) { return if !$self->command }
            else { $self->read_side($socket) }
        }
        for my $socket (@{ $out // [] }) {
            my $side = $self->{side}{$socket} or next;    # closed a moment ago
            $self->write_side($side);
        }
    }
}

sub may_pass {
    my ($self, $side, $now) = @_;
    return $now >= $self->{silent} && $now >= $side->{out}[0][0];
}

# False at the end of the pipe.
sub command {
    my ($self) = @_;
    my $text;
    sysread $self->{commands}, $text, 4096 or return 0;
    for (split /\n/, $text) {
        my ($word, @value) = split ' ';
        if ($word eq 'cut') { $self->cut_all }
        elsif ($word eq 'slow') { @$self{qw(delay until)} = ($value[0] / 1000, time + $value[1]) }
        elsif ($word eq 'server') { $self->{server} = $value[0] }
        elsif ($word eq 'silence') { $self->{silent} = time + $value[0] }
    }
    return 1;
}

sub cut_all {
    my ($self) = @_;
    for my $key (keys %{ $self->{side} }) {
        my $side = $self->{side}{$key} or next;    # closed with its peer
        $self->close_pair($side);
    }
}

sub accept_client {
    my ($self) = @_;
    my $client = $self->{listen}->accept or return;
    my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{server}, Timeout => 1);
    if (!$server) {
        close $client;
        return;
    }
    for my $socket ($client, $server) {
        $socket->blocking(0);
        setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    }
    my ($one, $other) = map { { socket => $_, out => [], held => 0 } } $client, $server;
    $one->{peer}   = $other;
    $other->{peer} = $one;
    $self->{side}{ $_->{socket} } = $_ for $one, $other;
}

sub read_side {
    my ($self, $socket) = @_;
    my $side = $self->{side}{$socket} or return;
    my $data;
    my $got = sysread $socket, $data, $PIECE;
    return if !defined $got && ($!{EAGAIN} || $!{EINTR});
    return $self->end_of($side) if !$got;
    my $delay = time < $self->{until} ? $self->{delay} : 0;
    push @{ $side->{peer}{out} }, [ time + $delay, $data ];
    $side->{peer}{held} += $got;
}

# What was read before the end still goes to the other side.
sub end_of {
    my ($self, $side) = @_;
    $side->{eof} = 1;
    $self->close_pair($side) if !@{ $side->{peer}{out} };
}

sub write_side {
    my ($self, $side) = @_;
    while (@{ $side->{out} }) {
        return if !$self->may_pass($side, time);
        my $piece = $side->{out}[0];
        my $sent  = syswrite $side->{socket}, $piece->[1];
        return if !defined $sent && ($!{EAGAIN} || $!{EINTR});
        return $self->close_pair($side) if !defined $sent;
        $side->{held} -= $sent;
        substr($piece->[1], 0, $sent) = '';
        shift @{ $side->{out} } if $piece->[1] eq '';
    }
    $self->close_pair($side) if $side->{peer}{eof};
}

sub close_pair {
    my ($self, $side) = @_;
    for my $one (grep { $_ && $_->{socket} } $side->{peer}, $side) {
        delete $self->{side}{ $one->{socket} };
        close delete $one->{socket};
    }
    delete $side->{peer}{peer};
    delete $side->{peer};
}

1;
