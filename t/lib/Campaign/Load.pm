package Campaign::Load;

# The shop's customers, provider and operator: several processes that send requests at a bounded rate and write down
# what was answered, one JSON object a line, so that the laws can be checked against it.
#
#     my $load = Campaign::Load->start($shop, seed => 7, rate => 80, buyers => 4);
#     $load->stop;
#     my @answers = $load->answers;      # { kind, … } in no order
#
# kinds of lines: order (id, product, quantity, user, key, status, code), paid, unpaid, cancel (id, status),
# read (id, status, state: of the order)

use strict;
use warnings;
use Digest::SHA qw(hmac_sha256);
use HttpBurst;
use JSON::PP;
use List::Util qw(max);
use MIME::Base64 qw(encode_base64 decode_base64);
use POSIX ();
use Time::HiRes qw(sleep time);

our $USERS = 400;
my %WEIGHT = (order => 60, pay => 16, fail => 5, pay_twice => 4, pay_and_fail => 4, cancel => 6, read => 12);

sub start {
    my ($class, $shop, %o) = @_;
    my $self = bless { shop => $shop, dir => "$shop->{dir}/load", pids => [] }, $class;
    mkdir $self->{dir};
    for my $n (1 .. $o{buyers}) {
        push @{ $self->{pids} }, $self->fork_off(sub { $self->buy($n, $o{seed} * 1000 + $n, $o{rate} / $o{buyers}) });
    }
    push @{ $self->{pids} }, $self->fork_off(sub { $self->operate($o{seed} * 1000) });
    return $self;
}

sub fork_off {
    my ($self, $work) = @_;
    my $pid = fork // die "fork: $!\n";
    return $pid if $pid;
    my $go_on = 1;
    local $SIG{TERM} = sub { $go_on = 0 };
    $self->{goes_on} = \$go_on;
    eval { $work->() };
    warn "load: $@" if $@;
    POSIX::_exit($@ ? 1 : 0);
}

sub stop {
    my ($self) = @_;
    kill 'TERM', @{ $self->{pids} };
    my @failed = grep { waitpid $_, 0; $? } @{ $self->{pids} };
    $self->{pids} = [];
    return @failed == 0;
}

sub answers {
    my ($self) = @_;
    my @lines;
    for my $file (glob "$self->{dir}/*.jsonl") {
        open my $in, '<', $file or die "$file: $!\n";
        push @lines, map { decode_json($_) } <$in>;
    }
    return @lines;
}


# --- a buyer ---------------------------------------------------------------------------------------------------

sub buy {
    my ($self, $n, $seed, $rate) = @_;
    srand $seed;
    open $self->{out}, '>>', "$self->{dir}/buyer-$n.jsonl" or die "$!\n";
    $self->{out}->autoflush(1);
    $self->{orders} = [];
    $self->{keys}   = [];
    $self->{n}      = $n;
    my $next = time;
    while (${ $self->{goes_on} }) {
        my $kind = pick(\%WEIGHT);
        $kind = 'order' if !@{ $self->{orders} };
        $self->can("do_$kind")->($self);
        $next = max($next + 1 / $rate * (0.5 + rand), time - 1);
        sleep max(0, $next - time);
    }
}

sub pick {
    my ($weight) = @_;
    my @names = sort keys %$weight;
    my $sum   = 0;
    $sum += $weight->{$_} for @names;
    my $at = rand $sum;
    for (@names) {
        return $_ if ($at -= $weight->{$_}) < 0;
    }
    return $names[-1];
}

sub note {
    my ($self, %line) = @_;
    print { $self->{out} } encode_json({ %line, at => time }) . "\n";
}

sub some_order { my ($self) = @_; return $self->{orders}[ rand @{ $self->{orders} } ] }

