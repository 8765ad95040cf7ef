# W4: kill -9 at random moments while orders come in. The seed is printed; SEED=N repeats a run, KILLS=N sets its length (200).
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Time::HiRes qw(sleep time);
use WorkerTest;

my $seed  = $ENV{SEED}  // time ^ $$;
my $kills = $ENV{KILLS} // 200;
srand $seed;
diag("SEED=$seed KILLS=$kills");

my $test = WorkerTest->start;
my $redis = $test->redis;
$test->clear;
$test->forget_log;
my @products = 1 .. 6;
$test->load($_, 200 + int rand 2000, $_ % 2 ? () : (per_user_limit => 40)) for @products;

sub random_entry {
    my ($product) = $products[ rand @products ];
    return [ $product, map { [ WorkerTest::identifier(), 1 + int rand 3, 1 + int rand 30 ] } 0 .. int rand 12 ];
}

# What the operator does meanwhile; the gate hears of it from a worker.
sub change_something {
    my $product = $products[ rand @products ];
    my $units = int(rand 200) - 100;
    my $stock = $test->value('SELECT stock FROM products WHERE id = ?', $product);
    $test->change_stock($product, $units < -$stock ? -$stock : $units);
}

my $name = 0;
my @running = map { $test->worker(name => 'w' . ++$name, threads => 1 + $_) } 0, 1;
my $accepted = 0;
my $deadline = time + 300;

for my $kill (1 .. $kills) {
    last if time > $deadline;
    $accepted += grep { $_ eq 'queued' } $test->place(map { random_entry() } 0 .. int rand 4);
    # Two transactions on one row can only wait for each other, so this may be refused as any other may.
    eval { change_something(); 1 } or note $@ if rand() < 0.2;
    sleep rand 0.06;
    my $i = int rand 2;
    $test->end_worker($running[$i], 'KILL');
    # Half of them come back under their own name, the others leave their entries to be taken over.
    $name++ if rand() < 0.5;
    $running[$i] = $test->worker(name => "w$name-$i", threads => 1 + int rand 2);
}

ok($test->wait_drained(30), "$accepted entries, $kills kills: drained");
$test->laws_hold('the laws hold');
$test->end_worker($_) for @running;
$test->clear;
done_testing;
