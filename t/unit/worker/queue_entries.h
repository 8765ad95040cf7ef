/*
 * Entries of the queue for unit tests, in the form in which Redis sends them.
 */
#ifndef CHECKOUT_TEST_QUEUE_ENTRIES_H
#define CHECKOUT_TEST_QUEUE_ENTRIES_H

#include <check.h>
#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ID_A "01a1fc4d-a3c0-7000-a938-43790cd90f5a"
#define ID_B "01a1fc4d-a3c0-7000-a938-43790cd90f5b"
#define ID_C "01a1fc4d-a3c0-7000-a938-43790cd90f5c"

#define MS " 1763700000123"


/* An entry as Redis sends it, read by hiredis from the wire form. The words end with NULL. */
static inline redisReply *
make_entry(const char *id, ...)
{
    redisReader *reader = redisReaderCreate();
    char wire[4096], fields[4096] = "";
    void *reply = NULL;
    unsigned words = 0;
    va_list list;

    va_start(list, id);

    for (const char *word; (word = va_arg(list, const char *)) != NULL; words++) {
        snprintf(fields + strlen(fields), sizeof fields - strlen(fields), "$%zu\r\n%s\r\n", strlen(word), word);
    }

    va_end(list);
    snprintf(wire, sizeof wire, "*2\r\n$%zu\r\n%s\r\n*%u\r\n%s", strlen(id), id, words, fields);
    redisReaderFeed(reader, wire, strlen(wire));
    ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    ck_assert_ptr_nonnull(reply);
    redisReaderFree(reader);
    return reply;
}


static inline redisReply *
make_job(const char *id, const char *product, const char *units, const char *count, const char *orders)
{
    return make_entry(id, "nonce", "00112233aabbccdd", "product", product, "units", units, "count", count, "day",
                      "2026-11-21", "orders", orders, NULL);
}

#endif
