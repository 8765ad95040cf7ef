#include "base/config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"


enum option_type {
    OPTION_TEXT,
    OPTION_NUMBER,
    OPTION_DURATION, /* "500ms", "30s", "5m", "2h"; without a unit: seconds */
    OPTION_LEVEL,    /* these two: one of a list of words, choices_of() */
    OPTION_MODE,
    OPTION_SWITCH /* yes or no */
};

struct option {
    const char *section, *name;
    enum option_type type;
    size_t offset;
    const char *standard; /* the default, as it would stand in the file */
    unsigned min, max;
    const char *meaning;
    int reloads; /* 1: SIGHUP takes a new value over */
};

#define STATEMENT_MARGIN_MS 1000

#define AT(member) offsetof(struct config, member)

/* clang-format off */
static const struct option options[] = {
    { "redis", "address", OPTION_TEXT, AT(redis.address), "127.0.0.1:6379", 1, 256,
      "host:port, [v6]:port or unix:/path; the Redis that nginx writes to", 0 },
    { "redis", "database", OPTION_NUMBER, AT(redis.database), "1", 0, 65535,
      "number of the database, the same as in nginx", 0 },
    { "redis", "user", OPTION_TEXT, AT(redis.user), "", 0, 256,
      "user of the access control list; empty: the default user", 0 },
    { "redis", "password_file", OPTION_TEXT, AT(redis.password_file), "", 0, 4095,
      "file whose first line is the password; empty: no password", 0 },
    { "redis", "connect_timeout", OPTION_DURATION, AT(redis.connect_timeout), "1s", 10, 60000,
      "longest wait for a connection", 0 },
    { "redis", "timeout", OPTION_DURATION, AT(redis.timeout), "5s", 1000, 300000, "longest wait for a reply", 0 },
    { "mysql", "host", OPTION_TEXT, AT(mysql.host), "127.0.0.1", 0, 255, "host of the primary", 0 },
    { "mysql", "port", OPTION_NUMBER, AT(mysql.port), "3306", 1, 65535, "port of the primary", 0 },
    { "mysql", "socket", OPTION_TEXT, AT(mysql.socket), "", 0, 107,
      "unix socket, used instead of host and port when it is given", 0 },
    { "mysql", "database", OPTION_TEXT, AT(mysql.database), "checkout", 1, 64, "name of the database", 0 },
    { "mysql", "user", OPTION_TEXT, AT(mysql.user), "checkout", 0, 80, "user", 0 },
    { "mysql", "password_file", OPTION_TEXT, AT(mysql.password_file), "", 0, 4095,
      "file whose first line is the password; empty: no password", 0 },
    { "mysql", "replica_host", OPTION_TEXT, AT(mysql.replica_host), "", 0, 255,
      "host of a replica, where orders and movements are recounted; empty, without replica_socket: on the primary", 0 },
    { "mysql", "replica_port", OPTION_NUMBER, AT(mysql.replica_port), "3306", 1, 65535, "port of that replica", 0 },
    { "mysql", "replica_socket", OPTION_TEXT, AT(mysql.replica_socket), "", 0, 107,
      "unix socket of a replica, used instead of its host and port when it is given", 0 },
    { "mysql", "connect_timeout", OPTION_DURATION, AT(mysql.connect_timeout), "5s", 1000, 60000,
      "longest wait for a connection; whole seconds", 0 },
    { "mysql", "timeout", OPTION_DURATION, AT(mysql.timeout), "30s", 2000, 3600000,
      "longest wait for one read or write; whole seconds; a lock is waited for half as long", 0 },
    { "mysql", "ssl", OPTION_SWITCH, AT(mysql.ssl), "no", 0, 1,
      "yes: a connection without TLS is refused; ssl_ca means yes", 0 },
    { "mysql", "ssl_ca", OPTION_TEXT, AT(mysql.ssl_ca), "", 0, 4095,
      "file with the certificates of the authorities that may have signed the server's", 0 },
    { "mysql", "ssl_verify", OPTION_SWITCH, AT(mysql.ssl_verify), "yes", 0, 1,
      "no: with TLS, the server's certificate and its name are not checked", 0 },
    { "mysql", "ssl_cert", OPTION_TEXT, AT(mysql.ssl_cert), "", 0, 4095,
      "file with the certificate of this client, where the server asks for one", 0 },
    { "mysql", "ssl_key", OPTION_TEXT, AT(mysql.ssl_key), "", 0, 4095, "file with the key of that certificate", 0 },
    { "mysql", "server_public_key", OPTION_SWITCH, AT(mysql.server_public_key), "no", 0, 1,
      "yes: without TLS, the server may be asked for the key that caching_sha2_password encrypts with", 0 },
    { "worker", "name", OPTION_TEXT, AT(worker.name), "", 0, 128,
      "name of this process among the consumers, unique; empty: host name and process id", 0 },
    { "worker", "threads", OPTION_NUMBER, AT(worker.threads), "1", 1, 64,
      "consumers in this process, each with its own connections", 0 },
    { "worker", "batch_orders", OPTION_NUMBER, AT(worker.batch_orders), "256", 1, 4096,
      "most orders in one transaction (one entry of the queue is never divided)", 1 },
    { "worker", "payment_timeout", OPTION_DURATION, AT(worker.payment_timeout), "30m", 1000, 604800000,
      "time to pay, from the commit of the order", 1 },
    { "worker", "dead_after", OPTION_DURATION, AT(worker.dead_after), "3s", 1000, 600000,
      "silence after which a consumer counts as dead and its entries are taken over", 1 },
    { "worker", "tries", OPTION_NUMBER, AT(worker.tries), "3", 1, 100, "attempts at an order whose data MySQL refuses",
      1 },
    { "worker", "drain_deadline", OPTION_DURATION, AT(worker.drain_deadline), "10s", 0, 3600000,
      "longest time to finish the batch in hand after SIGTERM", 1 },
    { "worker", "reconcile_interval", OPTION_DURATION, AT(worker.reconcile_interval), "1s", 100, 3600000,
      "time between two comparisons of Redis with MySQL", 1 },
    { "worker", "metrics_address", OPTION_TEXT, AT(worker.metrics_address), "127.0.0.1:9465", 0, 64,
      "IPv4:port or [IPv6]:port of /healthz, /readyz and /metrics; empty: none", 0 },
    { "worker", "laws_interval", OPTION_DURATION, AT(worker.laws_interval), "15s", 100, 3600000,
      "time between two checks of the laws for /metrics", 1 },
    { "worker", "recount_interval", OPTION_DURATION, AT(worker.recount_interval), "24h", 100, 2592000000,
      "time between two counts of a product's orders and movements, which its counters are compared with", 1 },
    { "payment", "mode", OPTION_MODE, AT(payment.mode), "webhook", 0, 0,
      "who says that an order is paid: its provider by a webhook, or a gateway that is asked for each order", 0 },
    { "payment", "currency", OPTION_TEXT, AT(payment.currency), "TWD", 3, 3,
      "of all prices, in capital letters; a payment in another one does not count", 0 },
    { "payment", "gateway_url", OPTION_TEXT, AT(payment.gateway_url), "", 0, 2048,
      "where the gateway takes orders (POST); needed in its mode, also used for what is still open after that", 0 },
    { "payment", "gateway_secret_file", OPTION_TEXT, AT(payment.gateway_secret_file), "", 0, 4095,
      "file whose first line is the gateway's bearer token; empty: none is sent", 0 },
    { "payment", "gateway_ca_file", OPTION_TEXT, AT(payment.gateway_ca_file), "", 0, 4095,
      "file with the certificates of the authorities that may have signed the gateway's; empty: the system's", 0 },
    { "payment", "gateway_timeout", OPTION_DURATION, AT(payment.gateway_timeout), "10s", 100, 120000,
      "longest wait for the gateway's answer; after that it is asked again", 1 },
    { "payment", "gateway_parallel", OPTION_NUMBER, AT(payment.gateway_parallel), "16", 1, 256,
      "orders that this process asks the gateway for at once", 0 },
    { "events", "url", OPTION_TEXT, AT(events.url), "", 0, 2048,
      "where the shop is told of paid, failed and cancelled orders (POST); empty: nowhere", 0 },
    { "events", "secret_file", OPTION_TEXT, AT(events.secret_file), "", 0, 4095,
      "file with the secret that signs (whsec_...), one in each line: each signs; needed with url", 0 },
    { "events", "ca_file", OPTION_TEXT, AT(events.ca_file), "", 0, 4095,
      "file with the certificates of the authorities that may have signed the shop's; empty: the system's", 0 },
    { "events", "timeout", OPTION_DURATION, AT(events.timeout), "10s", 100, 60000, "longest wait for the shop's answer",
      1 },
    { "events", "tries", OPTION_NUMBER, AT(events.tries), "80", 1, 10000,
      "attempts at an event, from 1s to 1h apart, before it is given up as dead", 1 },
    { "events", "parallel", OPTION_NUMBER, AT(events.parallel), "16", 1, 256, "events that this process sends at once",
      0 },
    { "log", "file", OPTION_TEXT, AT(log.file), "", 0, 4095,
      "file of the log, opened again on SIGHUP; empty: standard error", 0 },
    { "log", "level", OPTION_LEVEL, AT(log.level), "info", 0, 0, "the least important lines that are written", 1 },
};
/* clang-format on */

