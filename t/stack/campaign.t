# A short campaign: all kinds of faults, on a stack of its own. `make campaign` runs longer ones.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Campaign::Faults;
use Test::More;

my $seed    = $ENV{SEED}    // int rand 1_000_000;
my $seconds = $ENV{SECONDS} // 25;

subtest 'the seed alone decides the plan' => sub {
    my @plan = Campaign::Faults::plan(7, 1000, 1);
    is_deeply([ Campaign::Faults::plan(7, 1000, 1) ], \@plan, 'the same again');
    my %seen = map { $_->{kind} => 1 } @plan;
    is_deeply([ sort keys %seen ], [ Campaign::Faults::kinds() ], 'every kind comes');
    isnt(scalar(grep { $plan[$_]{kind} ne (Campaign::Faults::plan(8, 1000, 1))[$_]{kind} } 0 .. 20), 0, 'another seed, another plan');
};

my $text = qx($FindBin::Bin/../lib/campaign --seconds $seconds --seed $seed 2>&1);
is($? >> 8, 0, "laws 1 to 6 hold after a campaign, SEED=$seed") or diag($text);
like($text, qr/^all laws hold$/m, 'and it says so');
my ($faults) = $text =~ /^(\d+) faults/m;
cmp_ok($faults // 0, '>=', 5, ($faults // 'no') . ' faults');
my ($accepted) = $text =~ /order 202: (\d+)/;
cmp_ok($accepted // 0, '>', 100, ($accepted // 'no') . ' orders were accepted');
done_testing;
