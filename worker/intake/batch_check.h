/*
 * What must be true of a batch before it is written, and before it is settled. Pure but for the log and the counter of
 * base/invariant.h, which also describes what happens where a check fails.
 *
 * Both failures end alike, in divide() of consumer.c: the entries of the batch run again one by one, and one that fails
 * alone is set aside (intake/set_aside.h). They differ in what is committed by then:
 *
 *   batch_check_decided()    fails in order_transaction_run(): ORDERS_INCONSISTENT. The transaction is rolled back;
 *                            others of the same batch, after halving, may be committed
 *   batch_check_committed()  fails in the step SETTLE, after ORDERS_COMMITTED: all of the batch is committed, and the
 *                            next run finds it as verdicts
 */
#ifndef CHECKOUT_WORKER_INTAKE_BATCH_CHECK_H
#define CHECKOUT_WORKER_INTAKE_BATCH_CHECK_H

#include "intake/batch.h"

/*
 * Before the rows of orders[0 .. n) are written. locked: products as read under the lock; after: as the decision leaves
 * them; both in the order of `order.product`, ids alike, `products` of them. left: memory for as many numbers.
 *
 * Each order has a verdict that the transaction may write, names its product, and is sold only from a product that is
 * there; the stock taken of each product is the sum of the quantities sold, and none goes below zero.
 * Returns 1, or 0 where one of these is not true: then the transaction must be rolled back.
 */
int batch_check_decided(const struct order *orders, size_t n, const struct product_row *locked,
                        const struct product_row *after, int64_t *left, size_t products);

/*
 * Before a batch is settled: each order has its verdict; an entry's units are the sum of its orders' quantities; what
 * is pushed of a product whose units were sold has a version. Returns 1, or 0: then nothing of it may be settled.
 */
int batch_check_committed(const struct batch *batch);

#endif