#define OPTIONS (sizeof(options) / sizeof(options[0]))

struct load {
    struct config *config;
    FILE *file;
    const char *path;
    unsigned line;       /* last line read */
    unsigned fault_line; /* 0: no fault of ours */
    unsigned char seen[OPTIONS];
    char *error;
    size_t size;
};


static const struct option *
find_option(const char *section, const char *name)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (strcmp(options[i].section, section) == 0 && strcmp(options[i].name, name) == 0) {
            return &options[i];
        }
    }

    return NULL;
}


/* Reads a whole number; *rest is the text behind it. Returns 0, or -1. */
static int
read_number(const char *text, unsigned long *value, const char **rest)
{
    char *end;

    if (!isdigit((unsigned char) text[0])) {
        return -1;
    }

    errno = 0;
    *value = strtoul(text, &end, 10);
    *rest = end;
    return errno == 0 ? 0 : -1;
}


static int
read_duration(const char *text, unsigned long *ms)
{
    static const struct {
        const char *unit;
        unsigned long factor;
    } units[] = { { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "m", 60000 }, { "h", 3600000 } };
    const char *rest;

    if (read_number(text, ms, &rest) == -1) {
        return -1;
    }

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(rest, units[i].unit) == 0) {
            return *ms > UINT_MAX / units[i].factor ? -1 : (*ms *= units[i].factor, 0);
        }
    }

    return -1;
}


