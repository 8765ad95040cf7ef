/*
 * What a rebuild says in the hash `gate`: who holds it, how far it is, and the fence.
 *
 *   rebuild          the token of the rebuild that holds the gate
 *   state, fence     "rebuilding", and the token of the rebuild that set it: the fence. Only products whose register
 *                    says `rebuilt` with that token are sold
 *   rebuild_buyers   the last product whose buyers were counted
 *
 * Each function is one call of Redis, unless it says otherwise, and blocks up to [redis] timeout for it.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_GATE_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_GATE_H

#include "repair/rebuild_context.h"

/*
 * Waits until no other rebuild lives (up to LEASE_SILENT_MS, and a call of Redis each second), and begins. Starts a
 * thread that says that this one lives. Sets r->token and, where an earlier one had not ended, r->resumed and
 * r->buyers_done. Returns REBUILD_DONE, REBUILD_REDIS_FAILED, or REBUILD_BUSY where another one lives, with
 * redis->error.
 */
enum rebuild_result rebuild_gate_begin(struct rebuild *r);

/* Closes all products but those that were opened. Returns REBUILD_DONE, REBUILD_REDIS_FAILED or REBUILD_TAKEN_OVER. */
enum rebuild_result rebuild_gate_fence(struct rebuild *r);

/* The end of the fence. Returns as rebuild_gate_fence() does. */
enum rebuild_result rebuild_gate_unfence(struct rebuild *r);

/* Notes that the buyers of that product and of all before it are counted. Returns as rebuild_gate_fence() does. */
enum rebuild_result rebuild_gate_note_buyers(struct rebuild *r, uint64_t product);

/* The end: the gate is open, and nobody's. Returns as rebuild_gate_fence() does. */
enum rebuild_result rebuild_gate_end(struct rebuild *r);

/* Ends the thread, and gives the lease back: the next rebuild need not wait. Also right where none was begun. */
void rebuild_gate_leave(struct rebuild *r);

/*
 * Gives up the rebuild that there is, also one whose process lives: its next step is refused, and it ends. Two calls of
 * Redis. Returns 1, 0 where there is none, or -1 with conn->error set.
 */
int rebuild_gate_abort(struct redis_connection *conn);

#endif
