/*
 * Configuration of checkout-worker and checkoutctl: one INI file, overridden by the environment.
 *
 * The table in config.c is the only list of options: name, type, default, range and meaning. An option of
 * section [mysql] named host may come from CHECKOUT_MYSQL_HOST instead. Texts belong to the struct and are
 * freed by config_free(). Durations are milliseconds.
 */
#ifndef CHECKOUT_CONFIG_H
#define CHECKOUT_CONFIG_H

#include <stddef.h>
#include <stdio.h>

struct config {
    struct {
        char *address;            /* host:port, [v6]:port or unix:/path */
        unsigned database;
        char *user;
        char *password_file;
        char *password;           /* what the file holds; NULL without a file */
        unsigned connect_timeout, timeout;
    } redis;

    struct {
        char *host;
        unsigned port;
        char *socket;             /* used instead of host and port when it is not empty */
        char *database;
        char *user;
        char *password_file;
        char *password;
        unsigned connect_timeout, timeout;
    } mysql;

    struct {
        char *name;               /* of the consumers; empty in the file: host and process id */
        unsigned threads;
        unsigned batch_orders;
        unsigned payment_timeout;
        unsigned dead_after;
        unsigned tries;
        unsigned drain_deadline;
        unsigned reconcile_interval;
    } worker;

    struct {
        char *file;
        unsigned level;           /* enum log_level */
    } log;
};

/* Reads the file (NULL: defaults and environment alone). Returns 0, or -1 with the reason in error. */
int config_load(struct config *config, const char *path, char *error, size_t size);

/* Prints every option with its value and its meaning, as a file that config_load() reads. No secret. */
void config_print(const struct config *config, FILE *out);

void config_free(struct config *config);

#endif
