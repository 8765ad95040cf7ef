/*
 * A sender: one thread that takes what MySQL says is due, sends each as a request, and writes down what was answered.
 * outbound/outbox.h and outbound/gateway.h are its two kinds.
 *
 * What is taken is leased: the row's next try is put off to when the answer must have come, in a transaction that
 * ends before anything is sent. So any number of processes share the work, no lock is held while somebody else's
 * server is waited for, and what a killed process had in hand is sent again after the lease. `tries` tells the leases
 * of one row apart: an answer is written only by whoever holds the last one, or where it is final.
 *
 * Several requests are on their way at once, so one that hangs keeps no others waiting. An answer that cannot be
 * written, because MySQL is away, is kept and written later; one that MySQL refuses for its data is given up, and its
 * row is due again after the lease. At the stop what has no answer yet is handed back.
 */
#ifndef CHECKOUT_WORKER_OUTBOUND_SENDER_H
#define CHECKOUT_WORKER_OUTBOUND_SENDER_H

#include <pthread.h>
#include <stdatomic.h>

#include "text/buffer.h"
#include "base/config.h"
#include "mysql/db.h"
#include "outbound/http_client.h"
#include "order/identifier.h"
#include "lifecycle/rules.h"
#include "base/backoff.h"

#define SENDER_WAIT_FIRST_MS   1000
#define SENDER_LEASE_MARGIN_MS 5000    /* beyond the time-out of a request */
#define SENDER_TYPE_MAX        64

enum sender_state {
    SENDER_FREE,
    SENDER_LEASED,      /* its request was not started yet */
    SENDER_RUNNING,
    SENDER_ANSWERED     /* what became of it is not written yet */
};

/* One row in hand. */
struct sender_item {
    enum sender_state state;
    uint64_t id;                                    /* of outgoing_events; 0 for calls of the gateway */
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];   /* of the order */
    char type[SENDER_TYPE_MAX + 1];                 /* of outgoing_events */
    unsigned tries;                                 /* this one included */
    uint64_t now;                                   /* seconds, by the database's clock, when it was leased */
    char amount[32];                                /* calls of the gateway: what is asked for */
    int asked_before;                               /* the same: an earlier request may have reached it */
    enum order_status order_status;                  /* the same: of the order, when it was leased */
    struct buffer body;
    struct http_request request;
};

struct sender;

struct sender_kind {
    const char *name;

    /* Leases up to n rows with sender_item(). Returns how many, or -1: MySQL failed, and nothing is leased. */
    int (*claim)(struct sender *s, unsigned n);

    /* Starts the item's request. Returns 0, or -1: it cannot be sent, request.error says why. */
    int (*start)(struct sender *s, struct sender_item *item);

    /* Writes what was answered. */
    enum db_result (*finish)(struct sender *s, struct sender_item *item);

    /* Ends the lease of an item that has no answer. */
    enum db_result (*hand_back)(struct sender *s, struct sender_item *item);

    /* Looks at the whole, for /metrics. */
    void (*survey)(struct sender *s);
};

struct sender {
    const struct sender_kind *kind;
    const struct config *config;          /* not owned */
    pthread_t thread;
    int started;
    atomic_int ended;
    struct db db;
    struct backoff backoff;
    struct http_client client;
    struct sender_item *items;
    unsigned count;                       /* of items: the most on their way at once */
    struct buffer sql;                    /* for the kind, emptied by whoever uses it */
    uint64_t next_claim_ms, next_survey_ms, next_enlist_ms;
    uint64_t mysql_ms;                    /* MySQL failed: nothing is asked of it before */
};

/* count: 1 .. 256. ca_file "": the system's authorities. Returns 0, or an error number. */
int sender_start(struct sender *s, const struct sender_kind *kind, const struct config *config, const char *url,
                 const char *ca_file, unsigned count);

/* Also for one that was never started. */
int sender_ended(const struct sender *s);
void sender_join(struct sender *s);

/* For claim(): the next free item, now leased. */
struct sender_item *sender_item(struct sender *s);

/*
 * The wait after so many tries, with jitter: between half of a bound and the bound, which doubles from
 * SENDER_WAIT_FIRST_MS to most_ms. random: any number. Pure.
 */
unsigned sender_wait_ms(unsigned tries, unsigned most_ms, uint32_t random);

/* The same with a random number of the system's, and no less than the answer asks for. */
unsigned sender_item_wait_ms(const struct sender_item *item, unsigned most_ms);

/* Why an item has no good answer: "HTTP 500", or what the network did. In ASCII, for a column takes no other bytes. */
void sender_item_error(const struct sender_item *item, char *out, size_t size);

#endif
