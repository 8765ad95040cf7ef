/*
 * checkout-worker: consumes the queue of accepted orders and makes orders of them in MySQL.
 *
 * The main thread reads the configuration, starts the other threads in this order, and then only waits for signals:
 *
 *   consumers   [worker] threads of them: take batches off the queue, decide, commit, settle   intake/consumer.h
 *   heartbeat   reports the consumers as alive, and at last that they left                     observe/heartbeat.h
 *   reconciler  corrects the gate's stock where it differs from MySQL                          repair/reconciler.h
 *   recount     counts orders and movements anew, and compares the counters with them          repair/recount.h
 *   payments    applies payment events                                                         lifecycle/payments.h
 *   expiry      cancels orders that were not paid in time                                      lifecycle/expiry.h
 *   notices     tells the gate what was committed and not told                                lifecycle/notices.h
 *   buyers      counts the buyers of products with a limit anew, where that is asked for       lifecycle/buyers.h
 *   gateway     asks the payment gateway; only where one is configured                         outbound/gateway.h
 *   outbox      delivers outgoing events; only where [events] url is set                       outbound/outbox.h
 *   monitor     reads the queue and checks the laws, for the metrics                           observe/monitor.h
 *   metrics     libmicrohttpd's own thread, once the address is free                           observe/http_server.h
 *
 * Each thread owns its connections to Redis and MySQL. They share the configuration (read only, but for values that a
 * reload may change, see base/config.h), the flags of base/stop.h, the counts of observe/stats.h, the consumers' status
 * (observe/consumer_status.h), and what is known of other processes' consumers (observe/peers.h). All of it belongs to
 * struct daemon of the main thread, which frees it after the last join.
 *
 * Signals are blocked in all threads; the main thread takes them by sigwaitinfo(2):
 *
 *   SIGTERM, SIGINT   stop: finish the batch in hand, hand back the rest; a second one ends the process at once
 *   SIGHUP            open the log again, read the configuration again
 *   SIGUSR1, SIGUSR2  pause (take nothing new), continue
 *
 * The stop: the flag is set, and all threads but the heartbeat and the metrics end by themselves after what they have
 * in hand. The heartbeat goes on until the consumers have ended (or drain_deadline is over), so that nobody takes over
 * their entries too soon; then it reports that they left, and ends. When all have ended they are joined, the metrics
 * before the monitor that they ask. Past the deadline the process ends without that: as after kill -9, others take over
 * the rest.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/pause.h"
#include "base/stop.h"
#include "base/systemd.h"
#include "intake/consumer.h"
#include "lifecycle/buyers.h"
#include "lifecycle/expiry.h"
#include "lifecycle/notices.h"
#include "lifecycle/payments.h"
#include "observe/heartbeat.h"
#include "observe/http_server.h"
#include "observe/monitor.h"
#include "outbound/gateway.h"
#include "outbound/outbox.h"
#include "repair/reconciler.h"
#include "repair/recount.h"
#include "repair/recovery.h"

#define EXIT_USAGE 2
#define LEAVE_MS   2000 /* least time for the heartbeat to report to Redis that the consumers left */

struct daemon {
    struct config config;
    const char *path; /* of the configuration; NULL without one */
    struct consumer *consumers;
    struct consumer_status *statuses; /* one for each consumer */
    unsigned started;                 /* consumers whose thread runs */
    struct peers peers;
    struct heartbeat heartbeat;
    struct reconciler reconciler;
    struct recount recount;
    struct recovery_thread recovery;
    struct change_thread payments, expiry;
    struct notices notices;
    struct buyers buyers;
    struct sender gateway, outbox;
    struct monitor monitor;
    struct http_server metrics;
};

static const char help[] =
    "checkout-worker takes accepted orders off the queue in Redis and makes them orders in MySQL.\n"
    "\n"
    "  checkout-worker -c FILE      runs in the foreground, logs to standard error or [log] file\n"
    "\n"
    "  -c, --config FILE     configuration (INI); without it defaults and the environment count:\n"
    "                        option host of section [mysql] is CHECKOUT_MYSQL_HOST\n"
    "  -t, --test            reads the configuration and ends\n"
    "      --print-config    prints every option with its value and meaning, and ends\n"
    "  -h, --help            prints this, and ends\n"
    "\n"
    "SIGTERM finishes the batch in hand and ends; a second one ends at once. SIGHUP opens the log again and\n"
    "takes over what may change of the configuration. SIGUSR1 pauses, SIGUSR2 continues.\n"
    "Killing it at any moment loses nothing: the next worker takes over what was not settled.\n";

enum mode {
    MODE_RUN,
    MODE_TEST,
    MODE_PRINT,
    MODE_HELP,
    MODE_USAGE
};


