#include "ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "migrate.h"
#include "order.h"


int
ctl_fail(const char *format, ...)
{
    va_list args;

    fputs("checkoutctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return CTL_ERROR;
}


int
ctl_db_failed(const struct ctl *ctl)
{
    return ctl_fail("MySQL: %s (error %u)", ctl->db.error, ctl->db.code);
}


int
ctl_redis_failed(const struct ctl *ctl)
{
    return ctl_fail("Redis: %s", ctl->redis.error);
}


int
ctl_product_id(const char *word, uint64_t *id)
{
    if (checkout_uint_parse(id, word, strlen(word), INT64_MAX) == -1 || *id == 0) {
        (void) ctl_fail("%s is no product id (a whole number from 1)", word);
        return -1;
    }

    return 0;
}


int
ctl_migrate(struct ctl *ctl, int argc, char **argv)
{
    (void) argv;

    if (argc > 0) {
        return ctl_fail("migrate takes no words");
    }

    return migrate(&ctl->db) == 0 ? CTL_OK : CTL_ERROR;
}
