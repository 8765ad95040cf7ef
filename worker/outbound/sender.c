#include "outbound/sender.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/stop.h"
#include "observe/stats.h"

#define IDLE_MS   500 /* between two claims when no more rows are due */
#define BUSY_MS   20  /* the same when more may be due: long enough for several items to become free */
#define POLL_MS   100 /* longest wait for answers, after which the stop is noticed */
#define GAUGES_MS 15000
#define LEAVE_MS  1000 /* wait for answers that are about to come, after the stop was requested */


unsigned
sender_wait_ms(unsigned tries, unsigned most_ms, uint32_t random)
{
    unsigned bound = SENDER_WAIT_FIRST_MS;

    for (unsigned i = 1; i < tries && bound < most_ms; i++) {
        bound *= 2;
    }

    bound = bound < most_ms ? bound : most_ms;
    return bound / 2 + random % (bound / 2 + 1);
}


unsigned
sender_item_wait_ms(const struct sender_item *item, unsigned most_ms)
{
    uint32_t random = 0;
    ssize_t n = getrandom(&random, sizeof(random), GRND_NONBLOCK); /* where it fails the wait is only less random */
    unsigned wait = sender_wait_ms(item->tries, most_ms, random), asked = item->request.retry_after * 1000;

    (void) n;
    asked = asked < most_ms ? asked : most_ms;
    return wait > asked ? wait : asked;
}


void
sender_item_error(const struct sender_item *item, char *out, size_t size)
{
    if (item->request.status != 0) {
        snprintf(out, size, "HTTP %ld", item->request.status);
    } else {
        log_clean(out, size, item->request.error);
    }

    for (; *out != '\0'; out++) {
        *out = (unsigned char) *out < 0x80 ? *out : '?';
    }
}


struct sender_item *
sender_lease_item(struct sender *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct sender_item *item = &s->items[i];

        if (item->state == SENDER_FREE) {
            item->state = SENDER_LEASED;
            item->id = 0;
            buffer_clear(&item->body);
            return item;
        }
    }

    return NULL;
}


static void
set_free(struct sender_item *item)
{
    curl_slist_free_all(item->request.headers);
    item->request.headers = NULL;
    item->state = SENDER_FREE;
}


static unsigned
count_of(const struct sender *s, enum sender_state state)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->count; i++) {
        n += s->items[i].state == state;
    }

    return n;
}


/* MySQL failed: nothing is asked of it for a while. */
static void
back_off(struct sender *s)
{
    unsigned wait = backoff_next(&s->backoff);

    s->mysql_retry_ms = clock_ms() + wait;
    log_warn("event=%s_waits mysql=\"%s\" wait_ms=%u", s->kind->name, s->db.error, wait);
    stats_mysql_retry(s->db.code);
}


static void
start_leased(struct sender *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct sender_item *item = &s->items[i];

        if (item->state == SENDER_LEASED) {
            item->state = s->kind->start(s, item) == 0 ? SENDER_RUNNING : SENDER_ANSWERED;
        }
    }
}


static void
drop_leased(struct sender *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->items[i].state == SENDER_LEASED) {
            set_free(&s->items[i]);
        }
    }
}


static void
claim(struct sender *s)
{
    unsigned free_items = count_of(s, SENDER_FREE);
    uint64_t now = clock_ms();

    if (free_items == 0 || now < s->next_claim_ms || now < s->mysql_retry_ms || stop_requested()) {
        return;
    }

    int n = db_open(&s->db) == DB_OK ? s->kind->claim(s, free_items) : -1;

    if (n == -1) {
        drop_leased(s);
        db_rollback(&s->db);
        back_off(s);
        return;
    }

    backoff_reset(&s->backoff);
    s->next_claim_ms = clock_ms() + ((unsigned) n == free_items ? BUSY_MS : IDLE_MS);
    start_leased(s);
}


/* The item is freed all the same: others must not wait behind an answer that MySQL refuses each time. */
static void
report_refused(const struct sender *s, const struct sender_item *item)
{
    log_error("event=%s_answer_refused order=%s tries=%u code=%u error=\"%s\" why=\"sent again after its lease\"",
              s->kind->name, item->identifier, item->tries, s->db.code, s->db.error);
}


