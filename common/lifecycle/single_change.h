/*
 * One change of one order, for a buyer or an operator who waits for the answer; among them the cancellation of an order
 * that still waits in the queue: a row without items, the verdict that the worker will find.
 *
 * Safe to run again when it is unknown whether it was committed: it then finds its own change, and reports a repeat.
 *
 * A cancellation and a worker that sells the same order at the same moment: both lock its product before they write,
 * and the one that gets the lock first wins. The cancellation first: the worker finds its row as the verdict, sells
 * nothing, and settling takes the units out of flight. The worker first: the cancellation's row meets a duplicate key
 * (DB_AGAIN), its transaction runs again, finds the worker's row, and decides by lifecycle/rules.h as ever: an order
 * that was sold is cancelled, and its stock comes back.
 */
#ifndef CHECKOUT_LIFECYCLE_SINGLE_CHANGE_H
#define CHECKOUT_LIFECYCLE_SINGLE_CHANGE_H

#include "lifecycle/change.h"
#include "mysql/sql_job.h"
#include "order/order.h"

struct single_change {
    char identifier[CHECKOUT_IDENTIFIER_LEN + 1];
    enum order_event event;                /* EVENT_CANCEL, EVENT_COMPLETE or EVENT_REFUND */
    uint64_t user;                         /* the order must be of this buyer; 0: of anybody */
    const char *code, *reason;             /* as in order_change; they outlive the job */
    char currency[MONEY_CURRENCY_LEN + 1]; /* empty: this and the next are read from table `settings` */
    int writes_events;                     /* 1: outgoing_events are written */
    int has_record;                        /* 1: the gate has a record of it; `asked` is its content */
    int is_queued;                         /* 1: the order still waits in the queue, by its record */
    struct checkout_order asked;           /* has_record 0: product_id by its row, or 0, and all else 0 */
    enum order_status recorded; /* by its record: a row of an earlier status has lost something, and stays as it is */
    uint64_t gate_version; /* of the register of asked.product_id, read before: the same for its row; 0: not read */
    int is_recovering;     /* 1: that product is being recovered: nothing of it is changed */
    change_look look;      /* for who can ask the gate under the locks, instead of these three; NULL: nobody */
    void *look_data;       /* not owned */
};

/*
 * What became of it, and what has to be sent to the gate. A repeat is sent again, for it is unknown whether it was sent
 * before: its order then counts as moved (before: ORDER_UNKNOWN).
 */
struct single_change_result {
    enum event_outcome outcome;
    struct changed_order order; /* status ORDER_UNKNOWN: there is no such order */
    struct product_row product; /* found 0: nothing to push */
};

/*
 * In one transaction of its own, which is rolled back unless DB_OK is returned. Connects where db is closed; no
 * transaction may be open. Blocks. DB_OK: *answer is whole. Its outcome is OUTCOME_LOCKED where the gate knows
 * more than MySQL, and nothing was changed. DB_AGAIN: races were lost again and again; DB_RETRY: it may
 * be committed or not, run it again; DB_POISON: MySQL refuses the data.
 */
enum db_result single_change_run(struct db *db, const struct single_change *change,
                                 struct single_change_result *answer);

/*
 * The same as a job (mysql/sql_job.h): input is a struct single_change; result->kind is the enum event_outcome. The
 * result's body is a struct single_change_result and behind it the order as mysql/order_read.h has it, which may be
 * missing.
 */
enum db_result single_change_job(struct db *db, const void *input, struct sql_result *result);

#endif
