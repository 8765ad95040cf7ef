/*
 * checkoutctl: the operator's tool beside checkout-worker.
 */
#include <mysql.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "log.h"

struct command {
    const char *first, *second;   /* second NULL: one word */
    int (*run)(struct ctl *ctl, int argc, char **argv);
};

static const struct command commands[] = {
    { "migrate", NULL, ctl_migrate },
    { "product", "add", ctl_product_add },
    { "product", "set", ctl_product_set },
    { "stock", "load", ctl_stock_load },
    { "stock", "get", ctl_stock_get },
    { "audit", NULL, ctl_audit },
};

static const char help[] =
    "checkoutctl [-c FILE] COMMAND …      -c may also stand behind the command\n"
    "\n"
    "  migrate                  makes or updates the tables in MySQL; safe to repeat\n"
    "\n"
    "  product add ID --name TEXT --price 19.80 --stock N [terms]\n"
    "                           a new product in MySQL; its first stock is booked as a load\n"
    "  product set ID [--name TEXT] [--price 19.80] [--stock N] [--state open|closed] [terms]\n"
    "                           changes MySQL and, when the product is loaded, the gate;\n"
    "                           a change of stock is booked as an adjustment\n"
    "    terms: --opens-at TIME --closes-at TIME --per-user-limit N --max-quantity N\n"
    "           TIME is 2026-11-21T12:00:00Z or with +08:00; none takes a term away\n"
    "\n"
    "  stock load ID | --all    loads products into the gate: from then on they can be ordered;\n"
    "                           stock that nobody booked is booked as a load\n"
    "  stock get ID             what MySQL and the gate say\n"
    "\n"
    "  audit [--json]           checks the laws, also while orders come in: no oversell in MySQL,\n"
    "                           the gate's stock follows from its register, equal versions hold equal\n"
    "                           stock, what is in flight is what the queue holds\n"
    "\n"
    "A first sale:\n"
    "  checkoutctl -c worker.conf migrate\n"
    "  checkoutctl -c worker.conf product add 17 --name \"Blue vase\" --price 19.80 --stock 500\n"
    "  checkoutctl -c worker.conf stock load 17\n"
    "\n"
    "FILE is the worker's configuration. Exit codes: 0 done, in order · 1 a law is violated · 2 wrong use,\n"
    "or MySQL or Redis cannot be reached.\n";


/* Takes -c FILE out of the words, wherever it stands. Returns 0, or -1 after a message. */
static int
take_config_option(int *argc, char **argv, const char **path)
{
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        int is_config = strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0;

        if (is_config && i + 1 == *argc) {
            (void) ctl_fail("%s needs a file", argv[i]);
            return -1;
        }

        if (is_config) {
            *path = argv[++i];
        } else {
            argv[kept++] = argv[i];
        }
    }

    *argc = kept;
    return 0;
}


static int
wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return 1;
        }
    }

    return 0;
}


/* Returns the command and the number of words that name it, or NULL. */
static const struct command *
find_command(int argc, char **argv, int *words)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *c = &commands[i];

        *words = c->second != NULL ? 2 : 1;

        if (argc > *words && strcmp(argv[1], c->first) == 0
            && (c->second == NULL || strcmp(argv[2], c->second) == 0))
        {
            return c;
        }
    }

    return NULL;
}


static int
run(const struct command *command, const char *path, int argc, char **argv)
{
    struct ctl ctl = { 0 };
    char error[512];

    if (config_load(&ctl.config, path, error, sizeof(error)) == -1) {
        return ctl_fail("%s", error);
    }

    ctl.db.config = ctl.redis.config = &ctl.config;
    (void) log_open(NULL, LOG_LEVEL_ERROR);
    (void) signal(SIGPIPE, SIG_IGN);
    mysql_library_init(0, NULL, NULL);

    int code = command->run(&ctl, argc, argv);

    db_close(&ctl.db);
    redis_close(&ctl.redis);
    mysql_library_end();
    config_free(&ctl.config);

    /* Half a report must not look like a whole one. */
    return fflush(stdout) == 0 && !ferror(stdout) ? code : CTL_ERROR;
}


int
main(int argc, char **argv)
{
    const char *path = NULL;
    int words;

    if (take_config_option(&argc, argv, &path) == -1) {
        return CTL_ERROR;
    }

    if (wants_help(argc, argv)) {
        fputs(help, stdout);
        return CTL_OK;
    }

    const struct command *command = find_command(argc, argv, &words);

    if (command == NULL) {
        fputs(help, stderr);
        return argc > 1 ? ctl_fail("there is no command %s", argv[1]) : CTL_ERROR;
    }

    return run(command, path, argc - 1 - words, argv + 1 + words);
}
