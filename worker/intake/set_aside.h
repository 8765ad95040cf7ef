/*
 * Entries of the queue that this consumer has set aside: a check failed for each alone (intake/batch_check.h), before
 * or after its transaction was committed. The consumer passes over them when it reads its own entries again. They stay
 * pending in the consumer group, so that nothing of them is lost and a worker of another version may take them over.
 *
 * Bounded: of more than SET_ASIDE_MOST entries, the one set aside first is forgotten. It is then tried again, fails its
 * check again, and is set aside again. Owns nothing; pure. A zero-initialised list is empty.
 */
#ifndef CHECKOUT_WORKER_INTAKE_SET_ASIDE_H
#define CHECKOUT_WORKER_INTAKE_SET_ASIDE_H

#include <stddef.h>

#define SET_ASIDE_MOST     64
#define SET_ASIDE_ID_CHARS 41 /* "<ms>-<number>", each of at most 20 digits */

struct set_aside {
    char ids[SET_ASIDE_MOST][SET_ASIDE_ID_CHARS + 1];
    size_t count;
    size_t next; /* where the next id goes */
};

/* Adds an entry. id is copied; one that is longer than an id of Redis can be is not taken. */
void set_aside_add(struct set_aside *list, const char *id);

/* Returns 1 where the entry was set aside and not forgotten, else 0. */
int set_aside_has(const struct set_aside *list, const char *id);

#endif
