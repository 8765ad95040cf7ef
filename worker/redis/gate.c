#include "redis/gate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "failpoint.h"
#include "redis/keys.h"
#include "redis/push_words.h"

#define LOAD_TRIES   5
#define LOAD_READ_ON 2    /* tries that only read on; then the dead letters are read anew */
#define LOAD_PAGES   4096 /* at one try */


static void
add_stream_keys(struct redis_args *args)
{
    key_queue(args);
    key_dead_letters(args);
    key_gate(args);
    key_products(args);
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
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 11) {
        return -1;
    }

    p->stock = reply_number(reply->element[0], GATE_MISSING);
    p->damaged = 0;
    p->version = read_field(p, reply->element[1], -1, -1);
    p->register_stock = read_field(p, reply->element[2], 0, GATE_MISSING);
    p->in_flight = read_field(p, reply->element[3], 0, 0);
    p->in_flight_sum = GATE_MISSING;
    p->terms.opens_at = (uint64_t) read_field(p, reply->element[5], 0, 0);
    p->terms.closes_at = (uint64_t) read_field(p, reply->element[6], 0, 0);
    p->terms.per_user_limit = (uint64_t) read_field(p, reply->element[7], 0, 0);
    p->terms.max_quantity = (uint64_t) read_field(p, reply->element[8], 0, 0);
    copy_state(p->terms.state, reply->element[9]);
    p->recovering = reply->element[10]->type == REDIS_REPLY_STRING && reply->element[10]->len > 0;
    return 0;
}


static int
read_inspect(struct gate_product *products, size_t n, struct gate_counts *counts, const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != n + 3) {
        return -1;
    }

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
gate_inspect(struct redis_connection *conn, struct gate_product *products, size_t n, struct gate_counts *counts)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_inspect, (unsigned) (4 + 2 * n));
    add_stream_keys(&args);

    for (size_t i = 0; i < n; i++) {
        key_stock(&args, products[i].id);
        key_register(&args, products[i].id);
    }

    args_text(&args, "0");

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


static enum gate_pushed
say_too_fast(struct redis_connection *conn, uint64_t product)
{
    snprintf(conn->error, sizeof(conn->error), "what is in flight of product %" PRIu64 " could not be counted",
             product);
    return GATE_PUSH_COUNT;
}


/* The first number of a reply; frees it. reply: NULL where Redis failed. */
static enum gate_pushed
read_pushed(struct redis_connection *conn, uint64_t product, redisReply *reply)
{
    if (reply == NULL) {
        return GATE_PUSH_FAILED;
    }

    int64_t result = reply->type == REDIS_REPLY_ARRAY && reply->elements > 0
                         ? reply_number(reply->element[0], GATE_PUSH_BROKEN)
                         : GATE_PUSH_BROKEN;

    freeReplyObject(reply);

    if (result < GATE_PUSH_COUNT || result > GATE_PUSH_APPLIED || result == GATE_PUSH_FAILED) {
        result = GATE_PUSH_BROKEN;
    }

    if (result == GATE_PUSH_BROKEN) {
        snprintf(conn->error, sizeof(conn->error), "the register of product %" PRIu64 " is no hash", product);
    }

    return result == GATE_PUSH_COUNT ? say_too_fast(conn, product) : (enum gate_pushed) result;
}


enum gate_pushed
gate_push(struct redis_connection *conn, const struct product_row *row, unsigned options)
{
    struct redis_args args = { 0 };
    struct product_row pushed = *row;

    pushed.found = row->found && !(options & GATE_STOCK_ONLY);

    args_script(&args, &checkout_script_push, 3);
    key_stock(&args, row->id);
    key_register(&args, row->id);
    key_buyers(&args, row->id);
    push_words_add(&args, &pushed);

    redisReply *reply = EFFECT("gate.push", redis_script(conn, &checkout_script_push, &args));

    args_free(&args);
    return read_pushed(conn, row->id, reply);
}


/* One call. Returns GATE_PUSH_COUNT also where too much of the product is being worked on. */
static enum gate_pushed
load_once(struct redis_connection *conn, const struct product_row *row, const char *mode, struct in_flight *count,
          struct gate_counted *counted)
{
    struct redis_args args = { 0 };
    int words = 0;

    args_script(&args, &checkout_script_load, 7);
    add_stream_keys(&args);
    key_stock(&args, row->id);
    key_register(&args, row->id);
    key_buyers(&args, row->id);
    args_text(&args, mode);
    args_text(&args, CONSUMER_GROUP);
    args_number(&args, row->id);
    push_words_add(&args, row);

    if (count != NULL) {
        words = in_flight_words(count, conn, row->id, &args);
    } else {
        args_text(&args, "-");
    }

    redisReply *reply = words == 0 ? EFFECT("gate.load", redis_script(conn, &checkout_script_load, &args)) : NULL;

    args_free(&args);

    if (words == 1) {
        return say_too_fast(conn, row->id);
    }

    if (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        counted->in_flight = reply_number(reply->element[1], 0);
        counted->counted = reply_number(reply->element[2], 0);
    }

    return read_pushed(conn, row->id, reply);
}


enum gate_pushed
gate_load(struct redis_connection *conn, const struct product_row *row, enum gate_load what, struct in_flight *count,
          struct gate_counted *counted)
{
    static const char *const modes[] = {
        [GATE_LOAD_CREATE] = "create",
        [GATE_LOAD_RECOUNT] = "recount",
        [GATE_LOAD_LOOK] = "look",
        [GATE_LOAD_FORGET] = "forget"
    };
    enum gate_pushed result = load_once(conn, row, modes[what], count, counted);

    for (int tries = 1; result == GATE_PUSH_COUNT && count != NULL && tries < LOAD_TRIES; tries++) {
        if (tries >= LOAD_READ_ON) {
            in_flight_again(count);
        }

        for (int pages = 0, more = 1; more != 0; pages++) {
            if (pages == LOAD_PAGES) {
                return GATE_PUSH_COUNT;
            }

            if ((more = in_flight_step(count, conn)) == -1) {
                return GATE_PUSH_FAILED;
            }
        }

        result = load_once(conn, row, modes[what], count, counted);
    }

    return result;
}


int
gate_close_gone(struct redis_connection *conn, uint64_t product)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_close_gone, 1);
    key_register(&args, product);

    redisReply *reply = EFFECT("gate.close_gone", redis_script(conn, &checkout_script_close_gone, &args));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    int closed = reply_number(reply, 0) == 1;

    freeReplyObject(reply);
    return closed;
}


int64_t
gate_expected_stock(const struct gate_product *product)
{
    int64_t left = product->register_stock - product->in_flight;

    return left > 0 ? left : 0;
}


int
gate_correct_counts(struct redis_connection *conn, int64_t seen, int64_t right, int64_t more)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_correct_counts, 2);
    key_queue(&args);
    key_gate(&args);
    args_signed(&args, seen);
    args_signed(&args, right);
    args_signed(&args, more);

    redisReply *reply = EFFECT("gate.correct_counts", redis_script(conn, &checkout_script_correct_counts, &args));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    int corrected = reply_number(reply, 0) > 0;

    freeReplyObject(reply);
    return corrected;
}
