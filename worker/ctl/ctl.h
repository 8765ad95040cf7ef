/*
 * What the commands of checkoutctl share.
 *
 * A command gets the words behind its name, without the options that all commands know (--json, --yes,
 * --dry-run), and returns the exit code. It prints results to stdout and errors to stderr.
 */
#ifndef CHECKOUT_WORKER_CTL_CTL_H
#define CHECKOUT_WORKER_CTL_CTL_H

#include <cjson/cJSON.h>

#include "base/config.h"
#include "mysql/db.h"
#include "redis/connection.h"
#include "repair/sync.h"

#define CTL_OK        0   /* done, in order */
#define CTL_VIOLATED  1   /* a law is violated */
#define CTL_ERROR     2   /* wrong use, or a server cannot be reached */
#define CTL_NOT_FOUND 3   /* no such product, order or dead letter */

struct ctl {
    struct config config;
    struct db db;
    struct redis_connection redis;
    int json;      /* print JSON instead of text */
    int yes;       /* the operator means it */
    int dry_run;   /* say what would be done, and do nothing */
};

int ctl_migrate(struct ctl *ctl, int argc, char **argv);
int ctl_product_add(struct ctl *ctl, int argc, char **argv);
int ctl_product_set(struct ctl *ctl, int argc, char **argv);
int ctl_product_show(struct ctl *ctl, int argc, char **argv);
int ctl_product_close(struct ctl *ctl, int argc, char **argv);
int ctl_stock_load(struct ctl *ctl, int argc, char **argv);
int ctl_stock_get(struct ctl *ctl, int argc, char **argv);
int ctl_stock_set(struct ctl *ctl, int argc, char **argv);
int ctl_stock_adjust(struct ctl *ctl, int argc, char **argv);
int ctl_stock_movements(struct ctl *ctl, int argc, char **argv);
int ctl_queue_stats(struct ctl *ctl, int argc, char **argv);
int ctl_queue_pause(struct ctl *ctl, int argc, char **argv);
int ctl_queue_resume(struct ctl *ctl, int argc, char **argv);
int ctl_dlq_list(struct ctl *ctl, int argc, char **argv);
int ctl_dlq_show(struct ctl *ctl, int argc, char **argv);
int ctl_dlq_retry(struct ctl *ctl, int argc, char **argv);
int ctl_dlq_drop(struct ctl *ctl, int argc, char **argv);
int ctl_order_show(struct ctl *ctl, int argc, char **argv);
int ctl_order_cancel(struct ctl *ctl, int argc, char **argv);
int ctl_order_complete(struct ctl *ctl, int argc, char **argv);
int ctl_order_refund(struct ctl *ctl, int argc, char **argv);
int ctl_payments(struct ctl *ctl, int argc, char **argv);
int ctl_events_list(struct ctl *ctl, int argc, char **argv);
int ctl_events_retry(struct ctl *ctl, int argc, char **argv);
int ctl_events_drop(struct ctl *ctl, int argc, char **argv);
int ctl_audit(struct ctl *ctl, int argc, char **argv);
int ctl_rebuild(struct ctl *ctl, int argc, char **argv);

/* Prints "checkoutctl: …" to stderr and returns CTL_ERROR. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int ctl_db_failed(const struct ctl *ctl);
int ctl_redis_failed(const struct ctl *ctl);

/* The same for what was asked for and is not there: returns CTL_NOT_FOUND. */
int ctl_not_found(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Says how sync_product() ended for a product that was changed; stock and version are row's. `done` is the
 * word for it ("changed"). Returns the exit code.
 */
int ctl_sync_said(const struct ctl *ctl, enum sync_result result, const struct product_row *row, const char *done);

/* A product id from the command line: 1 .. 2^63 - 1. Returns 0, or -1 after a message. */
int ctl_product_id(const char *word, uint64_t *id);

/*
 * Takes "NAME value" out of the words, wherever it stands: a whole number up to `most` into *value, which keeps
 * its default otherwise. Returns 0, or -1 after a message.
 */
int ctl_take_number(int *argc, char **argv, const char *name, uint64_t most, uint64_t *value);

/* Takes a word out of the words, wherever it stands. Returns 1, or 0: it is not there. */
int ctl_take_word(int *argc, char **argv, const char *word);

/* Prints an object and ends it: as JSON, or member by member as text. Returns CTL_OK. */
int ctl_print(const struct ctl *ctl, cJSON *object);

/* Prints an object as JSON, or else the sentence; ends the object. Returns CTL_OK. */
int ctl_say(const struct ctl *ctl, cJSON *object, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Whole numbers keep all their digits, unlike cJSON's own. */
void json_int(cJSON *object, const char *name, int64_t value);
void json_uint(cJSON *object, const char *name, uint64_t value);

/* NULL becomes null; a text in MySQL's or Redis's reply that reads as a whole number can be given as one. */
void json_text(cJSON *object, const char *name, const char *text);

/* What the gate holds of a product that is loaded; a stock key that is missing is -1. */
void json_gate(cJSON *object, const struct gate_product *gate);
void json_digits(cJSON *object, const char *name, const char *text);

/* The columns of a row by their names: those of numbers as json_digits(), others as json_text(). */
void json_row(cJSON *object, MYSQL_RES *rows, MYSQL_ROW row);

/* All rows that were not fetched yet, as a member that is an array of such objects. */
void json_rows(cJSON *object, const char *name, MYSQL_RES *rows);

#endif
