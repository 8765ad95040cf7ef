package HttpSink;

# A server that takes what is posted to it, as a shop does, and misbehaves on demand.
#
#     my $sink = HttpSink->start;
#     $sink->say('500');                          # a status, or: hang, cut, close, redirect, flood, slow SECONDS
#     my @requests = $sink->requests;             # { time, headers => { … }, body }, oldest first
#     $sink->url;
#
# Each connection has a process of its own; what was received lies in a file, before it is answered.

use strict;
use warnings;
use File::Temp;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(sleep time);

sub start {
    my ($class, %o) = @_;
    my $listen = listener(%o);
    my $self = bless { owner => $$, dir => File::Temp->newdir('/tmp/sink-XXXXXX'), port => $listen->sockport }, $class;
    $self->say('200');
    $self->{pid} = fork // die "fork: $!";
    return $self if $self->{pid};
    $SIG{CHLD} = 'IGNORE';
    $SIG{TERM} = 'DEFAULT';
    while (1) {
        my $socket = $listen->accept or next;
        next if fork;
        alarm 30;
        $socket->autoflush(1);
        eval { $self->serve($socket) };
        close $socket;
        POSIX::_exit(0);
    }
}

sub listener {
    my (%o) = @_;
    my %where = (Listen => 256, LocalAddr => '127.0.0.1', LocalPort => $o{port} // 0, ReuseAddr => 1);
    return IO::Socket::INET->new(%where) || die "listen: $!";
}

sub url { my ($self) = @_; return "http://127.0.0.1:$self->{port}/hook" }

sub say {
    my ($self, $word) = @_;
    open my $out, '>', "$self->{dir}/say.new" or die $!;
    print $out $word;
    close $out;
    rename "$self->{dir}/say.new", "$self->{dir}/say";
}

sub read_file { my ($name) = @_; open my $in, '<:raw', $name or return ''; local $/; return scalar(<$in>) // '' }

sub requests {
    my ($self) = @_;
    return map { decode_json($_) } split /\n/, read_file("$self->{dir}/requests");
}

sub forget { my ($self) = @_; unlink "$self->{dir}/requests" }

sub serve {
    my ($self, $socket) = @_;
    my $line = <$socket> // return;
    my %request = (line => $line =~ s/\s+$//r, time => time, headers => {});
    while (defined($line = <$socket>) && $line =~ /^([^:\s]+):\s*(.*?)\r?\n$/) { $request{headers}{ lc $1 } = $2 }
    read $socket, $request{body}, $request{headers}{'content-length'} // 0;
    open my $log, '>>', "$self->{dir}/requests" or die $!;
    syswrite $log, encode_json(\%request) . "\n";
    close $log;
    my ($word, $number) = split ' ', read_file("$self->{dir}/say");
    return sleep 30 if $word eq 'hang';
    return if $word eq 'close';
    sleep $number if $word eq 'slow';
    my $status = $word =~ /^\d+$/ ? $word : $word eq 'redirect' ? 307 : 200;
    my $head = "HTTP/1.1 $status Said\r\nConnection: close\r\n"
        . ($word eq 'redirect' ? 'Location: ' . $self->url . "/elsewhere\r\n" : '');
    return print $socket "$head\r\n", 'x' x 100_000 if $word eq 'flood';
    return print $socket "${head}Content-Length: 100\r\n\r\nhalf" if $word eq 'cut';
    print $socket "${head}Content-Length: 2\r\n\r\nok";
}

sub stop {
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    kill 'TERM', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};
}

sub DESTROY { local ($?, $@); $_[0]->stop }

1;
