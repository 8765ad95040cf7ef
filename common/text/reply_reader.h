/*
 * hiredis' reader of the Redis protocol with a bound on the elements of an array: a reply that claims a thousand
 * million of them must not take their memory before they arrive. Works with hiredis 0.14 to 1.x.
 */
#ifndef CHECKOUT_TEXT_REPLY_READER_H
#define CHECKOUT_TEXT_REPLY_READER_H

#include <hiredis/hiredis.h>

/* The largest array that our scripts answer with has one element for each order of a call, and one more. */
#define CHECKOUT_REPLY_ELEMENTS_MAX 4096

/* The caller frees it with redisReaderFree(). NULL: no memory. An array over the bound is an error of the reader. */
redisReader *checkout_reply_reader_create(void);

#endif
