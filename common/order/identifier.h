/*
 * Lanes and order identifiers.
 *
 * A lane is the part of Redis that holds a product and its queue: product id mod lanes, one lane on a
 * single Redis. An order identifier is a UUID (RFC 9562) in lower case that carries its lane in the 12
 * bits behind the version: rand_a of version 7, custom_b of version 8.
 *
 * Nothing here blocks or keeps a pointer; only checkout_identifier_v8() allocates, and frees it before it returns.
 * Pointers are never NULL.
 */
#ifndef CHECKOUT_ORDER_IDENTIFIER_H
#define CHECKOUT_ORDER_IDENTIFIER_H

#include <stddef.h>
#include <stdint.h>

#define CHECKOUT_LANES_MAX         4096 /* 12 bits */
#define CHECKOUT_IDENTIFIER_LEN    36   /* without a closing NUL */
#define CHECKOUT_IDENTIFIER_RANDOM 8    /* random bytes that one identifier takes */
#define CHECKOUT_DAY_LEN           10   /* "2026-11-21", without a closing NUL */

/* Returns the lane of a product, 0 .. lanes - 1. lanes: 1 .. CHECKOUT_LANES_MAX. */
unsigned checkout_lane(uint64_t product_id, unsigned lanes);

/*
 * Writes a UUIDv7 of 36 characters, no NUL. unix_ms: milliseconds since 1970, 48 bits are used. lane: 0 .. 4095.
 * random: CHECKOUT_IDENTIFIER_RANDOM bytes from the operating system's generator, of which 62 bits are used.
 */
void checkout_identifier_v7(char out[CHECKOUT_IDENTIFIER_LEN], uint64_t unix_ms, unsigned lane,
                            const unsigned char random[CHECKOUT_IDENTIFIER_RANDOM]);

/*
 * Writes the UUIDv8 that a user's Idempotency-Key stands for, 36 characters, no NUL: the first 128 bits of
 * SHA-256 over user and key, each as text behind its length in 4 bytes, high byte first; then version,
 * variant and lane are set. The same user, key and lane give the same identifier anywhere. lane: 0 .. 4095. key: bytes
 * of any kind, no NUL needed. Returns 0, or -1: libcrypto failed, or has no memory; out is then as it was.
 */
int checkout_identifier_v8(char out[CHECKOUT_IDENTIFIER_LEN], unsigned lane, uint64_t user_id, const char *key,
                           size_t key_len);

/* Returns 0 when the text is an identifier in the form written here (version 7 or 8, lower case), else -1. */
int checkout_identifier_check(const char *text, size_t len);

/* Returns the lane that an identifier carries, 0 .. 4095. The identifier must have been checked; no NUL needed. */
unsigned checkout_identifier_lane(const char *identifier);

/* Writes the UTC day of a bucket, "2026-11-21", no NUL. unix_ms: milliseconds since 1970, before the year 10000. */
void checkout_day(char out[CHECKOUT_DAY_LEN], uint64_t unix_ms);

#endif