static int
set_text(const struct option *o, char **place, const char *value, char *why, size_t size)
{
    size_t len = strlen(value);

    if (len < o->min || len > o->max) {
        snprintf(why, size, "must have %u to %u characters", o->min, o->max);
        return -1;
    }

    free(*place);
    *place = memory_copy(value);
    return 0;
}


/* NULL ends them; NULL itself for an option of another kind. */
static const char *const *
choices_of(const struct option *o)
{
    static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
    static const char *const modes[] = { "webhook", "gateway", NULL };

    return o->type == OPTION_LEVEL ? levels : o->type == OPTION_MODE ? modes : NULL;
}


/* "debug, info, warn or error" */
static const char *
list_choices(const struct option *o, char *out, size_t size)
{
    const char *const *choices = choices_of(o);
    size_t len = 0;

    out[0] = '\0';

    for (unsigned i = 0; choices[i] != NULL && len < size; i++) {
        const char *between = i == 0 ? "" : choices[i + 1] == NULL ? " or " : ", ";

        len += (size_t) snprintf(out + len, size - len, "%s%s", between, choices[i]);
    }

    return out;
}


static int
set_choice(const struct option *o, atomic_uint *place, const char *value, char *why, size_t size)
{
    const char *const *choices = choices_of(o);
    char list[64];

    for (unsigned i = 0; choices[i] != NULL; i++) {
        if (strcmp(value, choices[i]) == 0) {
            *place = i;
            return 0;
        }
    }

    snprintf(why, size, "must be %s", list_choices(o, list, sizeof(list)));
    return -1;
}


static int
set_switch(atomic_uint *place, const char *value, char *why, size_t size)
{
    int yes = strcmp(value, "yes") == 0;

    if (!yes && strcmp(value, "no") != 0) {
        snprintf(why, size, "must be yes or no");
        return -1;
    }

    *place = (unsigned) yes;
    return 0;
}


static int
set_number(const struct option *o, atomic_uint *place, const char *value, char *why, size_t size)
{
    int duration = o->type == OPTION_DURATION;
    const char *rest = "";
    unsigned long number;
    int failed = duration ? read_duration(value, &number) : read_number(value, &number, &rest);

    if (failed || *rest != '\0') {
        snprintf(why, size, duration ? "must be a time such as 500ms, 30s or 5m" : "must be a whole number");
        return -1;
    }

    if (number < o->min || number > o->max) {
        snprintf(why, size, duration ? "must be between %ums and %ums" : "must be between %u and %u", o->min, o->max);
        return -1;
    }

    *place = (unsigned) number;
    return 0;
}


