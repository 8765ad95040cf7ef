/*
 * Recovery: what MySQL lost (a replica without the last commits was promoted, a backup restored) is made again from the
 * gate's records, and the products that it concerned are sold on.
 *
 *   claim the products -> compare all records with their rows, make good what MySQL lacks -> open the products
 *
 * redis/loss.h finds a loss and closes the product: `recovering` stands in its register, and the gate answers 503. One
 * process at a time recovers, by a lease that another takes over after LEASE_SILENT_MS; one pass serves all products. A
 * process that goes on without the lease does no harm: what it makes is found, and it cannot open a product that
 * another has claimed.
 *
 * A pass is due when gate.compare is not what gate.compared says: a loss was found, or workers came to another server.
 * Records are a day or two deep. What they do not explain keeps its product closed until `checkoutctl product open`; a
 * load of stock among what was lost, for example.
 */
#ifndef CHECKOUT_WORKER_REPAIR_RECOVERY_H
#define CHECKOUT_WORKER_REPAIR_RECOVERY_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/backoff.h"
#include "repair/recovery_context.h"

struct recovery_thread {
    pthread_t thread;
    atomic_int ended;
    struct backoff backoff;
    struct recovery recovery;
};

/*
 * Starts the thread. config must outlive it. It ends when the stop is requested (base/stop.h), after the page in hand,
 * and then sets `ended`. Returns 0, or an error number: do not join it then.
 */
int recovery_start(struct recovery_thread *t, const struct config *config);

/* After stop_request(): waits for the thread's end, and frees what it owned. */
void recovery_join(struct recovery_thread *t);

#endif
