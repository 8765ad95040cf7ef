#include "intake/set_aside.h"

#include <string.h>


void
set_aside_add(struct set_aside *list, const char *id)
{
    size_t len = strlen(id);

    if (len > SET_ASIDE_ID_CHARS || set_aside_has(list, id)) {
        return;
    }

    memcpy(list->ids[list->next], id, len + 1);
    list->next = (list->next + 1) % SET_ASIDE_MOST;

    if (list->count < SET_ASIDE_MOST) {
        list->count++;
    }
}


int
set_aside_has(const struct set_aside *list, const char *id)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->ids[i], id) == 0) {
            return 1;
        }
    }

    return 0;
}
