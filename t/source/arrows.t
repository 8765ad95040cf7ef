# The drawing of the layers in ngx_module/README.md, worker/README.md and common/README.md is true: includes run down it.
#
# A file is its .c and its .h together. Each fault is reported with file, line, include and the rule that it breaks. The same
# check then runs over small trees, made for it, of which each has one fault: a check that finds nothing guards nothing.

use strict;
use warnings;
use File::Basename qw(dirname);
use File::Find qw(find);
use File::Path qw(make_path);
use File::Spec;
use File::Temp qw(tempdir);
use Test::More;

# From the top to the bottom. A file may include its own layer's files, those of layers below, and common's. What stands on one
# line is one layer: a folder, or files at the tree's top.
my %LAYERS = (
    ngx_module => [
        'ngx_http_checkout_module.c',
        'handlers',
        'conf',
        'gate',
        'sql',
        'redis',
        'request',
        'stats',
    ],
    worker => [
        'checkout_worker.c checkoutctl.c',
        'ctl',
        'intake',
        'lifecycle',
        'outbound',
        'repair',
        'observe',
        'redis',
        'base',
    ],
    common => [
        'lifecycle',
        'mysql',
        'order',
        'text',
        'failpoint.c failpoint.h',
    ],
);

# Which trees a tree may include, in the order in which the compiler searches them.
my %USES = (ngx_module => [qw(ngx_module common)], worker => [qw(worker common)], common => [qw(common)]);

# Made by the build from common/lua and sql: every layer may include them.
my %GENERATED = map { $_ => 1 } qw(checkout_scripts.h checkout_migrations.h);

# The header that a folder keeps to itself. It has no .c, so in a search for circles it stands for what it includes.
my $PRIVATE = 'private.h';


# --- the check -------------------------------------------------------------------------------------------------

# All faults of the trees below a folder, as lines of text.
sub faults {
    my ($root) = @_;
    my %files = map { $_ => 1 } source_files($root);
    my @faults = map { misplaced($_) } sort keys %files;
    push @faults, namesakes(\%files);
    my %arrows;
    for my $file (sort keys %files) {
        for my $include (includes("$root/$file")) {
            my ($fault, $target) = judge($file, $include, \%files);
            my $where = "$file:$include->{line}: #include $include->{text}";
            push @faults, "$where: $fault" if $fault;
            $arrows{ node($file) }{ node($target) } //= $where if $target && node($file) ne node($target);
        }
    }
    see_through($_, \%arrows) for grep { m{/\Q$PRIVATE\E$} } sort keys %files;
    return @faults, circles(\%arrows);
}

# Who includes a private header includes what that includes.
sub see_through {
    my ($header, $arrows) = @_;
    my $behind = delete $arrows->{ node($header) } // {};
    for my $from (grep { $arrows->{$_}{ node($header) } } keys %$arrows) {
        my $where = delete $arrows->{$from}{ node($header) };
        $arrows->{$from}{$_} //= "$where, $behind->{$_}" for grep { $_ ne $from } keys %$behind;
    }
}

sub source_files {
    my ($root) = @_;
    my @trees = grep { -d } map { "$root/$_" } sort keys %LAYERS or return;
    my @found;
    find({ no_chdir => 1, wanted => sub { push @found, File::Spec->abs2rel($_, $root) if /\.[ch]$/ } }, @trees);
    return @found;
}

