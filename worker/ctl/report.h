/*
 * What commands print: results to stdout, errors to stderr. Functions that return an exit code return the one that the
 * command then ends with.
 */
#ifndef CHECKOUT_WORKER_CTL_REPORT_H
#define CHECKOUT_WORKER_CTL_REPORT_H

#include <cjson/cJSON.h>

#include "ctl/ctl.h"
#include "repair/sync.h"

/* Prints "checkoutctl: …". Returns CTL_ERROR. */
int report_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for something that was asked for and does not exist. Returns CTL_NOT_FOUND. */
int report_not_found(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the last error of the command's connection. Returns CTL_ERROR. */
int report_db_failed(const struct ctl *ctl);

/* The same for its call of Redis. Returns CTL_ERROR. */
int report_redis_failed(const struct ctl *ctl);

/*
 * Prints the result of sync_product() for a product that the command changed; row is what was committed. done: the word
 * for the change ("changed"). Returns the exit code.
 */
int report_sync(const struct ctl *ctl, enum sync_result result, const struct product_row *row, const char *done);

/* Prints an object, as JSON with --json, else member by member as text; frees it. Returns CTL_OK. */
int report_object(const struct ctl *ctl, cJSON *object);

/* Prints an object as JSON with --json, else the sentence; frees the object. Returns CTL_OK. */
int report_result(const struct ctl *ctl, cJSON *object, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