static enum mode
read_command_line(int argc, char **argv, const char **path)
{
    static const struct option long_options[] = {
        { "config", required_argument, NULL, 'c' },
        { "test", no_argument, NULL, 't' },
        { "print-config", no_argument, NULL, 'p' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 }
    };
    enum mode mode = MODE_RUN;

    for (int c; (c = getopt_long(argc, argv, "c:th", long_options, NULL)) != -1;) {
        switch (c) {
        case 'c':
            *path = optarg;
            break;
        case 't':
            mode = MODE_TEST;
            break;
        case 'p':
            mode = MODE_PRINT;
            break;
        case 'h':
            return MODE_HELP;
        default:
            return MODE_USAGE;
        }
    }

    return optind == argc ? mode : MODE_USAGE;
}


static void
block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
    sigaddset(set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}


/* Ends the process when the system refuses a thread: as after kill -9, others take over what was read already. */
static void
start_threads(struct daemon *d)
{
    unsigned threads = d->config.worker.threads;
    int error = 0;

    peers_init(&d->peers);
    d->consumers = memory_resize(NULL, threads, sizeof(struct consumer));
    d->statuses = memory_resize(NULL, threads, sizeof(struct consumer_status));

    while (error == 0 && d->started < threads) {
        error = consumer_start(&d->consumers[d->started], &d->config, d->started + 1, &d->statuses[d->started],
                               &d->peers);
        d->started += error == 0;
    }

    if (error == 0) {
        error = heartbeat_start(&d->heartbeat, &d->config, d->statuses, threads, &d->peers);
    }

    if (error == 0) {
        error = reconciler_start(&d->reconciler, &d->config);
    }

    if (error == 0) {
        error = recount_start(&d->recount, &d->config);
    }

    if (error == 0) {
        error = recovery_start(&d->recovery, &d->config);
    }

    if (error == 0) {
        error = change_thread_start(&d->payments, &payments_kind, &d->config);
    }

    if (error == 0) {
        error = change_thread_start(&d->expiry, &expiry_kind, &d->config);
    }

    if (error == 0) {
        error = notices_start(&d->notices, &d->config);
    }

    if (error == 0) {
        error = buyers_start(&d->buyers, &d->config);
    }

    if (error == 0) {
        error = gateway_start(&d->gateway, &d->config);
    }

    if (error == 0) {
        error = outbox_start(&d->outbox, &d->config);
    }

    if (error == 0) {
        error = monitor_start(&d->monitor, &d->config, d->statuses, threads, &d->peers);
    }

    if (error != 0) {
        log_error("event=start_failed error=\"%s\"", strerror(error));
        _exit(EXIT_FAILURE);
    }

    log_info("event=started name=%s pid=%ld threads=%u redis=\"%s\" database=%u", d->config.worker.name,
             (long) getpid(), threads, d->config.redis.address, (unsigned) d->config.redis.database);
    systemd_notify("READY=1");
}


static void
on_ignored(const char *section, const char *name)
{
    log_warn("event=reload_ignored option=%s.%s why=\"it changes with a restart\"", section, name);
}


static void
reload(struct daemon *d)
{
    char error[512], clean[512];

    systemd_notify_reloading();
    log_reopen();

    if (config_reload(&d->config, d->path, on_ignored, error, sizeof(error)) == -1) {
        log_clean(clean, sizeof(clean), error);
        log_error("event=reload_failed error=\"%s\"", clean);
    } else {
        log_set_level((enum log_level) d->config.log.level);
        log_info("event=reloaded");
    }

    systemd_notify("READY=1");
}


static void
set_pause(int paused)
{
    pause_set(paused);
    log_info("event=%s", paused ? "paused" : "continued");
    systemd_notify(paused ? "STATUS=paused" : "STATUS=");
}


/* A signal other than SIGTERM and SIGINT; -1: the wait was interrupted, or timed out. */
static void
on_signal(struct daemon *d, int number)
{
    switch (number) {
    case SIGHUP:
        reload(d);
        break;
    case SIGUSR1:
    case SIGUSR2:
        set_pause(number == SIGUSR1);
        break;
    default:
        break;
    }
}


/*
 * Waits for SIGTERM or SIGINT. Until the address of the metrics is free, it tries again every two seconds to open it.
 */
static void
wait_for_stop(struct daemon *d, const sigset_t *set)
{
    const struct timespec retry_interval = { .tv_sec = 2 };

    for (;;) {
        int open = http_server_open(&d->metrics, &d->monitor, d->config.worker.metrics_address);
        int number = open ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &retry_interval);

        if (number == SIGTERM || number == SIGINT) {
            log_info("event=stopping signal=%s", number == SIGTERM ? "TERM" : "INT");
            systemd_notify("STOPPING=1");
            return;
        }

        on_signal(d, number);
    }
}


