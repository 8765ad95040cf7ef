#include "lifecycle/transition.h"

#include <string.h>
#include <time.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/stop.h"
#include "failpoint.h"
#include "observe/stats.h"
#include "redis/gate.h"
#include "redis/keys.h"
#include "redis/push_words.h"

#define DAY_MS 86400000


/* The product's place in the call, from 1; 0: it is not among the products. */
static size_t
product_number(const struct transition *moved, uint64_t product)
{
    for (size_t i = 0; i < moved->product_count; i++) {
        if (moved->products[i].id == product) {
            return i + 1;
        }
    }

    return 0;
}


static void
add_bucket(struct redis_args *args, uint64_t ms)
{
    char day[CHECKOUT_DAY_LEN + 1];

    checkout_day(day, ms);
    day[CHECKOUT_DAY_LEN] = '\0';
    key_bucket(args, day);
}


void
transition_args(struct redis_args *args, const struct transition *moved, uint64_t now_ms)
{
    args_clear(args);
    args_script(args, &checkout_script_transition, (unsigned) (3 + 3 * moved->product_count));
    add_bucket(args, now_ms);
    add_bucket(args, now_ms - DAY_MS);
    add_bucket(args, now_ms + DAY_MS);

    for (size_t i = 0; i < moved->product_count; i++) {
        key_stock(args, moved->products[i].id);
        key_register(args, moved->products[i].id);
        key_buyers(args, moved->products[i].id);
    }

    args_text(args, moved->make ? "1" : "0");
    args_number(args, moved->product_count);

    for (size_t i = 0; i < moved->product_count; i++) {
        push_words_add(args, &moved->products[i]);
    }

    for (size_t i = 0; i < moved->order_count; i++) {
        const struct changed_order *o = &moved->orders[i];

        if (!order_status_changed(o)) {
            continue;
        }

        args_text(args, o->identifier);
        args_text(args, order_status_name(o->status));
        args_text(args, o->code[0] != '\0' ? o->code : "-");
        args_number(args, product_number(moved, o->product));
        args_number(args, o->user);
        args_number(args, o->quantity);
        args_signed(args, o->taken);
    }
}


static uint64_t
wall_clock_ms(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_REALTIME, &now);

    return (uint64_t) now.tv_sec * 1000;
}


/* One number of the reply for each order that changed. */
static void
read_told(const redisReply *reply, const struct transition *moved, unsigned char *told)
{
    size_t n = 0;

    for (size_t i = 0; i < moved->order_count; i++) {
        int changed = order_status_changed(&moved->orders[i]);

        told[i] = !changed || (n < reply->elements && reply_number(reply->element[n], 0) > 0);
        n += (size_t) changed;
    }
}


int
transition_send(struct redis_connection *conn, struct redis_args *args, const struct transition *moved,
                unsigned char *told)
{
    uint64_t now = wall_clock_ms();
    struct backoff backoff = { 0 };

    for (unsigned i = 0; i < TRANSITION_TRIES; i++) {
        transition_args(args, moved, now);

        redisReply *reply = EFFECT("transition.script", redis_script(conn, &checkout_script_transition, args));

        if (reply != NULL) {
            if (told != NULL) {
                read_told(reply, moved, told);
            }

            freeReplyObject(reply);
            return 0;
        }

        stats_redis_retry(0);

        if (stop_wait(backoff_next(&backoff))) {
            break;
        }
    }

    return -1;
}
