/*
 * The consumers of all processes as this one hears them: which of them fell silent, by this process's own clock, and
 * whether one of them reaches MySQL.
 *
 * The heartbeat (observe/heartbeat.h) listens and fills it in; consumers and monitor ask. Redis' clock is not looked
 * at: it may step. Silence counts only as far as it was listened to: from one look at the beats to the next, and none
 * of it where Redis did not answer in between, since then nobody could be heard.
 *
 * Belongs to the daemon; all functions may be called from every thread, and wait for each other for moments only.
 */
#ifndef CHECKOUT_WORKER_OBSERVE_PEERS_H
#define CHECKOUT_WORKER_OBSERVE_PEERS_H

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/silence.h"
#include "redis/stream.h"

#define PEERS_MOST 4096 /* consumers of all processes; of those beyond, nobody knows when they are dead */

struct peers {
    pthread_mutex_t lock;
    struct peer *list; /* under lock, as is the rest */
    size_t count, capacity;
    uint64_t looked_ms; /* when the beats were read last; 0: never, or Redis did not answer since */
};

/* An empty list: nobody is silent yet. */
void peers_init(struct peers *peers);
void peers_free(struct peers *peers);

/* Takes what a look at the beats gave (name, value, …), at the time `now` of clock_ms(). */
void peers_look(struct peers *peers, const redisReply *beats, uint64_t now);

/* Redis did not answer: silence counts anew from the next look. */
void peers_forget(struct peers *peers);

/*
 * Fills in up to `most` consumers that were silent for dead_after ms or longer, with the value of their last beat, for
 * heartbeat.lua to confirm. Returns how many.
 */
size_t peers_silent(struct peers *peers, unsigned dead_after, struct silent_consumer *list, size_t most);

/* Returns 1 where a consumer other than `name`, heard within the last dead_after ms, reaches MySQL, else 0. */
int peers_reach_mysql(struct peers *peers, const char *name, unsigned dead_after);

#endif
