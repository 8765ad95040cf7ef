package DemoGateway;

# demo/gateway under a test: started on a free port, given its answers, asked for what it did.
#
#     my $gateway = DemoGateway->start(token => 'secret');      # late => seconds
#     $gateway->say('fail', "hang $identifier");                # the first line that fits; no line: succeed
#     my @requests = $gateway->requests;                        # [ time, identifier, word, Order-Status ], oldest first
#     my %decided = $gateway->payments;                         # identifier => { status, payment_id, … }

use strict;
use warnings;
use CheckoutRedis ();
use File::Basename qw(dirname);
use File::Temp;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Time::HiRes qw(sleep);

sub start {
    my ($class, %o) = @_;
    my $self = bless { owner => $$, dir => File::Temp->newdir('/tmp/gateway-XXXXXX'),
        port => CheckoutRedis::free_port() }, $class;
    my @options = map { ("--$_", $o{$_}) } keys %o;
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        { exec dirname(__FILE__) . '/../../demo/gateway', '--listen', "127.0.0.1:$self->{port}", '--state',
            $self->{dir}, @options }
        POSIX::_exit(127);
    }
    for (1 .. 100) {
        return $self if IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{port});
        sleep 0.05;
    }
    die 'the gateway does not answer';
}

sub url { return "http://127.0.0.1:$_[0]{port}/" }

sub say {
    my ($self, @lines) = @_;
    open my $out, '>', "$self->{dir}/say.new" or die $!;
    print $out map { "$_\n" } @lines;
    close $out;
    rename "$self->{dir}/say.new", "$self->{dir}/say";
}

sub read_file { my ($name) = @_; open my $in, '<', $name or return ''; local $/; return scalar(<$in>) // '' }

sub requests { my ($self) = @_; return map { [ split ' ' ] } split /\n/, read_file("$self->{dir}/requests") }

sub payments {
    my ($self) = @_;
    return map { m{([^/]+)$} => decode_json(read_file($_)) } grep { !/\.new/ } glob "$self->{dir}/payments/*";
}

sub forget {
    my ($self) = @_;
    unlink "$self->{dir}/say", "$self->{dir}/requests", glob "$self->{dir}/payments/*";
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
