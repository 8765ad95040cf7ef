#include "repair/buyers_count.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random_hex.h"
#include "base/stop.h"
#include "failpoint.h"
#include "redis/keys.h"
#include "repair/buyers_orders.h"
#include "repair/buyers_sums.h"

#define MARK_PAGE 256 /* products of one call */
#define USER_PAGE 250 /* users of one call */
#define TOKEN_LEN 32
#define ROUNDS    100 /* looks at a journal that grows */
#define ROUND_MS  20

/* A product that is counted. */
struct counted {
    uint64_t id;
    int wanted;     /* 0: left alone */
    int64_t before; /* lines of the journal that were there when the count began */
    struct buyers_sums sums;
    struct buyers_orders orders; /* those for which the snapshot does not decide */
};

struct count {
    struct db *db;
    struct redis_connection *redis;
    char token[TOKEN_LEN + 1];
    struct counted *products;
    size_t n;
    buyers_go_on go_on;
    void *data;
    uint64_t *users;
};


int
buyers_mark(struct redis_connection *redis, const uint64_t *ids, size_t n)
{
    for (size_t first = 0; first < n; first += MARK_PAGE) {
        size_t page = n - first < MARK_PAGE ? n - first : MARK_PAGE;
        struct redis_args args = { 0 };

        args_script(&args, &checkout_script_buyers_mark, (unsigned) page);

        for (size_t i = 0; i < page; i++) {
            key_register(&args, ids[first + i]);
        }

        redisReply *reply = EFFECT("buyers.mark", redis_script(redis, &checkout_script_buyers_mark, &args));

        args_free(&args);

        if (reply == NULL) {
            return -1;
        }

        freeReplyObject(reply);
    }

    return 0;
}


/* --- the scripts -------------------------------------------------------------------------------------------------- */


static void
open_call(struct redis_args *args, const struct count *c, const struct checkout_script *script, uint64_t product)
{
    args_script(args, script, 3);
    key_register(args, product);
    key_buyers(args, product);
    key_buyers_new(args, product);
    args_text(args, c->token);
}


/* Takes the reply; *answer: its number. */
static enum buyers_counted
take(redisReply *reply, int64_t *answer)
{
    if (reply == NULL) {
        return BUYERS_REDIS_FAILED;
    }

    *answer = reply_number(reply, -1);
    freeReplyObject(reply);
    return BUYERS_COUNTED;
}


static enum buyers_counted
begin(const struct count *c, struct counted *p)
{
    struct redis_args args = { 0 };

    open_call(&args, c, &checkout_script_buyers_begin, p->id);

    redisReply *reply = EFFECT("buyers.begin", redis_script(c->redis, &checkout_script_buyers_begin, &args));

    args_free(&args);

    enum buyers_counted result = take(reply, &p->before);

    p->wanted = result == BUYERS_COUNTED && p->before >= 0;
    return result;
}


/* users[0 .. n) as they are now; closes the product as well where close is set. */
static enum buyers_counted
write_page(const struct count *c, const struct counted *p, const struct buyer_sum *users, size_t n, int close)
{
    struct redis_args args = { 0 };
    int64_t answer = -1;

    open_call(&args, c, &checkout_script_buyers_page, p->id);
    args_text(&args, close ? "1" : "0");

    for (size_t i = 0; i < n; i++) {
        args_number(&args, users[i].user);
        args_signed(&args, users[i].units > 0 ? users[i].units : 0);
    }

    redisReply *reply = EFFECT("buyers.page", redis_script(c->redis, &checkout_script_buyers_page, &args));

    args_free(&args);

    enum buyers_counted result = take(reply, &answer);

    return result == BUYERS_COUNTED && answer != 1 ? BUYERS_TAKEN_OVER : result;
}


static enum buyers_counted
write_users(const struct count *c, const struct counted *p, const struct buyer_sum *users, size_t n)
{
    enum buyers_counted result = BUYERS_COUNTED;

    for (size_t first = 0; first < n && result == BUYERS_COUNTED; first += USER_PAGE) {
        size_t page = n - first < USER_PAGE ? n - first : USER_PAGE;

        result = c->go_on(c->data) ? write_page(c, p, users + first, page, 0) : BUYERS_STOPPED;
    }

    return result;
}


/* *done: 1, or 0 where the journal is longer than `lines` by now. */
static enum buyers_counted
finish(const struct count *c, const struct counted *p, int64_t lines, int *done)
{
    struct redis_args args = { 0 };
    int64_t answer = -1;

    open_call(&args, c, &checkout_script_buyers_finish, p->id);
    args_signed(&args, lines);

    redisReply *reply = EFFECT("buyers.finish", redis_script(c->redis, &checkout_script_buyers_finish, &args));

    args_free(&args);

    enum buyers_counted result = take(reply, &answer);

    *done = answer == 1;
    return result == BUYERS_COUNTED && answer < 0 ? BUYERS_TAKEN_OVER : result;
}


/* --- the steps ---------------------------------------------------------------------------------------------------- */


static enum buyers_counted
begin_all(struct count *c)
{
    enum buyers_counted result = BUYERS_COUNTED;

    for (size_t i = 0; i < c->n && result == BUYERS_COUNTED; i++) {
        result = begin(c, &c->products[i]);
    }

    return result;
}


/*
 * READ COMMITTED is the session's; this one transaction sees one moment. What a primary that was demoted lacks must not
 * be counted as given back.
 */
static enum buyers_counted
open_snapshot(struct db *db)
{
    static const char begin_snapshot[] = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
                                         "START TRANSACTION WITH CONSISTENT SNAPSHOT";

    return db_check_writable(db) == DB_OK && EFFECT("buyers.snapshot", db_text(db, begin_snapshot)) == DB_OK
               ? BUYERS_COUNTED
               : BUYERS_DB_FAILED;
}


