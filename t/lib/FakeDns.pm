package FakeDns;

# A name server for tests: A records of names that may move, RFC 1035 as far as a resolver asks.
#
#     my $dns = FakeDns->start('redis.test' => '127.0.0.2');
#     $dns->set('redis.test' => '127.0.0.3,127.0.0.4');

use strict;
use warnings;
use File::Temp;
use IO::Socket::INET;
use POSIX ();

sub start {
    my ($class, %names) = @_;
    my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Proto => 'udp') or die "udp: $!";
    my $self = bless { owner => $$, port => $socket->sockport, names => {}, file => File::Temp->new }, $class;
    $self->set(%names);
    $self->{pid} = fork // die "fork: $!";
    return $self if $self->{pid};
    $SIG{TERM} = 'DEFAULT';
    while (defined $socket->recv(my $query, 512)) {
        my $reply = $self->reply($query);
        $socket->send($reply) if $reply;
    }
    POSIX::_exit(0);
}

# The process that answers reads the file anew for each question.
sub set {
    my ($self, %names) = @_;
    %{ $self->{names} } = (%{ $self->{names} }, %names);
    open my $file, '>', $self->{file}->filename or die $!;
    print $file map {"$_ $self->{names}{$_}\n"} keys %{ $self->{names} };
    close $file;
}

sub reply {
    my ($self, $query) = @_;
    my ($id, undef, $questions) = unpack 'n3', $query;
    return if $questions != 1;
    my ($at, @labels) = (12);
    while (my $length = unpack 'C', substr $query, $at, 1) {
        push @labels, substr $query, $at + 1, $length;
        $at += 1 + $length;
    }
    my $question = substr $query, 12, $at + 5 - 12;
    open my $file, '<', $self->{file}->filename or return;
    my %names = map { split ' ' } <$file>;
    my @addresses = split /,/, $names{ join '.', @labels } // '';
    return pack('n6', $id, 0x8183, 1, 0, 0, 0) . $question if !@addresses;
    return pack('n6', $id, 0x8180, 1, scalar @addresses, 0, 0) . $question
        . join '', map { pack 'n3 N n C4', 0xc00c, 1, 1, 1, 4, split /\./ } @addresses;
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
