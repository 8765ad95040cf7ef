/*
 * checkoutctl: the operator's tool beside checkout-worker.
 */
#include <mysql.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "ctl/actor.h"
#include "ctl/ctl.h"
#include "ctl/report.h"

struct command {
    const char *first, *second; /* second NULL: one word */
    int (*run)(struct ctl *ctl, int argc, char **argv);
    const char *words; /* what stands behind the name */
    const char *line;  /* one line for the overview */
    const char *help;  /* the rest of its --help */
};

#define TERMS_HELP \
    "Terms: --opens-at TIME, --closes-at TIME, --per-user-limit N, --max-quantity N,\n" \
    "--payment-timeout SECONDS (from the commit of an order; none: as the worker is configured).\n" \
    "TIME is 2026-11-21T12:00:00Z, or with +08:00. \"none\" takes a term away.\n"

/* clang-format off */
static const struct command commands[] = {
    { "migrate", NULL, ctl_migrate, "[--finish | --unfinish]", "makes or updates the tables in MySQL",
      "Safe to repeat; one process at a time does it. After an error it goes on at the statement that failed.\n"
      "--finish says that all programs, nginx too, are of this release: from then on the counters of products\n"
      "count, and law 1 is checked by them. Refused while a worker of the release before is alive; not needed on\n"
      "a database that was empty. --unfinish takes it back, before programs of the release before start again.\n" },

    { "product", "add", ctl_product_add, "ID --name TEXT --price 19.80 --stock N [terms]", "a new product in MySQL",
      "Its first stock is booked as a load. It can be ordered once \"stock load ID\" has opened it at the gate.\n"
      TERMS_HELP },
    { "product", "set", ctl_product_set, "ID [--name TEXT] [--price P] [--stock N] [--state open|closed] [terms]",
      "changes a product",
      "Changes MySQL and, where the product is loaded, the gate at once. A change of stock is booked as an\n"
      "adjustment. Orders keep the price of their commit.\n"
      TERMS_HELP },
    { "product", "show", ctl_product_show, "ID", "what MySQL and the gate hold of it", "" },
    { "product", "open", ctl_product_open, "ID", "sells on after a loss of MySQL that could not be explained", "" },
    { "product", "close", ctl_product_close, "ID", "no new orders from now on",
      "Orders accepted before become orders as usual. \"product set ID --state open\" opens it again.\n" },

    { "stock", "load", ctl_stock_load, "ID | --all", "opens products at the gate",
      "From then on they can be ordered. What is in flight is counted. Stock that no movement explains (a row made\n"
      "or changed by hand) is booked as a load.\n" },
    { "stock", "get", ctl_stock_get, "ID", "stock in MySQL and at the gate", "" },
    { "stock", "set", ctl_stock_set, "ID N [--reason TEXT]", "sets the stock, booked as an adjustment",
      "N is what MySQL shall hold: units that are neither sold nor given back. The gate follows at once, with what is\n"
      "in flight taken off. During a sale \"stock adjust\" is what you want: it does not race with orders.\n" },
    { "stock", "adjust", ctl_stock_adjust, "ID +N | -N [--reason TEXT]", "adds or takes units, booked",
      "Refused where it would leave less than nothing.\n" },
    { "stock", "movements", ctl_stock_movements, "ID [--limit N]", "the book: every change that was not an order",
      "The newest first, 100 of them unless --limit says otherwise.\n" },

    { "queue", "stats", ctl_queue_stats, "", "what waits, since when, and who works on it",
      "orders: accepted orders without a verdict. entries: jobs that hold them. oldest_entry_ms grows while no worker\n"
      "works; a consumer with an old beat is dead, and others take its entries over.\n" },
    { "queue", "pause", ctl_queue_pause, "", "workers stop consuming",
      "Within a second or two, after the batch in hand. The gate goes on accepting orders up to the queue's cap.\n"
      "For maintenance of MySQL: no order fails, all of them wait.\n" },
    { "queue", "resume", ctl_queue_resume, "", "workers go on", "" },

    { "dlq", "list", ctl_dlq_list, "[--limit N]", "dead letters: orders no verdict could be found for", "" },
    { "dlq", "show", ctl_dlq_show, "LETTER", "one of them, whole", "" },
    { "dlq", "retry", ctl_dlq_retry, "LETTER | --all", "back to the queue",
      "After the cause is gone. The units stay in flight; what dies again comes back as a new letter.\n" },
    { "dlq", "drop", ctl_dlq_drop, "LETTER --yes", "ends its orders as failed, gives the units back",
      "MySQL gets a failed order with the reason \"dropped\" first; then the letter goes and its units come back, "
      "once,\n"
      "however often the command is repeated. An order that has a verdict already keeps it.\n" },

    { "order", "show", ctl_order_show, "IDENTIFIER", "everything known about one order",
      "In the order in which it happened: the gate's record, queue entry and who holds it, dead letter, MySQL's row,\n"
      "items, stock movements, payment events. Exit code 3 when nobody knows it.\n" },

    { "order", "cancel", ctl_order_cancel, "IDENTIFIER [--reason TEXT]",
      "ends an order that is not paid, also in the queue",
      "Its units can be sold again at once; those of an order in the queue once a worker has come to it. Refused once "
      "the\n"
      "order is paid.\n" },
    { "order", "complete", ctl_order_complete, "IDENTIFIER [--reason TEXT]", "a paid order's goods are out", "" },
    { "order", "refund", ctl_order_refund, "IDENTIFIER [--reason TEXT]", "the money of an order went back",
      "Of a paid order the units can be sold again; those of a completed one are with the buyer and are booked as an\n"
      "adjustment. It notes what was done at the provider, and asks no provider.\n" },

    { "payments", NULL, ctl_payments, "[--waiting | --all] [--limit N]", "payment events that a person has to look at",
      "Money that has to go back (refund_pending, paid_twice), wrong amounts and currencies, partial refunds, events "
      "of\n"
      "unknown orders and events that cannot be read. --waiting: those that wait for their order.\n" },

    { "events", "list", ctl_events_list, "[--all] [--limit N]", "what the shop was not told of yet",
      "The dead ones first: those that it refused too often. --all: delivered ones too, the newest first.\n" },
    { "events", "retry", ctl_events_retry, "EVENT | --all", "sends it to the shop again",
      "Now, and with all its tries anew. --all: every dead one.\n" },
    { "events", "drop", ctl_events_drop, "EVENT --yes", "gives it up for good", "The shop is never told of it.\n" },

    { "audit", NULL, ctl_audit, "[--repair] [--watch [--every SECONDS]]", "checks the laws, also during a sale",
      "No oversell in MySQL, the gate's stock follows from its register, equal versions hold equal stock, what is in\n"
      "flight is what the queue holds. Exit code 1: a law is violated.\n"
      "It counts all orders and movements, in small steps; Ctrl-C ends it.\n"
      "--repair puts the gate and the counters right and looks again. Stock that MySQL's own book does not explain\n"
      "it leaves alone: look at \"stock movements\", then book it with \"stock load\". --watch repeats it until\n"
      "Ctrl-C.\n" },

    { "archive", NULL, ctl_archive, "--before DATE (--to FILE.jsonl.gz | --discard)",
      "moves what is finished out of MySQL",
      "Orders that ended and did not change since DATE (a stub of identifier and status stays), with their items;\n"
      "stock movements, bodies of processed payment events, delivered events of before DATE. A batch leaves MySQL\n"
      "once the file with it is synced. Killed at any moment, run it again, with the same file. What is locked, waits\n"
      "for a payment event, or counts for the buyers of a product that is on sale stays, and is counted. --dry-run\n"
      "counts. DATE is 2026-08-01 (UTC), or a time such as 2026-08-01T00:00:00+08:00.\n" },

    { "rebuild", NULL, ctl_rebuild, "[--abort]", "makes the gate anew after Redis or MySQL lost data",
      "From MySQL and what survives in Redis: registers, stock, units in flight, buyers. Accepted orders that have a\n"
      "record but neither a row nor a place in the queue are enqueued again. Products that MySQL holds are loaded.\n"
      "The sale and the workers go on: only products that are not loaded, or whose orders are put back, answer 503\n"
      "until the rebuild has come to them. Killed at any moment, run it again: it waits 10 s, until the other one is\n"
      "dead for certain, and goes on. --abort gives a rebuild up, dead or alive, and opens the gate at once.\n"
      "--dry-run counts what there is to do and does nothing.\n" },
};
/* clang-format on */

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char help_head[] = "checkoutctl [-c FILE] COMMAND …        options may stand anywhere\n"
                                "\n";

