/*
 * Members of the JSON objects that commands print. Whole numbers keep all their digits, unlike cJSON's own, which are
 * doubles. Texts are copied; the object stays the caller's and owns what is added. Nothing here blocks.
 */
#ifndef CHECKOUT_WORKER_CTL_JSON_H
#define CHECKOUT_WORKER_CTL_JSON_H

#include <cjson/cJSON.h>
#include <mysql.h>
#include <stdint.h>

#include "redis/gate.h"

/* A whole number. */
void json_int(cJSON *object, const char *name, int64_t value);
void json_uint(cJSON *object, const char *name, uint64_t value);

/* A string; text NULL: null. */
void json_text(cJSON *object, const char *name, const char *text);

/* The same, but a text that is an integer of JSON (RFC 8259, section 6) becomes a number. */
void json_digits(cJSON *object, const char *name, const char *text);

/* Stock, in_flight and so on of a product that is loaded at the gate; a stock key that is missing is -1. */
void json_gate(cJSON *object, const struct gate_product *gate);

/* Which columns of a row become numbers, where their text is a whole number. */
enum json_numbers {
    JSON_NUMBERS_TYPED, /* columns of a number type */
    JSON_NUMBERS_ALL    /* every column */
};

/* Adds the columns of a row by their names. */
void json_row(cJSON *object, MYSQL_RES *rows, MYSQL_ROW row, enum json_numbers numbers);

/* Adds an array of such objects, of all rows that were not fetched yet. The caller frees rows. */
void json_rows(cJSON *object, const char *name, MYSQL_RES *rows, enum json_numbers numbers);

#endif
