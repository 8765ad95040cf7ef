package PaymentEvents;

# Events of payment providers, put into the inbox as the edge does it.
#
#     my $events = PaymentEvents->new($sql);       # sub of a statement and its values
#     $events->add(succeeded => $order, amount => '19.80');

use strict;
use warnings;
use JSON::PP;

my $serial = 0;

sub new {
    my ($class, $sql) = @_;
    return bless { sql => $sql }, $class;
}

sub body {
    my ($type, $order, %o) = @_;
    my %data = (order_identifier => $order, payment_id => $o{payment_id} // "pay_$order",
        amount => $o{amount} // '19.80',
                currency => $o{currency} // 'TWD');
    return encode_json({ type => "payment.$type", data => \%data });
}

# Options: payment_id, amount, currency, id, provider, body.
sub add {
    my ($self, $type, $order, %o) = @_;
    my $id = $o{id} // "evt_$$\_" . ++$serial;
    $self->{sql}->('INSERT INTO payment_events (id, provider, body) VALUES (?, ?, ?)', $id, $o{provider} // 'standard',
        $o{body} // body($type, $order, %o));
    return $id;
}

1;
