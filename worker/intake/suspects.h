/*
 * Entries whose worker died several times while it had them in hand, MySQL being well: they may be what kills it.
 * heartbeat.lua counts the deaths; deliveries do not count, nor does what merely was pending for the dead.
 *
 * From SUSPECT_DEATHS on an entry is worked on alone, and when there is nothing else to do or after a while, so that no
 * other dies with it or waits for it; at SUSPECT_BURIED it goes to the dead letters.
 *
 * Bounded: SUSPECTS_MOST, the entries of the largest batch. Pure; belongs to one thread; zero-initialised is empty.
 */
#ifndef CHECKOUT_WORKER_INTAKE_SUSPECTS_H
#define CHECKOUT_WORKER_INTAKE_SUSPECTS_H

#include <hiredis/hiredis.h>
#include <stddef.h>
#include <stdint.h>

#include "redis/entry_id.h"

#define SUSPECT_DEATHS 5
#define SUSPECT_BURIED 10
#define SUSPECTS_MOST  4096

struct suspects {
    struct suspect {
        struct entry_id id;
        unsigned deaths;
        int tried; /* by this process */
    } * list;      /* ids ascending */
    size_t count, capacity;
};

/*
 * Replaces the list by what a heartbeat told: id, deaths, …; who was tried stays so. NULL or no array: nothing is
 * known, and the list stays.
 */
void suspects_take(struct suspects *suspects, const redisReply *told);

/* How often the entry's worker died; 0: less than SUSPECT_DEATHS times. id: NULL or text. */
unsigned suspects_deaths(const struct suspects *suspects, const char *id);

/*
 * The next one to try: of those that were not tried yet one with the fewest deaths. It counts as tried then. Returns
 * NULL, and all count as not tried, where there is none. Points into the list.
 */
const struct suspect *suspects_next(struct suspects *suspects);

void suspects_free(struct suspects *suspects);

#endif
