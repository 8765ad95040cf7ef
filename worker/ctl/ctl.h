/*
 * The commands of checkoutctl. checkoutctl.c finds and runs one; each group of commands has a file of its name.
 *
 * A command gets the words behind its name, without the options that all commands know (--json, --yes, --dry-run),
 * which stand in struct ctl. It prints results to stdout and errors to stderr (ctl/report.h), and returns the exit
 * code. All of them run in the one thread and block on MySQL and Redis.
 */
#ifndef CHECKOUT_WORKER_CTL_CTL_H
#define CHECKOUT_WORKER_CTL_CTL_H

#include "base/config.h"
#include "mysql/db.h"
#include "redis/connection.h"

#define CTL_OK        0 /* done, in order */
#define CTL_VIOLATED  1 /* a law is violated */
#define CTL_ERROR     2 /* wrong use, or a server cannot be reached */
#define CTL_NOT_FOUND 3 /* no such product, order or dead letter */

struct ctl {
    struct config config;
    struct db db; /* opened by the command, as is the next; checkoutctl.c closes both */
    struct redis_connection redis;
    int json;    /* print JSON instead of text */
    int yes;     /* the operator means it */
    int dry_run; /* print what would be done, and do nothing */
};

/* argc and argv: the words behind the command's name. Each returns one of the exit codes above. */
int ctl_migrate(struct ctl *ctl, int argc, char **argv);
int ctl_product_add(struct ctl *ctl, int argc, char **argv);
int ctl_product_set(struct ctl *ctl, int argc, char **argv);
int ctl_product_show(struct ctl *ctl, int argc, char **argv);
int ctl_product_close(struct ctl *ctl, int argc, char **argv);
int ctl_stock_load(struct ctl *ctl, int argc, char **argv);
int ctl_stock_get(struct ctl *ctl, int argc, char **argv);
int ctl_stock_set(struct ctl *ctl, int argc, char **argv);
int ctl_stock_adjust(struct ctl *ctl, int argc, char **argv);
int ctl_stock_movements(struct ctl *ctl, int argc, char **argv);
int ctl_queue_stats(struct ctl *ctl, int argc, char **argv);
int ctl_queue_pause(struct ctl *ctl, int argc, char **argv);
int ctl_queue_resume(struct ctl *ctl, int argc, char **argv);
int ctl_dlq_list(struct ctl *ctl, int argc, char **argv);
int ctl_dlq_show(struct ctl *ctl, int argc, char **argv);
int ctl_dlq_retry(struct ctl *ctl, int argc, char **argv);
int ctl_dlq_drop(struct ctl *ctl, int argc, char **argv);
int ctl_order_show(struct ctl *ctl, int argc, char **argv);
int ctl_order_cancel(struct ctl *ctl, int argc, char **argv);
int ctl_order_complete(struct ctl *ctl, int argc, char **argv);
int ctl_order_refund(struct ctl *ctl, int argc, char **argv);
int ctl_payments(struct ctl *ctl, int argc, char **argv);
int ctl_events_list(struct ctl *ctl, int argc, char **argv);
int ctl_events_retry(struct ctl *ctl, int argc, char **argv);
int ctl_events_drop(struct ctl *ctl, int argc, char **argv);
int ctl_audit(struct ctl *ctl, int argc, char **argv);
int ctl_rebuild(struct ctl *ctl, int argc, char **argv);

#endif