static int
consumers_ended(const struct daemon *d)
{
    for (unsigned i = 0; i < d->started; i++) {
        if (!atomic_load(&d->consumers[i].ended)) {
            return 0;
        }
    }

    return 1;
}


static int
others_ended(const struct daemon *d)
{
    return atomic_load(&d->reconciler.ended) && atomic_load(&d->recount.ended) && atomic_load(&d->recovery.ended)
           && atomic_load(&d->monitor.ended) && atomic_load(&d->heartbeat.ended) && atomic_load(&d->payments.ended)
           && atomic_load(&d->expiry.ended) && atomic_load(&d->notices.ended) && atomic_load(&d->buyers.ended)
           && sender_ended(&d->gateway) && sender_ended(&d->outbox);
}


/* Returns 1 once `ended` does, 0 at the deadline (by clock_ms()). A second SIGTERM or SIGINT ends the process. */
static int
wait_until(const struct daemon *d, const sigset_t *set, uint64_t deadline, int (*ended)(const struct daemon *d))
{
    const struct timespec interval = { .tv_nsec = 20000000 };

    while (!ended(d)) {
        int number = sigtimedwait(set, NULL, &interval);

        if (number == SIGTERM || number == SIGINT) {
            log_warn("event=stopped_at_once why=\"second signal\"");
            _exit(EXIT_FAILURE);
        }

        if (clock_ms() >= deadline) {
            return 0;
        }
    }

    return 1;
}


/*
 * Returns when all threads have ended (the metrics' aside). At the deadline or at a second signal it ends the process.
 */
static void
drain(struct daemon *d, const sigset_t *set)
{
    uint64_t deadline = clock_ms() + d->config.worker.drain_deadline;
    int in_time = wait_until(d, set, deadline, consumers_ended);

    /* Others may take over at once what was not settled, also past the deadline. */
    heartbeat_stop(&d->heartbeat);

    uint64_t least = clock_ms() + LEAVE_MS;

    if (!wait_until(d, set, in_time && deadline > least ? deadline : least, others_ended) || !in_time) {
        log_warn("event=stopped_at_once why=\"drain_deadline\"");
        _exit(EXIT_FAILURE);
    }
}


static void
join_threads(struct daemon *d)
{
    for (unsigned i = 0; i < d->started; i++) {
        pthread_join(d->consumers[i].thread, NULL);
    }

    http_server_close(&d->metrics);
    monitor_join(&d->monitor);
    sender_join(&d->outbox);
    sender_join(&d->gateway);
    buyers_join(&d->buyers);
    notices_join(&d->notices);
    change_thread_join(&d->expiry);
    change_thread_join(&d->payments);
    recovery_join(&d->recovery);
    recount_join(&d->recount);
    reconciler_join(&d->reconciler);
    heartbeat_join(&d->heartbeat);

    for (unsigned i = 0; i < d->started; i++) {
        consumer_free(&d->consumers[i]);
    }

    free(d->consumers);
    free(d->statuses);
    peers_free(&d->peers);
    log_info("event=stopped");
}


static int
run(struct daemon *d, const sigset_t *set)
{
    systemd_prepare();
    mysql_library_init(0, NULL, NULL);
    (void) curl_global_init(CURL_GLOBAL_DEFAULT);

    start_threads(d);
    wait_for_stop(d, set);
    stop_request();

    drain(d, set);
    join_threads(d);
    curl_global_cleanup();
    mysql_library_end();
    config_free(&d->config);
    return EXIT_SUCCESS;
}


int
main(int argc, char **argv)
{
    struct daemon d = { 0 };
    char error[512];
    sigset_t set;
    enum mode mode = read_command_line(argc, argv, &d.path);

    if (mode == MODE_HELP || mode == MODE_USAGE) {
        fputs(help, mode == MODE_HELP ? stdout : stderr);
        return mode == MODE_HELP ? EXIT_SUCCESS : EXIT_USAGE;
    }

    memory_abort_with_buffers();

    /*
     * Before the first thread, which inherits the mask. From here on a signal waits for sigwaitinfo() or
     * sigtimedwait().
     */
    block_signals(&set);

    if (config_load(&d.config, d.path, error, sizeof(error)) == -1) {
        fprintf(stderr, "checkout-worker: %s\n", error);
        return EXIT_USAGE;
    }

    if (mode == MODE_RUN && log_open(d.config.log.file, (enum log_level) d.config.log.level) == -1) {
        fprintf(stderr, "checkout-worker: %s: %s\n", d.config.log.file, strerror(errno));
        config_free(&d.config);
        return EXIT_USAGE;
    }

    if (mode == MODE_RUN) {
        return run(&d, &set);
    }

    if (mode == MODE_PRINT) {
        config_print(&d.config, stdout);
    }

    config_free(&d.config);
    return EXIT_SUCCESS;
}
