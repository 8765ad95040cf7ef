#include "observe/peers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "redis/beats.h"

struct peer {
    char name[SILENT_NAME_SIZE];
    struct silence silence;
    int is_there; /* in the last look */
};


void
peers_init(struct peers *peers)
{
    *peers = (struct peers) { 0 };
    pthread_mutex_init(&peers->lock, NULL);
}


void
peers_free(struct peers *peers)
{
    pthread_mutex_destroy(&peers->lock);
    free(peers->list);
}


static struct peer *
add(struct peers *peers, const char *name)
{
    if (peers->count == PEERS_MOST) {
        return NULL;
    }

    if (peers->count == peers->capacity) {
        peers->capacity = peers->capacity == 0 ? 16 : peers->capacity * 2;
        peers->list = memory_resize(peers->list, peers->capacity, sizeof(struct peer));
    }

    struct peer *peer = &peers->list[peers->count++];

    *peer = (struct peer) { 0 };
    snprintf(peer->name, sizeof(peer->name), "%s", name);
    return peer;
}


/* Beats mostly come in the order of the last look. NULL: there is no room for one more. */
static struct peer *
find_or_add(struct peers *peers, const char *name, size_t guess)
{
    if (guess < peers->count && strcmp(peers->list[guess].name, name) == 0) {
        return &peers->list[guess];
    }

    for (size_t i = 0; i < peers->count; i++) {
        if (strcmp(peers->list[i].name, name) == 0) {
            return &peers->list[i];
        }
    }

    return add(peers, name);
}


static void
drop_those_gone(struct peers *peers)
{
    size_t kept = 0;

    for (size_t i = 0; i < peers->count; i++) {
        if (peers->list[i].is_there) {
            peers->list[kept] = peers->list[i];
            peers->list[kept++].is_there = 0;
        }
    }

    peers->count = kept;
}


void
peers_look(struct peers *peers, const redisReply *beats, uint64_t now)
{
    size_t pairs = beats != NULL && beats->type == REDIS_REPLY_ARRAY ? beats->elements / 2 : 0;

    pthread_mutex_lock(&peers->lock);

    for (size_t i = 0; i < pairs; i++) {
        const redisReply *name = beats->element[2 * i], *value = beats->element[2 * i + 1];

        /* A longer name is none of a worker, and would be taken for another one's. */
        if (name->type != REDIS_REPLY_STRING || name->len >= SILENT_NAME_SIZE || value->type != REDIS_REPLY_STRING
            || value->len > SILENCE_VALUE_MOST)
        {
            continue;
        }

        struct peer *peer = find_or_add(peers, name->str, i);

        if (peer != NULL) {
            peer->is_there = 1;
            (void) silence_see(&peer->silence, value->str, now);
        }
    }

    drop_those_gone(peers);
    peers->looked_ms = now;
    pthread_mutex_unlock(&peers->lock);
}


void
peers_forget(struct peers *peers)
{
    pthread_mutex_lock(&peers->lock);
    peers->count = 0;
    peers->looked_ms = 0;
    pthread_mutex_unlock(&peers->lock);
}


size_t
peers_silent(struct peers *peers, unsigned dead_after, struct silent_consumer *list, size_t most)
{
    size_t n = 0;

    pthread_mutex_lock(&peers->lock);

    for (size_t i = 0; i < peers->count && n < most; i++) {
        const struct peer *peer = &peers->list[i];

        if (peers->looked_ms - peer->silence.since >= dead_after) {
            snprintf(list[n].name, sizeof(list[n].name), "%s", peer->name);
            snprintf(list[n].value, sizeof(list[n].value), "%s", peer->silence.value);
            n++;
        }
    }

    pthread_mutex_unlock(&peers->lock);
    return n;
}


int
peers_reach_mysql(struct peers *peers, const char *name, unsigned dead_after)
{
    int reach = 0;

    pthread_mutex_lock(&peers->lock);

    for (size_t i = 0; i < peers->count && !reach; i++) {
        const struct peer *peer = &peers->list[i];

        reach = peers->looked_ms - peer->silence.since < dead_after && beat_read(peer->silence.value).reaches_mysql
                && strcmp(peer->name, name) != 0;
    }

    pthread_mutex_unlock(&peers->lock);
    return reach;
}
