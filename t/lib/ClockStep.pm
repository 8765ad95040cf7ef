package ClockStep;

# A server whose clock a test can step.
#
#     my $clock = ClockStep->new;                              # compiles clock_step.c; undef where that is not possible
#     my $redis = do { local %ENV = (%ENV, $clock->env); CheckoutRedis->start };
#     $clock->step(-3600);                                     # from now on an hour behind the machine's clock

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Spec;
use File::Temp;

my $root = File::Spec->rel2abs(dirname(__FILE__) . '/../..');
my $build = $ENV{CHECKOUT_BUILD} // "$root/build";

sub new {
    my ($class) = @_;
    make_path("$build/t");
    my $library = "$build/t/clock_step.so";
    system($ENV{CC} // 'cc', qw(-shared -fPIC -O2 -o), "$library.$$", "$root/t/lib/clock_step.c") == 0 or return;
    rename "$library.$$", $library or return;
    my $self = bless { library => $library, file => File::Temp->new }, $class;
    $self->step(0);
    return $self;
}

sub env { my ($self) = @_; return (LD_PRELOAD => $self->{library}, CLOCK_STEP_FILE => "$self->{file}") }

sub step {
    my ($self, $seconds) = @_;
    open my $out, '+<', "$self->{file}" or die "$self->{file}: $!";
    syswrite $out, pack('q', $seconds);
    return close $out;
}

1;
