/*
 * The days of which the gate keeps records: its buckets orders:<day>.
 */
#ifndef CHECKOUT_WORKER_REDIS_RECORD_DAYS_H
#define CHECKOUT_WORKER_REDIS_RECORD_DAYS_H

#include "order/identifier.h"
#include "redis/connection.h"

#define DAYS_MOST 64   /* buckets expire after two days */

struct days {
    char day[DAYS_MOST][CHECKOUT_DAY_LEN + 1];   /* ascending, distinct */
    size_t count;
};

/* Returns 0, or -1 with conn->error set. */
int days_read(struct redis_conn *conn, struct days *days);

/* The gate's record of an order, looked for in all buckets. Returns the reply (nil: none) or NULL with conn->error. */
redisReply *days_find_record(struct redis_conn *conn, const struct days *days, const char *identifier,
                             const char **day);

#endif