/* Returns 0, or -1 with the reason in why. */
static int
set_option(struct config *config, const struct option *o, const char *value, char *why, size_t size)
{
    void *place = (char *) config + o->offset;

    switch (o->type) {
    case OPTION_TEXT:
        return set_text(o, place, value, why, size);
    case OPTION_LEVEL:
    case OPTION_MODE:
        return set_choice(o, place, value, why, size);
    case OPTION_SWITCH:
        return set_switch(place, value, why, size);
    default:
        return set_number(o, place, value, why, size);
    }
}


static void
fault(struct load *load, const char *section, const char *name, const char *why)
{
    load->fault_line = load->line;
    snprintf(load->error, load->size, "%s:%u: [%s] %s: %s", load->path, load->line, section, name, why);
}


/* inih calls it for each option. Returns 1, or 0 for an error. */
static int
on_option(void *user, const char *section, const char *name, const char *value)
{
    struct load *load = user;
    const struct option *o = find_option(section, name);
    char why[128];

    if (load->fault_line != 0) {
        return 0;
    }

    if (o == NULL) {
        fault(load, section, name, "unknown option");
        return 0;
    }

    if (load->seen[o - options]) {
        fault(load, section, name, "given twice");
        return 0;
    }

    load->seen[o - options] = 1;

    if (set_option(load->config, o, value, why, sizeof(why)) == -1) {
        fault(load, section, name, why);
        return 0;
    }

    return 1;
}


/* Counts lines, because inih gives the handler no line number. */
static char *
read_line(char *line, int size, void *user)
{
    struct load *load = user;
    char *read = fgets(line, size, load->file);

    if (read != NULL) {
        load->line++;
    }

    return read;
}


static int
load_file(struct config *config, const char *path, char *error, size_t size)
{
    struct load load = { .config = config, .path = path, .error = error, .size = size };

    load.file = fopen(path, "re");

    if (load.file == NULL) {
        snprintf(error, size, "%s: %s", path, strerror(errno));
        return -1;
    }

    int line = ini_parse_stream(read_line, &load, on_option, &load);

    (void) fclose(load.file);

    if (line != 0 && (load.fault_line == 0 || (unsigned) line < load.fault_line)) {
        snprintf(error, size, "%s:%d: neither [section] nor option = value, or longer than 198 characters", path, line);
    }

    return line == 0 ? 0 : -1;
}


static int
load_environment(struct config *config, char *error, size_t size)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        char name[128], why[128];

        snprintf(name, sizeof(name), "CHECKOUT_%s_%s", options[i].section, options[i].name);

        for (char *p = name; *p != '\0'; p++) {
            *p = (char) toupper((unsigned char) *p);
        }

        const char *value = getenv(name);

        if (value != NULL && set_option(config, &options[i], value, why, sizeof(why)) == -1) {
            snprintf(error, size, "environment: %s: %s", name, why);
            return -1;
        }
    }

    return 0;
}


static int
load_password(char **password, const char *path, char *error, size_t size)
{
    char line[1024];

    if (path[0] == '\0') {
        return 0;
    }

    FILE *file = fopen(path, "re");

    if (file == NULL || fgets(line, sizeof(line), file) == NULL) {
        snprintf(error, size, "%s: no password: %s", path, file == NULL ? strerror(errno) : "empty file");

        if (file != NULL) {
            (void) fclose(file);
        }

        return -1;
    }

    (void) fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    *password = memory_copy(line);
    explicit_bzero(line, sizeof(line));
    return 0;
}


/* The name of a process without one in the configuration. */
static void
process_name(char *name, size_t size)
{
    char host[65] = "";

    (void) gethostname(host, sizeof(host) - 1);
    snprintf(name, size, "%s-%ld", host, (long) getpid());
}


static void
name_by_process(struct config *config)
{
    char name[128];

    if (config->worker.name[0] == '\0') {
        process_name(name, sizeof(name));
        free(config->worker.name);
        config->worker.name = memory_copy(name);
    }
}