/* Writes the results of answered items. Returns 0, or -1 when MySQL failed; the rest then stays for later. */
static int
write_answers(struct sender *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct sender_item *item = &s->items[i];

        if (item->state != SENDER_ANSWERED) {
            continue;
        }

        enum db_result result = db_open(&s->db);

        if (result == DB_OK) {
            result = s->kind->finish(s, item);
        }

        if (result != DB_OK) {
            db_rollback(&s->db);
        }

        if (result == DB_POISON) {
            report_refused(s, item);
        } else if (result != DB_OK) {
            return -1;
        }

        set_free(item);
    }

    return 0;
}


static void
take_answers(struct sender *s)
{
    struct http_request *r;

    while ((r = http_client_next(&s->client)) != NULL) {
        struct sender_item *item = (struct sender_item *) (void *) ((char *) r - offsetof(struct sender_item, request));

        item->state = SENDER_ANSWERED;
    }
}


static void
update_gauges(struct sender *s)
{
    if (clock_ms() >= s->next_gauges_ms && s->db.mysql != NULL) {
        s->kind->update_gauges(s);
        s->next_gauges_ms = clock_ms() + GAUGES_MS;
    }
}


/* Milliseconds until there is something to do, unless an answer comes. */
static unsigned
idle_ms(const struct sender *s)
{
    uint64_t now = clock_ms(), next = s->next_claim_ms > s->mysql_retry_ms ? s->next_claim_ms : s->mysql_retry_ms;

    if (count_of(s, SENDER_FREE) == 0 && now >= s->mysql_retry_ms) {
        return POLL_MS;
    }

    return next <= now ? 0 : next - now < IDLE_MS ? (unsigned) (next - now) : IDLE_MS;
}


static void
run_round(struct sender *s)
{
    claim(s);

    if (count_of(s, SENDER_RUNNING) > 0) {
        unsigned idle = idle_ms(s);

        http_client_wait(&s->client, idle < POLL_MS ? idle : POLL_MS);
        take_answers(s);
    } else {
        (void) stop_wait(idle_ms(s));
    }

    if (clock_ms() >= s->mysql_retry_ms && write_answers(s) == -1) {
        back_off(s);
    }

    update_gauges(s);
}


/* Waits a little for answers; then other processes take the remaining rows, with the same key or id. */
static void
shut_down(struct sender *s)
{
    uint64_t deadline = clock_ms() + LEAVE_MS;

    while (count_of(s, SENDER_RUNNING) > 0 && clock_ms() < deadline) {
        http_client_wait(&s->client, POLL_MS);
        take_answers(s);
    }

    int mysql_works = write_answers(s) == 0;

    for (unsigned i = 0; i < s->count; i++) {
        struct sender_item *item = &s->items[i];

        http_client_cancel(&s->client, &item->request);

        if (item->state == SENDER_RUNNING && mysql_works && db_open(&s->db) == DB_OK) {
            mysql_works = s->kind->hand_back(s, item) == DB_OK;
        }
    }
}


static void *
run(void *data)
{
    struct sender *s = data;

    while (!stop_requested()) {
        run_round(s);
    }

    shut_down(s);
    db_close(&s->db);
    db_thread_end();
    atomic_store(&s->ended, 1);
    return NULL;
}


static void
free_items(struct sender *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        curl_slist_free_all(s->items[i].request.headers);
        buffer_free(&s->items[i].request.answer);
        buffer_free(&s->items[i].body);
    }

    free(s->items);
    s->items = NULL;
}


int
sender_start(struct sender *s, const struct sender_kind *kind, const struct config *config, const char *url,
             const char *ca_file, unsigned count)
{
    *s = (struct sender) { .kind = kind, .config = config, .db.server = &config->db, .count = count };

    if (http_client_open(&s->client, url, ca_file) == -1) {
        return ENOMEM;
    }

    s->items = memory_resize(NULL, count, sizeof(struct sender_item));
    memset(s->items, 0, count * sizeof(struct sender_item));

    int error = pthread_create(&s->thread, NULL, run, s);

    s->started = error == 0;
    return error;
}


int
sender_ended(const struct sender *s)
{
    return !s->started || atomic_load(&s->ended);
}


void
sender_join(struct sender *s)
{
    if (!s->started) {
        return;
    }

    pthread_join(s->thread, NULL);
    free_items(s);
    http_client_close(&s->client);
    buffer_free(&s->sql);
}
