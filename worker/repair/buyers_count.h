/*
 * Counts anew what each user holds of products with a limit for each user, beside everything that goes on: in MySQL's
 * live orders, and in flight.
 *
 *   begin    buyers_begin.lua puts a token into product:<id>:buyers. From then on whoever moves a buyer's units by an
 *            order (settle, transition, dead_drop) also adds to a journal in the same hash: the order, and what it
 * holds from now on sums     one snapshot of MySQL, no lock: the live orders of each product in pages by key, into
 *            product:<id>:buyers:new in pages of a few hundred users
 *   close    where the product sold on so far, it answers 503 from now on, so that nothing comes into flight
 *   corrected  the orders for which the snapshot does not say what Redis was told, see below
 *   finish   buyers_finish.lua: if the journal is as long as it was read, the new hash takes the old one's place, and
 *            the register says `complete`: one step. Else what was added is read, and corrected, again
 *
 * Why it is exact. What Redis was told of an order is what its record says, and its buyer's units move with that. Once
 * the product is closed, each of its orders is in one of these sets:
 *   1. It is in the journal: something was told of it after the token was there. Its last words there count.
 *   2. It stands in the queue or among the dead letters, which are read after the product was closed: it holds its
 * units unless its record ended (cancelled in the queue).
 *   3. The snapshot has a notice of it (table gate_notices), so what was told last is not known: its record counts.
 *      Without a record nothing was told (telling makes one), and the snapshot less the notices' units counts.
 *   4. All others: the snapshot. Each change that it shows was told before it, since its notice was gone, and before
 * the token, since it is not in the journal; a change after the snapshot was not told yet, or the journal had it.
 * Between the last look at the journal and the finish nothing can be told without making the journal longer. A record
 * is read after the token was put, so a later change of it is in the journal too.
 *
 * May run twice, and be killed anywhere: the product then stays as it is (closed, or selling on), and the next count
 * begins anew with a token of its own, which stops an older one. The hash that is in use is never half written.
 *
 * Not exact while programs of the release before run: they keep no journal. So products that say nothing of their
 * buyers are counted only once `checkoutctl migrate --finish` said that there are none.
 */
#ifndef CHECKOUT_WORKER_REPAIR_BUYERS_COUNT_H
#define CHECKOUT_WORKER_REPAIR_BUYERS_COUNT_H

#include "mysql/db.h"
#include "redis/connection.h"

#define BUYERS_COUNT_MOST 256      /* products of one call: the queue is read once for all of them */
#define BUYERS_LEASE      "buyers" /* redis/lease.h: who counts holds it */

enum buyers_counted {
    BUYERS_COUNTED,     /* each product: complete; or not loaded, without a limit, recovering: left alone */
    BUYERS_TAKEN_OVER,  /* another count of one of them began meanwhile, or its hash was lost: count again */
    BUYERS_BUSY,        /* its orders changed faster than they could be read: count again */
    BUYERS_STOPPED,     /* go_on said so */
    BUYERS_DB_FAILED,   /* db->error */
    BUYERS_REDIS_FAILED /* redis->error */
};

/*
 * Marks products as to be counted where they are loaded and have a limit: they answer 503 until they are. Blocks for
 * one call of Redis for each 256 products. Returns 0, or -1 with redis->error.
 */
int buyers_mark(struct redis_connection *redis, const uint64_t *ids, size_t n);

/*
 * What the count asks between two steps, each of which takes a small part of a second: 1: go on, 0: stop. It may block
 * shortly (renewing a lease).
 */
typedef int (*buyers_go_on)(void *data);

/*
 * Counts ids[0 .. n), distinct, n <= BUYERS_COUNT_MOST. A product that is not marked (buyers_mark()) sells on until its
 * sums are written. *users grows by the users that were counted. Uses 16 bytes of memory for each live order's user.
 * Of two counts of a product the one that began later goes on, so callers hold the lease BUYERS_LEASE.
 *
 * Blocks as long as it takes: a statement for each few thousand orders, a script for each few hundred users, each
 * short; between them it stops at base/stop.h. db: connected where it is closed; no transaction may be open. The
 * snapshot is open meanwhile, and no row is locked. After anything but BUYERS_COUNTED some products may be counted
 * already.
 */
enum buyers_counted buyers_count(struct db *db, struct redis_connection *redis, const uint64_t *ids, size_t n,
                                 buyers_go_on go_on, void *data, uint64_t *users);

#endif
