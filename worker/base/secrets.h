/*
 * Secrets of webhooks from a file: one in each line, all of them valid. Read with the configuration, never logged.
 */
#ifndef CHECKOUT_WORKER_BASE_SECRETS_H
#define CHECKOUT_WORKER_BASE_SECRETS_H

#include <stddef.h>

#include "text/signature.h"

struct secrets {
    struct checkout_secret *list; /* owned; NULL: none */
    size_t count;                 /* 0 .. CHECKOUT_SECRETS_MAX */
};

/*
 * Reads secrets of Standard Webhooks (whsec_<base64>). An empty path: none. Blocks on the file. Returns 0, and
 * secrets_free() frees them; or -1 with file, line and reason in error, and *secrets empty.
 */
int secrets_load(struct secrets *secrets, const char *path, char *error, size_t size);

/* Overwrites and frees the secrets. */
void secrets_free(struct secrets *secrets);

#endif
