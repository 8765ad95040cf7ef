/*
 * checkoutctl migrate --finish | --unfinish: from when on the counters of products count (mysql/supply.h).
 *
 * Programs of the release before do not change the counters, so they may count only while none of them works. Workers
 * are known by their heartbeats (redis/beats.h); that nginx has the new module is the operator's word.
 *
 * --finish sets all counters to 0, "not yet counted", in bounded steps, and then writes the era. Only with an era do
 * they count, so a --finish that was ended in between has done nothing, and is repeated. --unfinish takes the era away
 * first, then sets the counters to NULL.
 */
#ifndef CHECKOUT_WORKER_CTL_MIGRATE_FINISH_H
#define CHECKOUT_WORKER_CTL_MIGRATE_FINISH_H

#include "ctl/ctl.h"

/* Each blocks, prints what it did, and returns the exit code. ctl->db is open, and its session has migrate's lock. */
int migrate_finish(struct ctl *ctl);
int migrate_unfinish(struct ctl *ctl);

/* For a database that was empty: no program can have worked on it. Returns DB_OK, or what failed, db->error set. */
enum db_result migrate_begin_era(struct db *db);

/* *counts: 1 where the counters count, else 0. Returns as the last one. */
enum db_result migrate_has_era(struct db *db, int *counts);

#endif