static const char help_tail[] =
    "\n"
    "checkoutctl COMMAND --help says more about one. For all of them:\n"
    "  -c FILE      the worker's configuration (CHECKOUT_MYSQL_HOST and the like come first)\n"
    "  --json       prints JSON\n"
    "  --dry-run    says what would be done, and does nothing\n"
    "  --yes        you mean it (commands that end orders ask for it)\n"
    "\n"
    "A first sale:\n"
    "  checkoutctl -c worker.conf migrate\n"
    "  checkoutctl -c worker.conf product add 17 --name \"Blue vase\" --price 19.80 --stock 500\n"
    "  checkoutctl -c worker.conf stock load 17\n"
    "\n"
    "Exit codes: 0 done, in order · 1 a law is violated · 2 wrong use, or MySQL or Redis cannot be reached ·\n"
    "3 no such product, order, event or dead letter.\n";


static void
print_overview(FILE *out)
{
    fputs(help_head, out);

    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *c = &commands[i];
        char name[32];

        snprintf(name, sizeof(name), "%s%s%s", c->first, c->second != NULL ? " " : "",
                 c->second != NULL ? c->second : "");
        fprintf(out, "%s  %-16s %s\n", i > 0 && strcmp(c->first, commands[i - 1].first) != 0 ? "\n" : "", name,
                c->line);
    }

    fputs(help_tail, out);
}


