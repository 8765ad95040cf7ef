#include "redis/gate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "failpoint.h"
#include "redis/keys.h"
#include "redis/push_words.h"


static void
add_stream_keys(struct redis_args *args)
{
    key_queue(args);
    key_dead_letters(args);
    key_gate(args);
}


static void
copy_state(char out[8], const redisReply *state)
{
    int closed = state->type == REDIS_REPLY_STRING && strcmp(state->str, "closed") == 0;

    strcpy(out, closed ? "closed" : "open");
}


/* A field of the register, at least `least`; `missing` where it is not there. */
static int64_t
read_field(struct gate_product *p, const redisReply *field, int64_t least, int64_t missing)
{
    if (field->type == REDIS_REPLY_STRING && field->len == 0) {
        return missing;
    }

    int64_t value = reply_number(field, GATE_MISSING);

    if (value < least || value > GATE_NUMBER_MOST) {
        p->damaged = 1;
        return least;
    }

    return value;
}


static int
read_product(struct gate_product *p, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 10) {
        return -1;
    }

    p->stock = reply_number(reply->element[0], GATE_MISSING);
    p->damaged = 0;
    p->version = read_field(p, reply->element[1], -1, -1);
    p->register_stock = read_field(p, reply->element[2], 0, GATE_MISSING);
    p->in_flight = read_field(p, reply->element[3], 0, 0);
    p->in_flight_sum = reply_number(reply->element[4], -1);

    if (p->in_flight_sum < 0) {
        p->in_flight_sum = GATE_MISSING;
    }

    p->terms.opens_at = (uint64_t) read_field(p, reply->element[5], 0, 0);
    p->terms.closes_at = (uint64_t) read_field(p, reply->element[6], 0, 0);
    p->terms.per_user_limit = (uint64_t) read_field(p, reply->element[7], 0, 0);
    p->terms.max_quantity = (uint64_t) read_field(p, reply->element[8], 0, 0);
    copy_state(p->terms.state, reply->element[9]);
    return 0;
}


static int
read_inspect(struct gate_product *products, size_t n, struct gate_counts *counts, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != n + 3) {
        return -1;
    }

    counts->summed = reply_number(reply->element[0], 0) == 1;
    counts->products = reply_number(reply->element[1], 0);
    counts->queued = reply_number(reply->element[2], 0);

    for (size_t i = 0; i < n; i++) {
        if (read_product(&products[i], reply->element[i + 3]) == -1) {
            return -1;
        }
    }

    return 0;
}


int
gate_inspect(struct redis_connection *conn, struct gate_product *products, size_t n, uint64_t most_entries,
             struct gate_counts *counts)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_inspect, (unsigned) (3 + 2 * n));
    add_stream_keys(&args);

    for (size_t i = 0; i < n; i++) {
        key_stock(&args, products[i].id);
        key_register(&args, products[i].id);
    }

    args_number(&args, most_entries);

    for (size_t i = 0; i < n; i++) {
        args_number(&args, products[i].id);
    }

    redisReply *reply = EFFECT("gate.inspect", redis_script(conn, &checkout_script_inspect, &args));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    int result = read_inspect(products, n, counts, reply);

    if (result == -1) {
        snprintf(conn->error, sizeof(conn->error), "inspect gave a reply of another form");
    }

    freeReplyObject(reply);
    return result;
}


enum gate_pushed
gate_push(struct redis_connection *conn, const struct product_row *row, unsigned options)
{
    struct redis_args args = { 0 };
    struct product_row pushed = *row;

    pushed.found = row->found && !(options & GATE_STOCK_ONLY);

    args_script(&args, &checkout_script_push, 5);
    add_stream_keys(&args);
    key_stock(&args, row->id);
    key_register(&args, row->id);
    args_text(&args, options & GATE_CREATE ? "1" : "0");
    args_text(&args, options & GATE_RECOUNT ? "1" : "0");
    args_number(&args, row->id);
    push_words_add(&args, &pushed);

    redisReply *reply = EFFECT("gate.push", redis_script(conn, &checkout_script_push, &args));

    args_free(&args);

    if (reply == NULL) {
        return GATE_PUSH_FAILED;
    }

    int64_t result = reply->type == REDIS_REPLY_ARRAY && reply->elements == 1
                         ? reply_number(reply->element[0], GATE_PUSH_BROKEN)
                         : GATE_PUSH_BROKEN;

    freeReplyObject(reply);

    if (result < GATE_PUSH_BROKEN || result > GATE_PUSH_APPLIED) {
        result = GATE_PUSH_BROKEN;
    }

    if (result == GATE_PUSH_BROKEN) {
        snprintf(conn->error, sizeof(conn->error), "the register of product %" PRIu64 " is no hash", row->id);
    }

    return (enum gate_pushed) result;
}


int64_t
gate_expected_stock(const struct gate_product *product)
{
    int64_t left = product->register_stock - product->in_flight;

    return left > 0 ? left : 0;
}


int
gate_correct_counts(struct redis_connection *conn, int64_t seen, int64_t right, uint64_t most_entries)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_correct_counts, 2);
    key_queue(&args);
    key_gate(&args);
    args_signed(&args, seen);
    args_signed(&args, right);
    args_number(&args, most_entries);

    redisReply *reply = EFFECT("gate.correct_counts", redis_script(conn, &checkout_script_correct_counts, &args));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    int corrected = reply_number(reply, 0) > 0;

    freeReplyObject(reply);
    return corrected;
}
