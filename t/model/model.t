# The model: no law fails within its bounds, and without each part of the protocol one is seen to fail (S2, laws 1 to 6).
#
# Small bounds here, seconds; with CHECKOUT_FULL=1 those of README.md, minutes.
use strict;
use warnings;
use File::Temp qw(tempdir);
use FindBin;
use Test::More;

my $full = $ENV{CHECKOUT_FULL};
my $megabytes = $ENV{MODEL_MEMORY} // 8000;
my $dir = tempdir(CLEANUP => 1);
plan skip_all => 'spin is not installed' if !-x '/usr/bin/spin' && !qx(command -v spin);

# [ name, bounds, only with CHECKOUT_FULL=1 ]
my @HOLDS = (
    [ 'two workers, and MySQL goes back', 'ORDERS=2 UNITS=1 KILLS=0 MYSQL_LOSSES=1' ],
    [ 'Redis goes back, and a kill', 'ORDERS=2 UNITS=1 KILLS=1 MYSQL_LOSSES=0 REDIS_LOSSES=1 WORKERS=1' ],
    [ 'a kill at any step', 'ORDERS=2 UNITS=1 KILLS=1 MYSQL_LOSSES=0' ],
    [ 'an operator changes the product meanwhile', 'ORDERS=2 UNITS=1 KILLS=0 MYSQL_LOSSES=1 WORKERS=1 OPERATE', 1 ],
    [ 'two workers, two units', 'ORDERS=2 UNITS=2 KILLS=0 MYSQL_LOSSES=1', 1 ],
    [ 'a kill at any step, and MySQL goes back', 'ORDERS=2 UNITS=1 KILLS=1 MYSQL_LOSSES=1 WORKERS=1', 1 ],
    [ 'payments and cancellations', 'ORDERS=2 UNITS=1 KILLS=0 MYSQL_LOSSES=1 WORKERS=1 PAY CANCEL', 1 ],
    [ 'two recoveries at once, a kill', 'ORDERS=1 UNITS=1 KILLS=1 MYSQL_LOSSES=1 WORKERS=1 RECONCILERS=2', 1 ],
    [ 'MySQL goes back twice', 'ORDERS=1 UNITS=1 KILLS=1 MYSQL_LOSSES=2 WORKERS=1', 1 ],
    [ 'MySQL and Redis go back', 'ORDERS=2 UNITS=1 KILLS=0 MYSQL_LOSSES=1 REDIS_LOSSES=1 WORKERS=1', 1 ],
    [ 'Redis goes back, two workers, a kill', 'ORDERS=2 UNITS=2 KILLS=1 MYSQL_LOSSES=0 REDIS_LOSSES=1', 1 ],
);

# [ what is left out, bounds, only with CHECKOUT_FULL=1 ]
my @FAILS = (
    [ 'SETTLE_BEFORE_COMMIT',  'ORDERS=2 UNITS=1 KILLS=0 MYSQL_LOSSES=1' ],
    [ 'NO_NONCE',              'ORDERS=2 UNITS=1 KILLS=0 MYSQL_LOSSES=0 REDIS_LOSSES=1' ],
    [ 'NO_EPOCH',              'ORDERS=2 UNITS=2 KILLS=0 MYSQL_LOSSES=1' ],
    [ 'NO_ANNOUNCE',           'ORDERS=2 UNITS=2 KILLS=0 MYSQL_LOSSES=1' ],
    [ 'PROOF_OUTSIDE_LOCK',    'ORDERS=2 UNITS=2 KILLS=0 MYSQL_LOSSES=1' ],
    [ 'NO_RECOVERING',         'ORDERS=2 UNITS=1 KILLS=0 MYSQL_LOSSES=1 WORKERS=1 OPERATE' ],
    [ 'NO_PROOF',              'ORDERS=2 UNITS=1 KILLS=0 MYSQL_LOSSES=1 WORKERS=1 OPERATE', 1 ],
    [ 'IN_FLIGHT_NOT_COUNTED', 'ORDERS=2 UNITS=2 KILLS=0 MYSQL_LOSSES=1', 1 ],
    [ 'RECORD_NOT_READ',       'ORDERS=2 UNITS=1 KILLS=0 MYSQL_LOSSES=1 WORKERS=1 PAY CANCEL', 1 ],
    [ 'UNVERSIONED',           'ORDERS=2 UNITS=2 KILLS=0 MYSQL_LOSSES=1', 1 ],
    [ 'STOCK_WITHOUT_ROW',     'ORDERS=2 UNITS=1 KILLS=0 MYSQL_LOSSES=0 WORKERS=1 CANCEL' ],
);

# Returns errors found, and what the verifier printed. Undef: it did not look at everything.
sub verify {
    my ($name, @defines) = @_;
    my $folder = "$dir/$name";
    mkdir $folder;
    my $flags = join ' ', map {"-D$_"} @defines;
    my $compile = "cc -O2 -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=$megabytes -o pan pan.c";
    my $text = qx(cd $folder && cp $FindBin::Bin/checkout.pml . && spin -a $flags checkout.pml 2>&1 && $compile 2>&1 &&
                  ./pan -m100000 -E -n 2>&1);
    my ($errors) = $text =~ /errors: (\d+)/;
    $errors = undef if !$errors && $text =~ /max search depth too small|out of memory|Search not completed/;
    $text .= qx(cd $folder && spin -t $flags checkout.pml 2>&1 | head -n 60) if $errors;
    return ($errors, $text);
}

for my $case (grep { !$_->[2] || $full } @HOLDS) {
    my ($errors, $text) = verify('holds', split ' ', $case->[1]);
    my ($states) = $text =~ /(\d\S*) states, stored/;
    is($errors, 0, "$case->[0]: no law fails in " . ($states // 'no') . ' states') or diag($text);
}

for my $case (grep { !$_->[2] || $full } @FAILS) {
    my ($errors, $text) = verify("fails", "BREAK_$case->[0]", split ' ', $case->[1]);
    is($errors, 1, "broken on purpose, $case->[0]: a law is seen to fail") or diag($text);
}
done_testing;
