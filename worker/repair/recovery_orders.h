/*
 * The middle step of a recovery: orders, statuses and payments that the gate's records show and MySQL lacks.
 *
 *   record                      row         then
 *   live, or paid and returned  missing     the order is made again, as pending_payment; what follows is as below
 *   failed, ended               missing     its row is written again, without items: that verdict was given
 *   paid, completed …           earlier     its payment is applied again, and kept in the inbox: what was paid stays
 * paid cancelled, failed_payment   pending     the row follows, its units come back
 *
 * In one transaction for a page, under the locks of all products whose units move, in id order. It can be run again:
 * what is there already is left as it is.
 */
#ifndef CHECKOUT_WORKER_REPAIR_RECOVERY_ORDERS_H
#define CHECKOUT_WORKER_REPAIR_RECOVERY_ORDERS_H

#include "repair/recovery_context.h"

/*
 * Makes good what r->page[0 .. r->records) shows, all of them later than their rows. A record that cannot be made good
 * (others have its units, MySQL refuses it) counts as unexplained for its product. Blocks. Returns RECOVERY_DONE or
 * RECOVERY_FAILED.
 */
enum recovery_result recovery_apply(struct recovery *r);

#endif
