#include "base/secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define LINE_MOST 1024


/* Takes one line; an empty one does not count. Returns NULL, or what is wrong with it. */
static const char *
add_line(struct secrets *secrets, char *line)
{
    size_t len = strcspn(line, "\r\n");

    if (len == 0) {
        return NULL;
    }

    if (secrets->count == CHECKOUT_SECRETS_MAX) {
        return "one secret too many";
    }

    const char *fault = checkout_secret_read(&secrets->list[secrets->count], CHECKOUT_SCHEME_STANDARD, line, len);

    secrets->count += fault == NULL;
    return fault;
}


static int
read_lines(struct secrets *secrets, FILE *file, const char *path, char *error, size_t size)
{
    char line[LINE_MOST];
    const char *fault = NULL;

    for (unsigned n = 1; fault == NULL && fgets(line, sizeof(line), file) != NULL; n++) {
        fault = add_line(secrets, line);

        if (fault != NULL) {
            snprintf(error, size, "%s:%u: the secret %s", path, n, fault);
        }
    }

    explicit_bzero(line, sizeof(line));

    if (fault == NULL && secrets->count == 0) {
        fault = "none";
        snprintf(error, size, "%s: no secret", path);
    }

    return fault == NULL ? 0 : -1;
}


int
secrets_load(struct secrets *secrets, const char *path, char *error, size_t size)
{
    *secrets = (struct secrets) { 0 };

    if (path[0] == '\0') {
        return 0;
    }

    FILE *file = fopen(path, "re");

    if (file == NULL) {
        snprintf(error, size, "%s: %s", path, strerror(errno));
        return -1;
    }

    secrets->list = memory_resize(NULL, CHECKOUT_SECRETS_MAX, sizeof(struct checkout_secret));

    int result = read_lines(secrets, file, path, error, size);

    (void) fclose(file);

    if (result == -1) {
        secrets_free(secrets);
    }

    return result;
}


void
secrets_free(struct secrets *secrets)
{
    if (secrets->list != NULL) {
        explicit_bzero(secrets->list, CHECKOUT_SECRETS_MAX * sizeof(struct checkout_secret));
        free(secrets->list);
    }

    *secrets = (struct secrets) { 0 };
}