/* The live orders, and the orders with a notice, at the moment of the snapshot. */
static enum buyers_counted
sum_up(struct count *c, struct counted *p)
{
    char after[CHECKOUT_IDENTIFIER_LEN + 1] = "";
    int more = 1;

    while (more) {
        if (!c->go_on(c->data)) {
            return BUYERS_STOPPED;
        }

        if (buyers_sums_read_page(c->db, p->id, &p->sums, after, &more) != DB_OK) {
            return BUYERS_DB_FAILED;
        }
    }

    buyers_sums_total(&p->sums);
    return buyers_orders_add_notices(&p->orders, c->db, p->id) == DB_OK ? BUYERS_COUNTED : BUYERS_DB_FAILED;
}


static enum buyers_counted
sum_all(struct count *c)
{
    enum buyers_counted result = BUYERS_COUNTED;

    for (size_t i = 0; i < c->n && result == BUYERS_COUNTED; i++) {
        struct counted *p = &c->products[i];

        if (!p->wanted) {
            continue;
        }

        if ((result = sum_up(c, p)) == BUYERS_COUNTED) {
            result = write_users(c, p, p->sums.all, p->sums.count);
        }
    }

    return result;
}


static enum buyers_counted
close_all(struct count *c)
{
    enum buyers_counted result = BUYERS_COUNTED;

    for (size_t i = 0; i < c->n && result == BUYERS_COUNTED; i++) {
        result = c->products[i].wanted ? write_page(c, &c->products[i], NULL, 0, 1) : BUYERS_COUNTED;
    }

    return result;
}


static int
compare(const void *a, const void *b)
{
    uint64_t x = ((const struct counted *) a)->id, y = ((const struct counted *) b)->id;

    return x < y ? -1 : x > y;
}


/* Called for each entry in flight. */
static struct buyers_orders *
orders_of(uint64_t product, void *data)
{
    struct count *c = data;
    struct counted key = { .id = product };
    struct counted *p = bsearch(&key, c->products, c->n, sizeof(key), compare);

    return p != NULL && p->wanted ? &p->orders : NULL;
}


/* One look: what the journal has by now; the users of the orders that the snapshot does not decide are written again.
 */
static enum buyers_counted
correct(struct count *c, struct counted *p, int64_t *lines)
{
    struct buyers_sums changed = { 0 };
    enum buyers_counted result = BUYERS_COUNTED;

    switch (buyers_orders_read_journal(&p->orders, c->redis, p->id, lines)) {
    case -1:
        return BUYERS_REDIS_FAILED;
    case 0:
        return BUYERS_TAKEN_OVER;
    default:
        break;
    }

    if (buyers_orders_read_rows(&p->orders, c->db, p->id) != DB_OK) {
        result = BUYERS_DB_FAILED;
    } else if (buyers_orders_read_records(&p->orders, c->redis) == -1) {
        result = BUYERS_REDIS_FAILED;
    } else {
        buyers_orders_correct(&p->orders, &p->sums, &changed);
        result = write_users(c, p, changed.all, changed.count);
    }

    buyers_sums_free(&changed);
    return result;
}


static enum buyers_counted
finish_product(struct count *c, struct counted *p)
{
    int64_t lines = p->before;
    int done = 0;

    for (int i = 0; i < ROUNDS && !done; i++) {
        if (!c->go_on(c->data) || (i > 0 && stop_wait(ROUND_MS))) {
            return BUYERS_STOPPED;
        }

        enum buyers_counted result = correct(c, p, &lines);

        if (result != BUYERS_COUNTED || (result = finish(c, p, lines, &done)) != BUYERS_COUNTED) {
            return result;
        }
    }

    *c->users += done ? p->sums.count : 0;
    return done ? BUYERS_COUNTED : BUYERS_BUSY;
}


static enum buyers_counted
run(struct count *c)
{
    enum buyers_counted result = begin_all(c);

    if (result != BUYERS_COUNTED || (result = open_snapshot(c->db)) != BUYERS_COUNTED
        || (result = sum_all(c)) != BUYERS_COUNTED || (result = close_all(c)) != BUYERS_COUNTED)
    {
        return result;
    }

    if (buyers_orders_add_in_flight(c->redis, orders_of, c) == -1) {
        return BUYERS_REDIS_FAILED;
    }

    for (size_t i = 0; i < c->n && result == BUYERS_COUNTED; i++) {
        result = c->products[i].wanted ? finish_product(c, &c->products[i]) : BUYERS_COUNTED;
    }

    return result;
}


enum buyers_counted
buyers_count(struct db *db, struct redis_connection *redis, const uint64_t *ids, size_t n, buyers_go_on go_on,
             void *data, uint64_t *users)
{
    struct count c = { .db = db, .redis = redis, .n = n, .go_on = go_on, .data = data, .users = users };

    if (n == 0) {
        return BUYERS_COUNTED;
    }

    c.products = memory_resize(NULL, n, sizeof(*c.products));
    random_hex(c.token, TOKEN_LEN);

    for (size_t i = 0; i < n; i++) {
        c.products[i] = (struct counted) { .id = ids[i] };
    }

    qsort(c.products, n, sizeof(*c.products), compare);

    enum buyers_counted result = db_open(db) == DB_OK ? run(&c) : BUYERS_DB_FAILED;

    db_rollback(db);

    for (size_t i = 0; i < n; i++) {
        buyers_sums_free(&c.products[i].sums);
        buyers_orders_free(&c.products[i].orders);
    }

    free(c.products);
    return result;
}
