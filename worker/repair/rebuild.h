/*
 * Rebuilding the gate from MySQL and from what survives in Redis, after Redis or MySQL lost data.
 *
 *   the gate is open   begin -> queue -> records -> lost orders, looked at again -> products
 *   fence              lost orders enqueued -> their products, and those that were not loaded, one after the other
 *   the gate is open   products that MySQL lacks -> buyers -> end
 *
 * Most of it is right beside a sale, and is done beside it: each step's file says why. The fence is for two kinds of
 * products alone: those with lost orders, whose units must not be sold to others while the orders are put back; and
 * those that are not loaded, of which the gate must say that it does not know yet, not that they do not exist. All
 * others are opened before the fence is closed (rebuild_open.lua), so they sell on; where there are none of the two
 * kinds there is no fence. Behind the fence only what was found before is looked at again: pages of lost orders and of
 * these products, and what came into the queue since. A product is sold again once it is done, whatever is left of the
 * others.
 *
 * Why this keeps the laws:
 *   - Nothing accepted is lost: an order is enqueued again only where it is in no queue and has no row (the order of
 *     reading: rebuild_records.c), and one that is enqueued twice all the same has one verdict, by its identifier.
 *   - Units in flight: entries come into the queue of a fenced product by the rebuild alone, which counts them in the
 * same step; settles only take away. What is in flight is read in pages from outside and confirmed in one step of
 * Redis, which looks again at all that may have changed (redis/in_flight.h). Of the other products the same is true
 * beside the sale.
 *   - Stock and terms are pushed by version, as in every other push.
 *   - Buyers: repair/buyers_count.h. A product that the rebuild has loaded waits for its count, also after the end of
 * the fence.
 *   - No script reads more than a page: Redis is never held, whatever the sizes.
 *
 * Each step may be run again, and what each leaves behind is right for itself. Killed anywhere, the next rebuild begins
 * its looking anew, counts the buyers from where the other stood, and ends what it began; until then at most the
 * products that were fenced are closed. `--abort` opens them: in flight are then at most more units than there are (of
 * an order that was enqueued and counted twice), which the reconciler corrects, and buyers that were not counted are
 * counted by the workers. Of two at once the second one waits until the first has fallen silent, by its own clock, and
 * refuses to begin while it lives.
 *
 * Accepted orders that are lost everywhere (queue, dead letters, records, MySQL) cannot be brought back.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_H

#include "repair/rebuild_context.h"

/*
 * Runs all steps, or with dry_run counts what they would do. r: db, redis and dry_run are set, all else is zero; its
 * counts are right after REBUILD_DONE. Blocks for as long as it takes, and holds locks of MySQL rows only within steps.
 * Returns any enum rebuild_result. After a failure it opens the gate, unless Redis cannot be reached.
 */
enum rebuild_result rebuild_run(struct rebuild *r);

/*
 * Gives up the rebuild that there is, and opens the gate; also one whose process lives: its next step is refused.
 * Blocks for two calls of Redis. Returns 1, 0 where there is none, or -1 with redis->error set.
 */
int rebuild_abort(struct redis_connection *redis);

/* Frees what the rebuild owns; not its connections. */
void rebuild_free(struct rebuild *r);

#endif