# What a file includes: its lines without comments.
sub includes {
    my ($path) = @_;
    open my $in, '<', $path or die "$path: $!\n";
    my $text = do { local $/; <$in> };
    $text =~ s{(/\*.*?\*/)}{ $1 =~ s/[^\n]//gr }gse;
    my ($line, @found) = (0);
    for (split /\n/, $text, -1) {
        $line++;
        push @found, { line => $line, text => "$1$2$3", path => $2, own => $1 eq '"' } if /^\s*#\s*include\s*(["<])([^">]+)([">])/;
    }
    return @found;
}

# The rule that an include breaks (undef: none), and the file that it means (undef: none of these trees).
sub judge {
    my ($file, $include, $files) = @_;
    my ($tree, $name) = ($file =~ m{^([^/]+)/}, $include->{path});
    my ($target) = grep { $files->{$_} } map { "$_/$name" } @{ $USES{$tree} };
    return ($target ? 'the project\'s own headers stand in quotes' : undef, $target) if !$include->{own};
    return 'the path has no . and no .. in it' if $name =~ m{(^|/)\.\.?/};
    return rule_against($file, $target), $target if $target;
    return undef if $GENERATED{$name};
    return 'an include says the folder of its file' if $files->{ dirname($file) . "/$name" };
    my ($stranger) = grep { $files->{"$_/$name"} } sort keys %LAYERS;
    return "$tree does not use $stranger", "$stranger/$name" if $stranger;
    return 'an include says the folder of its file' if grep { m{/\Q$name\E$} } keys %$files;
    return 'there is no such file';
}

sub rule_against {
    my ($file, $target) = @_;
    my ($from, $to) = (layer($file), layer($target));
    return undef if !$from || !$to;    # is reported as misplaced
    return "only $to->{name} includes its $PRIVATE"
        if $target =~ m{/\Q$PRIVATE\E$} && dirname($file) ne dirname($target);
    return "$from->{name} is below $to->{name}" if $from->{tree} eq $to->{tree} && $from->{rank} > $to->{rank};
    return undef;
}

# A file's layer: its tree, its name, its rank from the top; undef where the table does not have it.
sub layer {
    my ($file) = @_;
    my ($tree, $place) = $file =~ m{^([^/]+)/(.+)$};
    $place = dirname($place) if $place =~ m{/};
    my $layers = $LAYERS{$tree};
    for my $rank (0 .. $#$layers) {
        return { tree => $tree, name => "$tree/$place", rank => $rank } if grep { $_ eq $place } split / /, $layers->[$rank];
    }
    return undef;
}

sub misplaced {
    my ($file) = @_;
    return layer($file) ? () : "$file: its place is in no layer of t/source/arrows.t";
}

# A header of two trees that one program sees: which of them is included depends on the order of the compiler's options.
sub namesakes {
    my ($files) = @_;
    my @faults;
    for my $tree (grep { $_ ne 'common' } sort keys %LAYERS) {
        for my $file (grep { m{^\Q$tree\E/.*\.h$} } sort keys %$files) {
            my $twin = $file =~ s{^\Q$tree\E/}{common/}r;
            push @faults, "$file: $twin has the same name to the compiler" if $files->{$twin};
        }
    }
    return @faults;
}

sub node { return $_[0] =~ s/\.[ch]$//r }

# The shortest circle through each file that no circle before had, arrow by arrow.
sub circles {
    my ($arrows) = @_;
    my (@faults, %reported);
    for my $start (sort keys %$arrows) {
        next if $reported{$start};
        my @circle = way_back($arrows, $start) or next;
        $reported{$_} = 1 for @circle;
        my @nodes = (@circle, $start);
        push @faults, join "\n    ", 'a circle: ' . join(' -> ', @nodes),
            map { $arrows->{ $nodes[$_] }{ $nodes[$_ + 1] } } 0 .. $#nodes - 1;
    }
    return @faults;
}

# The files of the shortest way from one back to itself, in order; none where there is no way.
sub way_back {
    my ($arrows, $start) = @_;
    my @ways = ([$start]);
    my %seen;
    while (my $way = shift @ways) {
        for my $next (sort keys %{ $arrows->{ $way->[-1] } // {} }) {
            return @$way if $next eq $start;
            push @ways, [@$way, $next] if !$seen{$next}++;
        }
    }
    return;
}


# --- this tree -------------------------------------------------------------------------------------------------

my $root = File::Spec->rel2abs(dirname(__FILE__) . '/../..');

cmp_ok(scalar(source_files($root)), '>', 100, 'the sources are found');
my @found = faults($root);
ok(!@found, 'includes run down the layers, and in no circle') or diag(join "\n", @found, scalar(@found) . ' faults');


# --- trees with a fault ----------------------------------------------------------------------------------------

# What stands in each file of a sound tree: its includes.
my %SOUND = (
    'common/failpoint.h' => '',
    'common/failpoint.c' => '"failpoint.h"',
    'common/text/buffer.h' => '<stddef.h>',
    'common/text/buffer.c' => '"text/buffer.h" "failpoint.h"',
    'common/order/order.h' => '"text/buffer.h"',
    'common/lifecycle/rules.h' => '"order/order.h"',
    'worker/base/log.h' => '',
    'worker/base/log.c' => '"base/log.h" "text/buffer.h"',
    'worker/redis/keys.h' => '"base/log.h"',
    'worker/redis/stream.h' => '"redis/keys.h" "checkout_scripts.h"',
    'worker/lifecycle/expiry.h' => '"lifecycle/rules.h" "redis/keys.h"',
    'worker/intake/batch.h' => '"lifecycle/expiry.h" <intake/elsewhere.h>',
    'worker/ctl/ctl.h' => '"intake/batch.h"',
    'worker/checkoutctl.c' => '"ctl/ctl.h"',
    'ngx_module/redis/keys.h' => '"text/buffer.h"',
    'ngx_module/sql/private.h' => '"redis/keys.h" "sql/pool.h"',
    'ngx_module/sql/pool.h' => '',
    'ngx_module/sql/pool.c' => '"sql/pool.h" "sql/private.h"',
    'ngx_module/handlers/cancel.c' => '"redis/keys.h" "order/order.h"',
);

sub faults_of {
    my (%changes) = @_;
    my %tree = (%SOUND, %changes);
    my $dir = tempdir(CLEANUP => 1);
    for my $file (keys %tree) {
        make_path(dirname("$dir/$file"));
        open my $out, '>', "$dir/$file" or die "$file: $!\n";
        print $out "/* \"ctl/ctl.h\"\n#include \"ctl/ctl.h\"\n*/\n", map { "#include $_\n" } split ' ', $tree{$file};
        close $out or die "$file: $!\n";
    }
    return faults($dir);
}

sub finds {
    my ($what, $expected, %changes) = @_;
    my @faults = faults_of(%changes);
    is(scalar @faults, 1, "$what: one fault");
    like($faults[0] // '', $expected, "$what: which");
}

is(join("\n", faults_of()), '', 'a sound tree has no fault');

finds('an include without its folder', qr{^worker/intake/batch\.c:4: #include "batch\.h": .*folder},
    'worker/intake/batch.c' => '"batch.h"');
finds('an include without its folder, from another one', qr{^worker/ctl/ctl\.c:4: #include "batch\.h": .*folder},
    'worker/ctl/ctl.c' => '"batch.h"');
finds('a way through the parent folder', qr{^worker/ctl/ctl\.c:5: #include "\.\./intake/batch\.h": .*no \.\.},
    'worker/ctl/ctl.c' => '"ctl/ctl.h" "../intake/batch.h"');
finds('a header in the wrong brackets', qr{^worker/ctl/ctl\.c:4: #include <intake/batch\.h>: .*quotes},
    'worker/ctl/ctl.c' => '<intake/batch.h>');
finds('a header that is missing', qr{^worker/ctl/ctl\.c:4: #include "ctl/gone\.h": there is no such file},
    'worker/ctl/ctl.c' => '"ctl/gone.h"');

finds('an arrow up, in the worker', qr{^worker/base/log\.c:5: #include "redis/stream\.h": worker/base is below worker/redis},
    'worker/base/log.c' => '"base/log.h" "redis/stream.h"', 'worker/redis/keys.h' => '');
finds('an arrow up, in the module', qr{^ngx_module/redis/keys\.c:4: #include "gate/queue\.h": ngx_module/redis is below ngx_module/gate},
    'ngx_module/redis/keys.c' => '"gate/queue.h"', 'ngx_module/gate/queue.h' => '');
finds('an arrow up, in what both use', qr{^common/text/buffer\.c:4: #include "order/verdict\.h": common/text is below common/order},
    'common/text/buffer.c' => '"order/verdict.h"', 'common/order/verdict.h' => '');
finds('an arrow up from the bottom', qr{^common/failpoint\.c:4: #include "text/utf8\.h": common/failpoint\.c is below common/text},
    'common/failpoint.c' => '"text/utf8.h"', 'common/text/utf8.h' => '');

finds('the module uses the worker', qr{^ngx_module/sql/pool\.c:4: #include "base/log\.h": ngx_module does not use worker},
    'ngx_module/sql/pool.c' => '"base/log.h"');
finds('the worker uses the module', qr{^worker/ctl/ctl\.c:4: #include "sql/pool\.h": worker does not use ngx_module},
    'worker/ctl/ctl.c' => '"sql/pool.h"');
finds('common uses the worker', qr{^common/lifecycle/rules\.c:4: #include "base/log\.h": common does not use worker},
    'common/lifecycle/rules.c' => '"base/log.h"');
finds('common uses the module', qr{^common/lifecycle/rules\.c:4: #include "sql/pool\.h": common does not use ngx_module},
    'common/lifecycle/rules.c' => '"sql/pool.h"');
finds('a private header from another folder', qr{^ngx_module/handlers/cancel\.c:4: #include "sql/private\.h": only ngx_module/sql },
    'ngx_module/handlers/cancel.c' => '"sql/private.h"');

finds('a circle of two, through .c and .h', qr{^a circle: worker/redis/keys -> worker/redis/stream -> worker/redis/keys
    worker/redis/keys\.c:4: #include "redis/stream\.h"
    worker/redis/stream\.h:4: #include "redis/keys\.h"$},
    'worker/redis/keys.c' => '"redis/stream.h"');
finds('a circle of three', qr{^a circle: worker/ctl/a -> worker/ctl/b -> worker/ctl/c -> worker/ctl/a\n},
    'worker/ctl/a.h' => '"ctl/b.h"', 'worker/ctl/b.c' => '"ctl/c.h"', 'worker/ctl/b.h' => '', 'worker/ctl/c.h' => '"ctl/a.h"');

finds('a circle through a private header', qr{^a circle: ngx_module/sql/job -> ngx_module/sql/pool -> ngx_module/sql/job
    ngx_module/sql/job\.c:4: #include "sql/private\.h", ngx_module/sql/private\.h:5: #include "sql/pool\.h"
    ngx_module/sql/pool\.h:4: #include "sql/job\.h"$},
    'ngx_module/sql/job.c' => '"sql/private.h"', 'ngx_module/sql/job.h' => '', 'ngx_module/sql/pool.h' => '"sql/job.h"');

finds('a folder that the table does not have', qr{^worker/misc/other\.h: its place is in no layer}, 'worker/misc/other.h' => '');
finds('a folder in a folder', qr{^worker/ctl/misc/other\.h: its place is in no layer}, 'worker/ctl/misc/other.h' => '');
finds('a file beside the folders', qr{^ngx_module/other\.h: its place is in no layer}, 'ngx_module/other.h' => '');
finds('one name in two trees', qr{^worker/lifecycle/rules\.h: common/lifecycle/rules\.h has the same name},
    'worker/lifecycle/rules.h' => '');

done_testing();
