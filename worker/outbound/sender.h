/*
 * A sender: one thread that takes due rows from MySQL, sends each as an HTTP request, and writes down the result. It
 * has two kinds, outbound/outbox.h and outbound/gateway.h; each process runs one thread of both, where they are
 * configured.
 *
 * Rows that are taken are leased: their next try is put off to when the answer must have come, in a transaction that
 * ends before anything is sent. So any number of processes share the work, no lock is held while another party's server
 * is waited for, and rows of a killed process are sent again after the lease. Column `tries` numbers the leases of one
 * row: only the holder of the last lease writes a result that is not final; a final one is always written.
 *
 * Several requests run at once, so that one that hangs does not hold up others. A result that cannot be written because
 * MySQL is away is kept and written later. A result that MySQL refuses for its data is dropped, and the row is due
 * again after the lease. At the stop, rows without an answer are handed back.
 *
 * The main thread starts and joins it. The thread alone uses all other fields; `ended` may be read meanwhile. It ends
 * when the stop is requested (base/stop.h), within about a second and the time-outs of MySQL.
 */
#ifndef CHECKOUT_WORKER_OUTBOUND_SENDER_H
#define CHECKOUT_WORKER_OUTBOUND_SENDER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/backoff.h"
#include "base/config.h"
#include "lifecycle/rules.h"
#include "mysql/db.h"
#include "order/identifier.h"
#include "outbound/http_client.h"
#include "text/buffer.h"

#define SENDER_WAIT_FIRST_MS   1000
#define SENDER_LEASE_MARGIN_MS 5000 /* beyond the time-out of a request */
#define SENDER_TYPE_MAX        64

enum sender_state {
    SENDER_FREE,
    SENDER_LEASED,  /* its row is leased, its request not started yet */
    SENDER_RUNNING, /* its request is under way */
    SENDER_ANSWERED /* its request has ended, its result is not written yet */
};

/* Place for one leased row and its request. */
struct sender_item {
    enum sender_state state;
    uint64_t id;                                  /* of outgoing_events; 0 for calls of the gateway */
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1]; /* of the order */
    char type[SENDER_TYPE_MAX + 1];               /* of outgoing_events */
    unsigned tries;                               /* this one included */
    uint64_t now;                                 /* seconds, by the database's clock, when it was leased */
    char amount[32];                              /* calls of the gateway: the order's total price */
    int asked_before;                             /* the same: an earlier request may have reached the gateway */
    enum order_status order_status;               /* the same: of the order, when it was leased */
    struct buffer body;
    struct http_request request;
};

struct sender;

/*
 * All functions run in the sender's thread. All but start() block on MySQL, with the connection s->db open; none is
 * called with a transaction open. s->sql is theirs to use.
 */
struct sender_kind {
    const char *name; /* in log lines */

    /*
     * Leases up to n (>= 1) due rows by sender_lease_item(). Returns how many, or -1: MySQL failed, and no row is
     * leased.
     */
    int (*claim)(struct sender *s, unsigned n);

    /* Starts the item's request. Returns 0, or -1: it cannot be sent, and request.error has the reason. */
    int (*start)(struct sender *s, struct sender_item *item);

    /*
     * Writes the result of a request that has ended. DB_OK or DB_POISON free the item; otherwise it is called again
     * later.
     */
    enum db_result (*finish)(struct sender *s, struct sender_item *item);

    /* Ends the lease of an item without an answer: its row is due at once. */
    enum db_result (*hand_back)(struct sender *s, struct sender_item *item);

    /* Reads from MySQL what observe/stats.h has gauges for. */
    void (*update_gauges)(struct sender *s);
};

struct sender {
    const struct sender_kind *kind;
    const struct config *config; /* not owned */
    pthread_t thread;
    int started;
    atomic_int ended;
    struct db db;
    struct backoff backoff;
    struct http_client client;
    struct sender_item *items;
    unsigned count;    /* of items: the most on their way at once */
    struct buffer sql; /* for the kind, emptied by whoever uses it */
    uint64_t next_claim_ms, next_gauges_ms;
    uint64_t next_create_ms; /* gateway: of calls */
    uint64_t mysql_retry_ms; /* MySQL failed: nothing is asked of it before. All times by clock_ms() */
};

/*
 * Starts the thread. count: requests that may run at once, 1 .. 256. url: http or https; ca_file: PEM file of the
 * authorities, "": the system's. config, url and ca_file must outlive the thread. curl_global_init(3) comes before.
 * Returns 0, or an error number of errno.h.
 */
int sender_start(struct sender *s, const struct sender_kind *kind, const struct config *config, const char *url,
                 const char *ca_file, unsigned count);

/* Returns 1 when the thread is about to return, or was never started (zero-initialised); else 0. */
int sender_ended(const struct sender *s);

/* Waits for the thread's end and frees what it owned. Does nothing for one that was never started. */
void sender_join(struct sender *s);

/* For claim(): makes a free item leased and empties its body. Returns it, or NULL: none is free. The sender owns it. */
struct sender_item *sender_lease_item(struct sender *s);

/*
 * Milliseconds until the next try after so many, with jitter ("Exponential Backoff And Jitter", AWS Architecture Blog):
 * between half of a bound and the bound, which doubles from SENDER_WAIT_FIRST_MS to most_ms. random: any number. Pure.
 */
unsigned sender_wait_ms(unsigned tries, unsigned most_ms, uint32_t random);

/* The same with a random number of the system's, and no less than the answer's Retry-After, up to most_ms. */
unsigned sender_item_wait_ms(const struct sender_item *item, unsigned most_ms);

/* Writes why an item has no good answer: "HTTP 500", or libcurl's error. ASCII, for the column takes no other bytes. */
void sender_item_error(const struct sender_item *item, char *out, size_t size);

#endif
