package HttpBurst;

# Many HTTP requests at once, over a fixed number of keep-alive connections; Perl's own modules only.
#
#     my @answers = HttpBurst::burst(port => 8080, connections => 64, requests => [ [ 'POST', $path, $json ], … ]);
#     # one answer per request, in the requests' order:
#     #     { status => 202, headers => { location => … }, body => '…' }
#     #     { status => 0, error => 'closed', sent => 1 }   no whole answer; sent: some of the request was written
#
# Each connection has one request under way at a time. A request is sent once, never again. `before_each` is called
# with the number of requests that have been given out, before each one: a place to break something in the middle.

use strict;
use warnings;
use Errno qw(EINPROGRESS EAGAIN EINTR);
use IO::Select;
use IO::Socket::INET;
use Socket qw(pack_sockaddr_in inet_aton SOCK_STREAM PF_INET IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_ERROR);
use Time::HiRes ();

sub burst {
    my (%o) = @_;
    my $self = bless {
        address     => pack_sockaddr_in($o{port}, inet_aton('127.0.0.1')),
        requests    => $o{requests},
        next        => 0,
        answers     => [],
        before_each => $o{before_each},
        reading     => IO::Select->new,
        writing     => IO::Select->new,
        connections => {},
    }, __PACKAGE__;
    my $deadline = Time::HiRes::time() + ($o{timeout} // 60);
    my $count    = $o{connections} < @{ $o{requests} } ? $o{connections} : scalar @{ $o{requests} };

    local $SIG{PIPE} = 'IGNORE';
    $self->give_next_request(undef) for 1 .. $count;
    while (%{ $self->{connections} }) {
        last if Time::HiRes::time() > $deadline;
        my ($readable, $writable) = IO::Select::select($self->{reading}, $self->{writing}, undef, 0.5);
        $self->write_some($_) for $self->connections_of($writable);
        $self->read_some($_)  for $self->connections_of($readable);
    }
    $self->finish($_, { status => 0, error => 'no answer in time', sent => $_->{sent} })
        for values %{ $self->{connections} };
    return @{ $self->{answers} };
}

# Of sockets that select() found ready, the connections; one may have been closed since.
sub connections_of {
    my ($self, $sockets) = @_;
    return map { $self->{connections}{$_} // () } grep { defined } map { fileno $_ } @{ $sockets // [] };
}

sub open_connection {
    my ($self) = @_;
    socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!";
    $socket = bless $socket, 'IO::Handle';
    $socket->blocking(0);
    setsockopt $socket, IPPROTO_TCP, TCP_NODELAY, 1;
    connect($socket, $self->{address}) or $! == EINPROGRESS or return (undef, "$!");
    my $connection = { socket => $socket, fileno => fileno $socket };
    $self->{connections}{ fileno $socket } = $connection;
    return ($connection, '');
}

# Hands the next request to a connection that is free; a new one is opened where there is none.
sub give_next_request {
    my ($self, $connection) = @_;
    while ($self->{next} < @{ $self->{requests} }) {
        my $n = $self->{next}++;
        $self->{before_each}->($n) if $self->{before_each};
        my $error = '';
        ($connection, $error) = $self->open_connection unless $connection;
        if (!$connection) {
            $self->{answers}[$n] = { status => 0, error => $error, sent => 0 };
            next;
        }
        @{$connection}{qw(number out in sent)} = ($n, request_text(@{ $self->{requests}[$n] }), '', 0);
        $connection->{head} = $self->{requests}[$n][0] eq 'HEAD';
        $self->{reading}->add($connection->{socket});
        $self->{writing}->add($connection->{socket});
        return;
    }
    $self->drop($connection) if $connection;
}

sub request_text {
    my ($method, $path, $body, @headers) = @_;
    my $text = "$method $path HTTP/1.1\r\nHost: localhost\r\n";
    while (my ($name, $value) = splice @headers, 0, 2) {
        $text .= "$name: $value\r\n";
    }
    return "$text\r\n" unless defined $body;
    return "${text}Content-Type: application/json\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
}

sub write_some {
    my ($self, $connection) = @_;
    my $written = syswrite $connection->{socket}, $connection->{out};
    if (!defined $written) {
        return if $! == EAGAIN || $! == EINTR;
        return $self->fail($connection, "$!");
    }
    substr($connection->{out}, 0, $written) = '';
    $connection->{sent} = 1 if $written;
    $self->{writing}->remove($connection->{socket}) if $connection->{out} eq '';
}

sub read_some {
    my ($self, $connection) = @_;
    my $got = sysread $connection->{socket}, $connection->{in}, 65536, length $connection->{in};
    return if !defined $got && ($! == EAGAIN || $! == EINTR);
    return $self->fail($connection, defined $got ? 'closed' : "$!") if !$got;
    my $answer = parse_answer($connection->{in}, $connection->{head}) or return;
    if (($answer->{headers}{connection} // '') eq 'close') {
        $self->finish($connection, $answer);
        return $self->give_next_request(undef);
    }
    $self->{answers}[ $connection->{number} ] = $answer;
    $self->give_next_request($connection);
}

# A whole answer, or nothing yet.
sub parse_answer {
    my ($text, $head) = @_;
    my $end = index $text, "\r\n\r\n";
    return if $end < 0;
    my ($first, @lines) = split /\r\n/, substr $text, 0, $end;
    my ($status) = $first =~ m{^HTTP/1\.[01] (\d+)} or return { status => 0, error => "bad answer: $first", sent => 1 };
    my %headers = map { my ($name, $value) = split /:\s*/, $_, 2; (lc $name => $value) } @lines;
    my $body    = $head ? '' : whole_body(\%headers, substr $text, $end + 4);
    return if !defined $body;
    return { status => $status, headers => \%headers, body => $body };
}

# undef: some of it is still missing.
sub whole_body {
    my ($headers, $text) = @_;
    if (($headers->{'transfer-encoding'} // '') ne 'chunked') {
        return length $text < ($headers->{'content-length'} // 0) ? undef : $text;
    }
    my $body = '';
    while ($text =~ s/^([0-9a-fA-F]+)\r\n//) {
        my $length = hex $1;
        return $body if !$length;
        return if length $text < $length + 2;
        $body .= substr $text, 0, $length;
        substr($text, 0, $length + 2) = '';
    }
    return;
}

sub fail {
    my ($self, $connection, $error) = @_;
    $self->finish($connection, { status => 0, error => $error, sent => $connection->{sent} });
    $self->give_next_request(undef);
}

sub finish {
    my ($self, $connection, $answer) = @_;
    $self->{answers}[ $connection->{number} ] = $answer;
    $self->drop($connection);
}

sub drop {
    my ($self, $connection) = @_;
    $self->{reading}->remove($connection->{socket});
    $self->{writing}->remove($connection->{socket});
    delete $self->{connections}{ $connection->{fileno} };
    close $connection->{socket};
}

# One request by itself.
sub request {
    my ($port, @request) = @_;
    my ($answer) = burst(port => $port, connections => 1, requests => [ \@request ], timeout => 10);
    return $answer;
}

1;
