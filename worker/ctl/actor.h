/*
 * Who runs the command, for stock_movements.actor.
 */
#ifndef CHECKOUT_WORKER_CTL_ACTOR_H
#define CHECKOUT_WORKER_CTL_ACTOR_H

/*
 * Returns the name of the system's user who runs this process, "uid 1000" where he has none; cut to 255 bytes, and
 * valid until the process ends. Not for several threads at once. May block on the system's list of users.
 */
const char *actor_name(void);

#endif
