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

/*
 * argc and argv: the words behind the command's name. Each returns CTL_OK, CTL_ERROR, or CTL_NOT_FOUND where it names
 * one thing that is not there; ctl_audit() also CTL_VIOLATED. Their usage and help: the table in checkoutctl.c.
 */
int ctl_migrate(struct ctl *ctl, int argc, char **argv);         /* makes or updates the tables */
int ctl_product_add(struct ctl *ctl, int argc, char **argv);     /* a new one in MySQL; its stock is a load */
int ctl_product_set(struct ctl *ctl, int argc, char **argv);     /* changes it in MySQL and, if loaded, at the gate */
int ctl_product_show(struct ctl *ctl, int argc, char **argv);    /* what MySQL and the gate hold of a product */
int ctl_product_open(struct ctl *ctl, int argc, char **argv);    /* sells on what a recovery could not explain */
int ctl_product_close(struct ctl *ctl, int argc, char **argv);   /* the gate takes no new orders of a product */
int ctl_stock_load(struct ctl *ctl, int argc, char **argv);      /* opens one, or all, at the gate */
int ctl_stock_get(struct ctl *ctl, int argc, char **argv);       /* stock in MySQL and at the gate */
int ctl_stock_set(struct ctl *ctl, int argc, char **argv);       /* sets the stock, booked as an adjustment */
int ctl_stock_adjust(struct ctl *ctl, int argc, char **argv);    /* adds or takes units, booked; not below zero */
int ctl_stock_movements(struct ctl *ctl, int argc, char **argv); /* every change of stock that was no order */
int ctl_queue_stats(struct ctl *ctl, int argc, char **argv);     /* what waits, since when, and the consumers */
int ctl_queue_pause(struct ctl *ctl, int argc, char **argv);     /* all workers stop taking entries */
int ctl_queue_resume(struct ctl *ctl, int argc, char **argv);    /* they go on */
int ctl_dlq_list(struct ctl *ctl, int argc, char **argv);        /* the dead letters */
int ctl_dlq_show(struct ctl *ctl, int argc, char **argv);        /* one of them, whole */
int ctl_dlq_retry(struct ctl *ctl, int argc, char **argv);       /* one, or all, back to the queue */
int ctl_dlq_drop(struct ctl *ctl, int argc, char **argv);        /* fails its orders, frees their units; --yes */
int ctl_order_show(struct ctl *ctl, int argc, char **argv);      /* all that Redis and MySQL hold of one order */
int ctl_order_cancel(struct ctl *ctl, int argc, char **argv);    /* ends an unpaid order, also one in the queue */
int ctl_order_complete(struct ctl *ctl, int argc, char **argv);  /* the goods of a paid order are out */
int ctl_order_refund(struct ctl *ctl, int argc, char **argv);    /* notes that the money of an order went back */
int ctl_payments(struct ctl *ctl, int argc, char **argv);        /* payment events that somebody has to look at */
int ctl_events_list(struct ctl *ctl, int argc, char **argv);     /* events that the shop has not got */
int ctl_events_retry(struct ctl *ctl, int argc, char **argv);    /* one, or every dead one, is sent again */
int ctl_events_drop(struct ctl *ctl, int argc, char **argv);     /* gives an event up; needs --yes */
int ctl_audit(struct ctl *ctl, int argc, char **argv);           /* checks the laws; --repair corrects the gate */
int ctl_archive(struct ctl *ctl, int argc, char **argv);         /* moves finished orders out of MySQL */
int ctl_rebuild(struct ctl *ctl, int argc, char **argv);         /* makes the gate anew from MySQL and what is left */

#endif
