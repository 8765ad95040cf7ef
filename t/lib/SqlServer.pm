package SqlServer;

# MySQL servers of a test's own, and servers that misbehave on purpose in their place.
#
#     my $server = SqlServer->start(options => ['--max-connections=20']);     # empty, but for a database "checkout"
#     $server->do('CREATE TABLE …');                  # as the administrator
#     my $n = $server->value('SELECT COUNT(*) …');
#     $server->pause; $server->resume; $server->kill; $server->restart;
#     my $silent = SqlServer::Fake->start(sub { my ($socket) = @_; sleep 60 });
#     $silent->connections;                           # how many there have been
#
# User "edge" with the password in $server->password_file may do all. The program is $MYSQLD, or mariadbd, or mysqld.
# Servers end with the test.

use strict;
use warnings;
use CheckoutRedis ();
use DBI;
use File::Temp;
use POSIX ();
use Suspend;
use Time::HiRes qw(sleep);

our $program = $ENV{MYSQLD}
    // ((grep { -x "$_/mariadbd" } split(/:/, $ENV{PATH}), '/usr/sbin') ? 'mariadbd' : 'mysqld');
our $is_mariadb = qx($program --version 2>&1) =~ /MariaDB/;

my $template;    # an initialised data directory
my $password_file;
my $user = getpwuid $>;
my $ids = 0;

sub run_quietly { my ($log, @words) = @_; system("@words > $log 2>&1") == 0 or die "@words: " . qx(tail -n 5 $log) }

sub template {
    return $template if $template;
    $template = File::Temp->newdir('sql-XXXXXX', TMPDIR => 1);
    run_quietly("$template/log", $is_mariadb
        ? "mariadb-install-db --no-defaults --datadir=$template/data --auth-root-authentication-method=socket"
            . " --auth-root-socket-user=$user --skip-test-db --skip-name-resolve"
        : "$program --no-defaults --initialize-insecure --datadir=$template/data --user=$user");
    return $template;
}

sub start {
    my ($class, %o) = @_;
    my $dir = File::Temp->newdir('sql-XXXXXX', TMPDIR => 1);
    my $self = bless { owner => $$, dir => $dir, port => CheckoutRedis::free_port(), id => ++$ids,
        options => $o{options} // [], program => $program }, $class;
    system('cp', '-a', template() . '/data', "$dir/data") == 0 or die 'cp';
    unlink "$dir/data/auto.cnf";
    $self->launch;
    $self->do($_) for 'CREATE DATABASE checkout', map { ("CREATE USER edge\@$_ IDENTIFIED BY 'opensesame'",
        "GRANT ALL ON *.* TO edge\@$_") } '127.0.0.1', 'localhost';
    return $self;
}

sub launch {
    my ($self) = @_;
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        open STDERR, '>>', "$self->{dir}/log";
        open STDOUT, '>&', \*STDERR;
        { exec $self->{program}, '--no-defaults', "--datadir=$self->{dir}/data", "--socket=$self->{dir}/s",
            "--port=$self->{port}", "--server-id=$self->{id}", "--pid-file=$self->{dir}/pid",
            '--bind-address=127.0.0.1', '--skip-name-resolve', "--user=$user",
            '--innodb-buffer-pool-size=16M', '--innodb-flush-log-at-trx-commit=0',
            $is_mariadb ? () : ('--mysqlx=OFF', '--skip-log-bin', '--secure-file-priv='),
            @{ $self->{options} } };
        POSIX::_exit(127);
    }
    for (1 .. 300) {
        return if eval { $self->administrator->ping };
        sleep 0.1;
    }
    die "$self->{program} did not start: " . qx(tail -n 5 $self->{dir}/log);
}

sub administrator {
    my ($self) = @_;
    return $self->{dbh} if $self->{dbh} && $self->{dbh}->ping;
    $self->{dbh} = DBI->connect("DBI:MariaDB:mariadb_socket=$self->{dir}/s", $is_mariadb ? $user : 'root', '',
        { RaiseError => 1, PrintError => 0, AutoInactiveDestroy => 1 });
    return $self->{dbh};
}

sub do { my ($self, @statement) = @_; return $self->administrator->do(@statement) }
sub value { my ($self, @statement) = @_; return ($self->administrator->selectrow_array(@statement))[0] }
sub port { $_[0]{port} }
sub address { "127.0.0.1:$_[0]{port}" }
sub socket_file { "$_[0]{dir}/s" }
sub id { $_[0]{id} }

# Connections of user edge.
sub connections { $_[0]->value("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'edge'") }

sub password_file {
    if (!$password_file) {
        $password_file = File::Temp->new;
        print {$password_file} "opensesame\nand what follows is not read\n";
        $password_file->flush;
    }
    return "$password_file";
}

sub pause { Suspend::stop($_[0]{pid}) }
sub resume { Suspend::go_on($_[0]{pid}) }

sub kill {
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    delete $self->{dbh};
    CORE::kill 'KILL', $self->{pid};
    waitpid delete $self->{pid}, 0;
}

sub restart { my ($self) = @_; $self->kill; $self->launch }

sub DESTROY { local $?; $_[0]->kill }


package SqlServer::Fake;

use strict;
use warnings;
use IO::Socket::INET;

# The script is called in a process of its own for each connection, with the socket and the connection's number from 0.
# It listens at 127.0.0.1, or at another address: 0.0.0.0 is all of 127.0.0.0/8.
sub start {
    my ($class, $script, $address) = @_;
    my $listen = IO::Socket::INET->new(Listen => 64, LocalAddr => $address // '127.0.0.1', LocalPort => 0)
        or die "listen: $!";
    my $self = bless { owner => $$, port => $listen->sockport, file => File::Temp->new }, $class;
    $self->{pid} = fork // die "fork: $!";
    return $self if $self->{pid};
    $SIG{CHLD} = 'IGNORE';
    $SIG{TERM} = 'DEFAULT';
    for (my $serial = 0; my $socket = $listen->accept; $serial++) {
        open my $out, '>>', "$self->{file}";
        syswrite $out, '.';
        close $out;
        next if fork;
        alarm 20;
        $socket->autoflush(1);
        $script->($socket, $serial);
        POSIX::_exit(0);
    }
    POSIX::_exit(0);
}

sub connections { -s "$_[0]{file}" // 0 }
sub address { "127.0.0.1:$_[0]{port}" }

sub stop {
    my ($self) = @_;
    return if !$self->{pid} || $self->{owner} != $$;
    kill 'TERM', $self->{pid};
    waitpid delete $self->{pid}, 0;
}

sub DESTROY { local $?; $_[0]->stop }

1;
