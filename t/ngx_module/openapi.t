# openapi.yaml is a valid OpenAPI document, and its examples fit its schemas.
use strict;
use warnings;
use FindBin;
use JSON::Validator;
use Test::More;

my $file   = "$FindBin::Bin/../../openapi.yaml";
my $schema = JSON::Validator->new->schema("file://$file")->schema;

isa_ok $schema, 'JSON::Validator::Schema::OpenAPIv3';
# Debian 12 brings the specification's own schema along; elsewhere it is fetched, where there is a network.
my $errors = eval { $schema->errors };
SKIP: {
    skip "no schema of the OpenAPI specification: " . (split /\n/, $@)[0], 1 unless $errors;
    is_deeply [map {"$_"} @$errors], [], 'valid against the OpenAPI specification';
}

my %routes = map { (uc($_->{method}) . " $_->{path}" => 1) } @{ $schema->routes };
for my $route ('POST /api/place-order', 'GET /api/orders/{order_identifier}', 'GET /api/get-redis-stock/{product_id}',
    'POST /api/orders/{order_identifier}/cancel', 'GET /api/orders', 'GET /api/products', 'GET /api/products/{product_id}', 'GET /api/get-db-stock/{product_id}', 'POST /api/init-stock', 'POST /api/webhook/payment', 'POST /api/webhook/stripe', 'GET /healthz', 'GET /readyz') {
    ok $routes{$route}, "$route is described";
}

sub request_errors {
    my ($body, $path) = @_;
    my $request = { body => sub { return { exists => 1, value => $body } }, header => {} };
    return map {"$_"} $schema->validate_request([post => $path // '/api/place-order'], $request);
}

is_deeply [request_errors($schema->get('/paths/~1api~1place-order/post/requestBody/content/application~1json/example'))], [], 'the example is a request';
isnt scalar(request_errors({ product_id => 1 })), 0, 'a request without a quantity is none';
isnt scalar(request_errors({ product_id => 1, quantity => 0 })), 0, 'a quantity of 0 is none';

my $init = $schema->get('/paths/~1api~1init-stock/post/requestBody/content/application~1json/example');
is_deeply [request_errors($init, '/api/init-stock')], [], 'the example sets a stock';
is_deeply [request_errors({ %$init, price => 19.8 }, '/api/init-stock')], [], 'a price may be a number';
isnt scalar(request_errors({ %$init, price => 'cheap' }, '/api/init-stock')), 0, 'a price of another text is none';
isnt scalar(request_errors({ %$init, initial_db_stock => -1 }, '/api/init-stock')), 0, 'a negative stock is none';

my $id = '019aa2f1-79b0-7000-9f3c-0d5b8a1e22c4';
sub response_errors {
    my ($status, $body) = @_;
    return map {"$_"} $schema->validate_response([post => '/api/place-order', $status],
        { header => {}, body => sub { return { exists => 1, value => $body } } });
}

is_deeply [response_errors(202, { message => 'm', order_identifier => $id, status => 'queued', status_url => "/api/orders/$id" })], [];
isnt scalar(response_errors(202, { message => 'm', order_identifier => 'X', status => 'queued', status_url => 'u' })), 0;
is_deeply [response_errors(400, { message => 'm', code => 'out_of_stock', available => 2 })], [];
isnt scalar(response_errors(400, { message => 'm', code => 'another' })), 0;

# Every code that the module or the example configuration may answer with is described.
my %described = map { $_ => 1 } @{ $schema->get('/components/schemas/Error/properties/code/enum') };
my %answered;
for my $source ("$FindBin::Bin/../../ngx_module/request/outcome.c", "$FindBin::Bin/../../nginx.conf.example") {
    open my $in, '<', $source or die "$source: $!";
    my $text = do { local $/; <$in> };
    $answered{$_} = 1 for $text =~ /\{ [45]\d\d, \d+, ngx_string\("(\w+)"\)/g, $text =~ /"code":"(\w+)"/g;
}
cmp_ok scalar(keys %answered), '>', 20, 'codes are found';
is join(' ', sort keys %answered), join(' ', sort keys %described), 'each has its place in openapi.yaml, and no other';

done_testing;
