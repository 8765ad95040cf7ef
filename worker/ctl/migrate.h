/*
 * Applying the migrations of sql/, which are built into the program.
 */
#ifndef CHECKOUT_WORKER_CTL_MIGRATE_H
#define CHECKOUT_WORKER_CTL_MIGRATE_H

#include "mysql/db.h"

/*
 * Applies in order what is not applied yet and prints one line for each. Only one process does it at a time. A
 * migration that failed goes on at the statement that failed. Returns 0, or -1 after a message on stderr.
 */
int migrate(struct db *db);

#endif
