#include "redis/entry_id.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "text/number.h"


int
entry_id_read(struct entry_id *id, const char *text)
{
    const char *hyphen = strchr(text, '-');

    return hyphen == NULL || number_parse(&id->ms, text, (size_t) (hyphen - text), UINT64_MAX) == -1
                   || number_parse(&id->number, hyphen + 1, strlen(hyphen + 1), UINT64_MAX) == -1
               ? -1
               : 0;
}


void
entry_id_before(const struct entry_id *id, char *text)
{
    uint64_t ms = id->number > 0 ? id->ms : id->ms - 1;

    snprintf(text, ENTRY_ID_SIZE, "%" PRIu64 "-%" PRIu64, ms, id->number > 0 ? id->number - 1 : UINT64_MAX);
}


int
entry_id_compare(const struct entry_id *a, const struct entry_id *b)
{
    return a->ms != b->ms ? (a->ms < b->ms ? -1 : 1) : (a->number > b->number) - (a->number < b->number);
}
