/*
 * Rebuilding the gate from MySQL and from what survives in Redis, after Redis or MySQL lost data.
 *
 *   fence -> queue -> records without a row -> products -> buyers -> counts, end of the fence
 *
 * Why it is right beside running workers: from the first step to the last the gate answers 503 to new orders, so only
 * the rebuild itself puts orders into the queue. Workers go on: each step is right whatever they settle meanwhile,
 *   - because an order that was not in the queue under the fence cannot come into it by itself, and one
 *     that is enqueued twice all the same has one verdict, by its identifier;
 *   - because units in flight are counted and written in one script, from the entries themselves, so a
 *     settle comes wholly before it or wholly after;
 *   - because stock and terms are pushed by version, as in every other push;
 *   - because buyers are counted under the product's lock, when no verdict can be committed, and written only
 *     if the units in flight still are those that were counted.
 * Each step may be run again. Killed anywhere, the gate stays closed and the next rebuild starts anew; of two at
 * once the one that began last goes on, and the other is refused by the fence.
 *
 * Accepted orders that are lost everywhere (queue, dead letters, records, MySQL) cannot be brought back.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_H

#include "repair/rebuild_context.h"

/*
 * Runs all steps, or with dry_run counts what they would do. r: db, redis and dry_run are set, all else is zero; its
 * counts are right after REBUILD_DONE. Blocks for as long as it takes, and holds locks of MySQL rows only within steps.
 * Returns any enum rebuild_result; after a failure the gate stays closed, unless nothing was begun.
 */
enum rebuild_result rebuild_run(struct rebuild *r);

/* Frees what the rebuild owns; not its connections. */
void rebuild_free(struct rebuild *r);

#endif