static int
is_url(const char *text)
{
    const char *rest = strncmp(text, "https://", 8) == 0 ? text + 8 : strncmp(text, "http://", 7) == 0 ? text + 7 : "";

    for (const char *p = text; *p != '\0'; p++) {
        if (*p < 0x21 || *p > 0x7e) {
            return 0;
        }
    }

    return rest[0] != '\0';
}


/* Checks options that depend on each other. Returns 0, or -1 with the reason in error. */
static int
check_together(const struct config *config, char *error, size_t size)
{
    const char *fault = NULL;

    if (strspn(config->payment.currency, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 3) {
        fault = "[payment] currency: must be three capital letters";
    } else if (config->payment.gateway_url[0] != '\0' && !is_url(config->payment.gateway_url)) {
        fault = "[payment] gateway_url: must begin with http:// or https://";
    } else if (config->payment.mode == PAYMENT_BY_GATEWAY && config->payment.gateway_url[0] == '\0') {
        fault = "[payment] mode: gateway needs gateway_url";
    } else if (config->events.url[0] != '\0' && !is_url(config->events.url)) {
        fault = "[events] url: must begin with http:// or https://";
    } else if (config->events.url[0] != '\0' && config->events.secrets.count == 0) {
        fault = "[events] url: needs secret_file";
    }

    if (fault != NULL) {
        snprintf(error, size, "%s", fault);
    }

    return fault == NULL ? 0 : -1;
}


/*
 * The server ends a statement a little before the client gives it up: so none runs on for nobody, and a slow one is not
 * taken for a server that does not answer.
 */
static unsigned
statement_timeout(unsigned timeout)
{
    unsigned margin = timeout / 10 < STATEMENT_MARGIN_MS ? timeout / 10 : STATEMENT_MARGIN_MS;

    return timeout - margin;
}


/* None of these options reloads. */
static void
fill_in_servers(struct config *config)
{
    config->db = (struct db_server) {
        .host = config->mysql.host,
        .port = config->mysql.port,
        .socket = config->mysql.socket,
        .database = config->mysql.database,
        .user = config->mysql.user,
        .password = config->mysql.password,
        .connect_timeout = config->mysql.connect_timeout,
        .timeout = config->mysql.timeout,
        .statement_timeout = statement_timeout(config->mysql.timeout),
        .ssl = config->mysql.ssl != 0,
        .ssl_ca = config->mysql.ssl_ca,
        .ssl_cert = config->mysql.ssl_cert,
        .ssl_key = config->mysql.ssl_key,
        .ssl_verify = config->mysql.ssl_verify != 0,
        .server_public_key = config->mysql.server_public_key != 0,
        .writable = 1,
    };
    config->replica = config->db;
    config->replica.host = config->mysql.replica_host;
    config->replica.port = config->mysql.replica_port;
    config->replica.socket = config->mysql.replica_socket;
    config->replica.writable = 0; /* a replica is read-only; it is only read */
}


int
config_load(struct config *config, const char *path, char *error, size_t size)
{
    char why[128];

    *config = (struct config) { 0 };

    for (size_t i = 0; i < OPTIONS; i++) {
        (void) set_option(config, &options[i], options[i].standard, why, sizeof(why));
    }

    if ((path != NULL && load_file(config, path, error, size) == -1) || load_environment(config, error, size) == -1
        || load_password(&config->redis.password, config->redis.password_file, error, size) == -1
        || load_password(&config->mysql.password, config->mysql.password_file, error, size) == -1
        || load_password(&config->payment.gateway_secret, config->payment.gateway_secret_file, error, size) == -1
        || secrets_load(&config->events.secrets, config->events.secret_file, error, size) == -1
        || check_together(config, error, size) == -1)
    {
        config_free(config);
        return -1;
    }

    name_by_process(config);
    fill_in_servers(config);
    return 0;
}


/* In the largest unit that divides it exactly. */
static void
write_duration(char *text, size_t size, unsigned ms)
{
    if (ms == 0 || ms % 1000 != 0) {
        snprintf(text, size, "%ums", ms);
    } else if (ms % 60000 != 0) {
        snprintf(text, size, "%us", ms / 1000);
    } else if (ms % 3600000 != 0) {
        snprintf(text, size, "%um", ms / 60000);
    } else {
        snprintf(text, size, "%uh", ms / 3600000);
    }
}


static void
print_range(const struct option *o, FILE *out)
{
    const char *when = o->reloads ? "; SIGHUP takes it over" : "";
    char list[64], least[16], most[16];

    switch (o->type) {
    case OPTION_TEXT:
        fprintf(out, "%u to %u characters%s\n", o->min, o->max, when);
        break;
    case OPTION_LEVEL:
    case OPTION_MODE:
        fprintf(out, "one of %s%s\n", list_choices(o, list, sizeof(list)), when);
        break;
    case OPTION_SWITCH:
        fprintf(out, "yes or no%s\n", when);
        break;
    case OPTION_DURATION:
        write_duration(least, sizeof(least), o->min);
        write_duration(most, sizeof(most), o->max);
        fprintf(out, "%s to %s%s\n", least, most, when);
        break;
    default:
        fprintf(out, "%u to %u%s\n", o->min, o->max, when);
    }
}


/* A name that was made for this process is not printed: another process needs another one. */
static const char *
configured_text(const struct config *config, char *const *place)
{
    char name[128];

    process_name(name, sizeof(name));
    return place == &config->worker.name && strcmp(*place, name) == 0 ? "" : *place;
}


static void
print_value(const struct config *config, const struct option *o, FILE *out)
{
    const void *place = (const char *) config + o->offset;
    char duration[16];

    if (o->type == OPTION_TEXT) {
        fprintf(out, "%s = %s\n", o->name, configured_text(config, place));
        return;
    }

    unsigned value = *(const atomic_uint *) place;

    if (choices_of(o) != NULL) {
        fprintf(out, "%s = %s\n", o->name, choices_of(o)[value]);
    } else if (o->type == OPTION_SWITCH) {
        fprintf(out, "%s = %s\n", o->name, value ? "yes" : "no");
    } else if (o->type == OPTION_DURATION) {
        write_duration(duration, sizeof(duration), value);
        fprintf(out, "%s = %s\n", o->name, duration);
    } else {
        fprintf(out, "%s = %u\n", o->name, value);
    }
}


/* Takes over one option, or reports that it waits for a restart. */
static void
reload_option(struct config *config, const struct option *o, const struct config *fresh,
              void (*ignored)(const char *section, const char *name))
{
    void *place = (char *) config + o->offset;
    const void *new = (const char *) fresh + o->offset;

    if (o->type == OPTION_TEXT) {
        if (strcmp(*(char *const *) place, *(char *const *) new) != 0) {
            ignored(o->section, o->name);
        }

        return;
    }

    unsigned value = *(const atomic_uint *) new;

    if (o->reloads) {
        *(atomic_uint *) place = value;
    } else if (*(atomic_uint *) place != value) {
        ignored(o->section, o->name);
    }
}


int
config_reload(struct config *config, const char *path, void (*ignored)(const char *section, const char *name),
              char *error, size_t size)
{
    struct config fresh;

    if (config_load(&fresh, path, error, size) == -1) {
        return -1;
    }

    for (size_t i = 0; i < OPTIONS; i++) {
        reload_option(config, &options[i], &fresh, ignored);
    }

    config_free(&fresh);
    return 0;
}


void
config_print(const struct config *config, FILE *out)
{
    const char *section = "";

    for (size_t i = 0; i < OPTIONS; i++) {
        const struct option *o = &options[i];

        if (strcmp(section, o->section) != 0) {
            fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "", o->section);
            section = o->section;
        }

        fprintf(out, "; %s\n; default: %s, ", o->meaning, o->standard[0] != '\0' ? o->standard : "empty");
        print_range(o, out);
        print_value(config, o, out);
    }
}


static void
free_password(char **password)
{
    if (*password != NULL) {
        explicit_bzero(*password, strlen(*password));
        free(*password);
        *password = NULL;
    }
}


void
config_free(struct config *config)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options[i].type == OPTION_TEXT) {
            char **place = (char **) (void *) ((char *) config + options[i].offset);

            free(*place);
            *place = NULL;
        }
    }

    free_password(&config->redis.password);
    free_password(&config->mysql.password);
    free_password(&config->payment.gateway_secret);
    secrets_free(&config->events.secrets);
    config->db = config->replica = (struct db_server) { 0 };
}


unsigned
config_statement_timeout(const struct config *config, unsigned wanted)
{
    return wanted < config->db.statement_timeout ? wanted : config->db.statement_timeout;
}


int
config_has_replica(const struct config *config)
{
    return config->mysql.replica_host[0] != '\0' || config->mysql.replica_socket[0] != '\0';
}


int
config_sends_events(const struct config *config)
{
    return config->events.url[0] != '\0';
}