# Three in ten have a key; one in five of those is asked for again as it was.
sub do_order {
    my ($self) = @_;
    my $order = rand() < 0.06 && @{ $self->{keys} } ? $self->{keys}[ rand @{ $self->{keys} } ] : $self->new_order;
    my @headers = defined $order->{key} ? ('Idempotency-Key' => $order->{key}) : ();
    my $answer  = $self->{shop}->request('POST', '/api/place-order',
        qq({"product_id":$order->{product},"quantity":$order->{quantity},"user_id":$order->{user}}), @headers);
    my $data = eval { decode_json($answer->{body} // '') } // {};
    $self->note(kind => 'order', %$order, status => $answer->{status}, id => $data->{order_identifier},
        code => $data->{code});
    return if $answer->{status} != 202;
    $order->{id} = $data->{order_identifier};
    push @{ $self->{orders} }, $order;
    shift @{ $self->{orders} } if @{ $self->{orders} } > 500;
}

sub new_order {
    my ($self) = @_;
    my $products = $self->{shop}->products;
    my %order = (product => 1 + int rand $products, quantity => 1 + int rand 3, user => 1 + int rand $USERS);
    if (rand() < 0.3) {
        $order{key} = "key-$self->{n}-" . ++$self->{serial};
        push @{ $self->{keys} }, { %order };
    }
    return \%order;
}

sub amount { my ($self, $order) = @_; return $self->{shop}->amount($order->{quantity}) }

# The provider's event; sent again, with the same id, until it is taken or five tries are over.
sub event {
    my ($self, $kind, $type, $order, $id) = @_;
    my $body = encode_json({ type => "payment.$type",
        data => { order_identifier => $order->{id}, payment_id => "pay_$order->{id}",
        amount => $self->amount($order), currency => 'TWD' } });
    my $status;
    for my $try (1 .. 5) {
        my $time = int time;
        my $mac  = hmac_sha256("$id.$time.$body",
            decode_base64($self->{shop}{env}{CHECKOUT_WEBHOOK_SECRET} =~ s/^whsec_//r));
        $status = $self->{shop}->request('POST', '/api/webhook/payment', $body, 'webhook-id' => $id,
            'webhook-timestamp' => $time,
            'webhook-signature' => 'v1,' . encode_base64($mac, ''))->{status};
        last if $status == 200 || !${ $self->{goes_on} };
        sleep 0.2 * $try;
    }
    $self->note(kind => $kind, id => $order->{id}, status => $status);
}

sub do_pay {
    my ($self) = @_;
    my $order = $self->some_order;
    $self->event(paid => 'succeeded', $order, "ok_$order->{id}");
}

sub do_fail {
    my ($self) = @_;
    my $order = $self->some_order;
    $self->event(unpaid => 'failed', $order, "no_$order->{id}");
}

sub do_pay_twice {
    my ($self) = @_;
    my $order = $self->some_order;
    $self->event(paid => 'succeeded', $order, "ok_$order->{id}") for 1, 2;
}

sub do_pay_and_fail {
    my ($self) = @_;
    my $order = $self->some_order;
    my @both = ([ paid => 'succeeded', $order, "ok_$order->{id}" ], [ unpaid => 'failed', $order, "no_$order->{id}" ]);
    $self->event(@$_) for rand() < 0.5 ? @both : reverse @both;
}

sub do_cancel {
    my ($self) = @_;
    my $order = $self->some_order;
    $self->note(kind => 'cancel', id => $order->{id},
        status => $self->{shop}->request('POST', "/api/orders/$order->{id}/cancel", '{}')->{status});
}

sub do_read {
    my ($self) = @_;
    my $order = $self->some_order;
    my $answer = $self->{shop}->request('GET', "/api/orders/$order->{id}");
    $self->note(kind => 'read', id => $order->{id}, status => $answer->{status},
        state => eval { decode_json($answer->{body})->{data}{status} });
}


# --- the operator ----------------------------------------------------------------------------------------------

# Adds and takes units. The answers are not needed for the laws: the movements stand in MySQL.
sub operate {
    my ($self, $seed) = @_;
    srand $seed;
    my $serial = 0;
    while (${ $self->{goes_on} }) {
        sleep 1 + rand 2;
        my $product = 1 + int rand $self->{shop}->products;
        my $units   = rand() < 0.7 ? '+' . (20 + int rand 60) : '-' . (1 + int rand 5);
        $self->{shop}->checkoutctl('stock', 'adjust', $product, $units, '--reason', 'campaign ' . ++$serial);
    }
}

1;
