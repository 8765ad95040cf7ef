/*
 * The gate's records of orders: one bucket orders:<day> for each day (the form of a record: order/order.h).
 *
 * Both functions make calls of Redis: they block up to [redis] timeout for each.
 */
#ifndef CHECKOUT_WORKER_REDIS_ORDER_RECORDS_H
#define CHECKOUT_WORKER_REDIS_ORDER_RECORDS_H

#include "order/identifier.h"
#include "redis/connection.h"

#define RECORD_DAYS_MOST  64 /* buckets expire after two days */
#define RECORD_STATUS_MAX 32 /* characters of a record's status and reason, as checkout_record_write() takes them */
#define RECORD_REASON_MAX 64

struct record_days {
    char day[RECORD_DAYS_MOST][CHECKOUT_DAY_LEN + 1]; /* ascending, distinct */
    size_t count;
};

/* Finds the buckets that there are. Returns 0, or -1 with conn->error set; *days then holds those found before. */
int order_records_read_days(struct redis_connection *conn, struct record_days *days);

/*
 * Finds the record of an order in the newest bucket that has one. days must not be empty. Returns the reply, which the
 * caller frees (a string: the record, and *day its bucket, pointing into days; nil: there is none), or NULL with
 * conn->error set.
 */
redisReply *order_records_find(struct redis_connection *conn, const struct record_days *days, const char *identifier,
                               const char **day);

/*
 * Finds the records of up to 1000 orders in the buckets of today, yesterday and tomorrow. now_ms: since 1970, UTC.
 * Returns the reply, an array of `n` records or nils, which the caller frees, or NULL with conn->error set. One call.
 */
redisReply *order_records_find_all(struct redis_connection *conn, const char *const *identifiers, size_t n,
                                   uint64_t now_ms);

#endif
