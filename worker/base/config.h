/*
 * Configuration of checkout-worker and checkoutctl: one INI file, overridden by the environment.
 *
 * The table in config.c is the only list of options: name, type, default, range and meaning. An option of
 * section [mysql] named host may come from CHECKOUT_MYSQL_HOST instead. Texts belong to the struct and are
 * freed by config_free(). Durations are milliseconds. Numbers are atomic, because config_reload() changes those
 * that may change while the threads read them; texts never change.
 */
#ifndef CHECKOUT_WORKER_BASE_CONFIG_H
#define CHECKOUT_WORKER_BASE_CONFIG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

#include "base/secrets.h"
#include "mysql/db.h"

enum payment_mode {
    PAYMENT_BY_WEBHOOK, /* providers send events, which the edge stores */
    PAYMENT_BY_GATEWAY  /* the worker asks a gateway for each order */
};

struct config {
    struct {
        char *address; /* host:port, [v6]:port or unix:/path */
        atomic_uint database;
        char *user;
        char *password_file;
        char *password; /* what the file holds; NULL without a file */
        atomic_uint connect_timeout, timeout;
    } redis;

    struct {
        char *host;
        atomic_uint port;
        char *socket; /* used instead of host and port when it is not empty */
        char *database;
        char *user;
        char *replica_host; /* empty, as the socket: no replica is known */
        atomic_uint replica_port;
        char *replica_socket;
        char *password_file;
        char *password;
        atomic_uint connect_timeout, timeout;
        atomic_uint ssl; /* 1: a connection without TLS is refused; also with ssl_ca */
        char *ssl_ca, *ssl_cert, *ssl_key;
        atomic_uint ssl_verify; /* 1: the server's certificate and its name are checked */
        atomic_uint server_public_key;
    } mysql;

    struct {
        char *name; /* of the consumers; empty in the file: host and process id */
        atomic_uint threads;
        atomic_uint batch_orders;    /* a batch takes entries of the queue until it has that many orders */
        atomic_uint payment_timeout; /* from the commit of an order to its pay_by */
        atomic_uint dead_after; /* a consumer without a heartbeat for so long is dead: others take its entries over */
        atomic_uint tries; /* attempts at an order that MySQL refuses; then it gets a tombstone, or is a dead letter */
        atomic_uint drain_deadline;     /* from SIGTERM to the end of the consumers; past it the process ends at once */
        atomic_uint reconcile_interval; /* least pause between two ticks of the reconciler */
        char *metrics_address;          /* host:port; empty: none */
        atomic_uint laws_interval;      /* between two checks of the laws by the monitor */
        atomic_uint recount_interval;   /* between two counts of a product's orders and movements */
    } worker;

    struct {
        atomic_uint mode;  /* enum payment_mode */
        char *currency;    /* three capital letters */
        char *gateway_url; /* empty: no gateway is asked */
        char *gateway_secret_file;
        char *gateway_secret;  /* what the file holds; NULL without a file */
        char *gateway_ca_file; /* empty: the system's authorities */
        atomic_uint gateway_timeout;
        atomic_uint gateway_parallel;
    } payment;

    struct {
        char *url; /* of the shop; empty: it gets no events */
        char *secret_file;
        struct secrets secrets; /* what the file holds; each signs */
        char *ca_file;          /* empty: the system's authorities */
        atomic_uint timeout;
        atomic_uint tries;    /* attempts at an event before it is dead */
        atomic_uint parallel; /* events that are sent at once */
    } events;

    struct {
        char *file;
        atomic_uint level; /* enum log_level */
    } log;

    struct db_server db;      /* [mysql] as connections take it; its texts are those of `mysql` */
    struct db_server replica; /* the same for the replica, where config_has_replica() */
};

/*
 * Reads the file (NULL: defaults and environment alone) and the files of passwords and secrets that it names. Blocks on
 * them. config need not be initialised. Returns 0, and config_free() frees it; or -1 with the reason in error, and
 * nothing to free.
 */
int config_load(struct config *config, const char *path, char *error, size_t size);

/*
 * Reads the same file again and takes over what may change while the process runs, also while threads read it; calls
 * `ignored` for each option that differs and waits for a restart. Returns 0, or -1 with the reason in error and nothing
 * changed.
 */
int config_reload(struct config *config, const char *path, void (*ignored)(const char *section, const char *name),
                  char *error, size_t size);

/* Prints every option with its value and its meaning, as a file that config_load() reads. No secret. */
void config_print(const struct config *config, FILE *out);

/* Frees all texts and secrets. No thread may use config any more. */
void config_free(struct config *config);

/* The least of `wanted` and [mysql]'s own: ms after which the server ends a statement, before the client gives it up.
 */
unsigned config_statement_timeout(const struct config *config, unsigned wanted);

/* Returns 1 where a replica is configured, else 0. */
int config_has_replica(const struct config *config);

/* Returns 1 where the shop gets events of its orders ([events] url), else 0. */
int config_sends_events(const struct config *config);

#endif
