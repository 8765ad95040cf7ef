# lease, by itself, on a real Redis.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use CheckoutRedis;
use Test::More;

my $redis = CheckoutRedis->start;
my $r = $redis->client;

sub lease { return $redis->script('lease', ['workers'], [@_]) }

is lease('recount', 'a', 1, '-'), 1, 'who asks first has it';
is $r->hget('workers', 'lease:recount'), 'a 1';
is lease('recount', 'b', 1, '-'), 'a 1', 'the other one sees whose it is';
is lease('recount', 'a', 2, '-'), 1, 'the owner renews it';
is lease('recount', 'b', 2, 'a 1'), 'a 2', 'one that was renewed is not taken over';
is lease('recount', 'b', 3, 'a 2'), 1, 'one that stayed as it was seen is';
is lease('recount', 'a', 3, '-'), 'b 3', 'the owner that was silent has lost it';
is lease('recount', 'a', '-', '-'), 1, 'what is another\'s is not given back';
is $r->hget('workers', 'lease:recount'), 'b 3';
is lease('recount', 'b', '-', '-'), 1;
is $r->hget('workers', 'lease:recount'), undef, 'given back: nobody has it';
is lease('sweep', 'b', 4, '-'), 1, 'each task is a lease of its own';
is lease('recount', 'a', 5, 'b 3'), 1, 'one that is nobody\'s is taken at once';

done_testing;