static void
print_command(const struct command *c)
{
    printf("checkoutctl [-c FILE] %s%s%s %s\n    %s\n%s%s", c->first, c->second != NULL ? " " : "",
           c->second != NULL ? c->second : "", c->words, c->line, c->help[0] != '\0' ? "\n" : "", c->help);
}


/* Help for what was named: one command, the commands of a first word, or all. */
static void
print_help(int argc, char **argv)
{
    int printed = 0;

    for (size_t i = 0; argc > 1 && i < COMMANDS; i++) {
        const struct command *c = &commands[i];

        if (strcmp(argv[1], c->first) == 0
            && (c->second == NULL || argc < 3 || argv[2][0] == '-' || strcmp(argv[2], c->second) == 0))
        {
            fputs(printed++ > 0 ? "\n" : "", stdout);
            print_command(c);
        }
    }

    if (printed == 0) {
        print_overview(stdout);
    }
}


/* Takes the options of all commands out of the words, wherever they stand. */
static void
take_common_options(int *argc, char **argv, struct ctl *ctl)
{
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            ctl->json = 1;
        } else if (strcmp(argv[i], "--yes") == 0) {
            ctl->yes = 1;
        } else if (strcmp(argv[i], "--dry-run") == 0) {
            ctl->dry_run = 1;
        } else {
            argv[kept++] = argv[i];
        }
    }

    *argc = kept;
}


/* Takes -c FILE out of the words, wherever it stands. Returns 0, or -1 after a message. */
static int
take_config_option(int *argc, char **argv, const char **path)
{
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        int is_config = strcmp(argv[i], "-c") == 0 || strcmp(argv[i], "--config") == 0;

        if (is_config && i + 1 == *argc) {
            (void) report_error("%s needs a file", argv[i]);
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
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct command *c = &commands[i];

        *words = c->second != NULL ? 2 : 1;

        if (argc > *words && strcmp(argv[1], c->first) == 0 && (c->second == NULL || strcmp(argv[2], c->second) == 0)) {
            return c;
        }
    }

    return NULL;
}


static int
run(const struct command *command, struct ctl *ctl, const char *path, int argc, char **argv)
{
    char error[512];

    memory_abort_with_buffers();

    if (config_load(&ctl->config, path, error, sizeof(error)) == -1) {
        return report_error("%s", error);
    }

    ctl->db.server = &ctl->config.db;
    ctl->db.actor = actor_name();
    ctl->redis.config = &ctl->config;
    (void) log_open(NULL, LOG_LEVEL_ERROR);
    (void) signal(SIGPIPE, SIG_IGN);
    mysql_library_init(0, NULL, NULL);

    int code = command->run(ctl, argc, argv);

    db_close(&ctl->db);
    redis_close(&ctl->redis);
    mysql_library_end();
    config_free(&ctl->config);

    /* Half a report must not look like a whole one. */
    return fflush(stdout) == 0 && !ferror(stdout) ? code : CTL_ERROR;
}


int
main(int argc, char **argv)
{
    const char *path = NULL;
    struct ctl ctl = { 0 };
    int words;

    if (take_config_option(&argc, argv, &path) == -1) {
        return CTL_ERROR;
    }

    if (wants_help(argc, argv)) {
        print_help(argc, argv);
        return CTL_OK;
    }

    take_common_options(&argc, argv, &ctl);

    const struct command *command = find_command(argc, argv, &words);

    if (command != NULL) {
        return run(command, &ctl, path, argc - 1 - words, argv + 1 + words);
    }

    if (argc > 1) {
        return report_error("there is no command %s%s%s; \"checkoutctl --help\" lists them", argv[1],
                            argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
    }

    print_overview(stderr);
    return CTL_ERROR;
}
