/*
 * Secrets of webhooks from a file: one in each line, all of them valid. Read with the configuration, never logged.
 */
#ifndef CHECKOUT_WORKER_BASE_SECRETS_H
#define CHECKOUT_WORKER_BASE_SECRETS_H

#include <stddef.h>

#include "text/signature.h"

struct secrets {
    struct checkout_secret *list;   /* owned; NULL: none */
    size_t count;                   /* 0 .. CHECKOUT_SECRETS_MAX */
};

/* Secrets of Standard Webhooks. An empty path: none. Returns 0, or -1 with file, line and reason in error. */
int secrets_load(struct secrets *secrets, const char *path, char *error, size_t size);

void secrets_free(struct secrets *secrets);

#endif
