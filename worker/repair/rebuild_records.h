/*
 * A step of the rebuild: the gate's records compared with the rows of MySQL.
 *
 * All functions return any enum rebuild_result, and block for as long as there are pages to read.
 */
#ifndef CHECKOUT_WORKER_REPAIR_REBUILD_RECORDS_H
#define CHECKOUT_WORKER_REPAIR_REBUILD_RECORDS_H

#include "repair/rebuild_context.h"

/*
 * Reads every record once, while the gate is open: writes failed orders again, keeps payments that MySQL lost, brings
 * records to what their rows say, and fills r->lost with the orders that seem to be lost. Needs r->waiting.
 */
enum rebuild_result rebuild_records_scan(struct rebuild *r);

/* Looks again at r->lost alone and keeps those that are lost for certain. Changes nothing. */
enum rebuild_result rebuild_records_look(struct rebuild *r);

/* Looks again at r->lost and enqueues those that still are lost. */
enum rebuild_result rebuild_records_requeue(struct rebuild *r);

#endif
