/*
 * checkoutctl dlq list | show | retry
 *
 * retry: the letter becomes an entry of the queue again, in one script; its units stay in flight.
 */
#include "ctl/dead_letters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random_hex.h"
#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "ctl/words.h"
#include "intake/batch.h"
#include "redis/keys.h"
#include "redis/queue_entry.h"
#include "redis/queue_view.h"

#define LIST_DEFAULT 100
#define LIST_MOST    1000000


cJSON *
dead_letters_head(const redisReply *entry)
{
    static const char *const names[] = { "reason", "product", "units", "count", "entry" };
    cJSON *o = cJSON_CreateObject();

    json_text(o, "id", queue_entry_id(entry));

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_digits(o, names[i], queue_entry_field(entry, names[i]));
    }

    return o;
}


struct listing {
    cJSON *letters;
    uint64_t left, all;
};


static int
list_letter(const redisReply *entry, void *data)
{
    struct listing *l = data;

    l->all++;

    if (l->left > 0) {
        l->left--;
        cJSON_AddItemToArray(l->letters, dead_letters_head(entry));
    }

    return 0;
}


int
ctl_dlq_list(struct ctl *ctl, int argc, char **argv)
{
    struct listing l = { .left = LIST_DEFAULT };

    if (words_take_number(&argc, argv, "--limit", LIST_MOST, &l.left) == -1) {
        return CTL_ERROR;
    }

    if (argc > 0) {
        return report_error("dlq list takes nothing but --limit N");
    }

    cJSON *o = cJSON_CreateObject();

    l.letters = cJSON_CreateArray();

    if (queue_view_walk(&ctl->redis, key_dead_letters, list_letter, &l) == -1) {
        cJSON_Delete(o);
        cJSON_Delete(l.letters);
        return report_redis_failed(ctl);
    }

    json_uint(o, "dead_letters", l.all);
    cJSON_AddItemToObject(o, "letters", l.letters);
    return report_object(ctl, o);
}


/* "1763…-0": what XRANGE takes as an id, and nothing that it takes as a range. */
static int
is_letter_id(const char *word)
{
    size_t ms = strspn(word, "0123456789");
    size_t sequence = word[ms] == '-' ? strspn(word + ms + 1, "0123456789") : 0;

    return ms > 0 && ms < 20 && sequence > 0 && sequence < 20 && word[ms + 1 + sequence] == '\0';
}


redisReply *
dead_letters_read(struct ctl *ctl, const char *id, int *code)
{
    struct redis_args args = { 0 };

    if (!is_letter_id(id)) {
        *code = report_error("%s is no id of a dead letter, such as 1763700000123-0; see \"dlq list\"", id);
        return NULL;
    }

    args_text(&args, "XRANGE");
    key_dead_letters(&args);
    args_text(&args, id);
    args_text(&args, id);

    redisReply *reply = redis_call(&ctl->redis, &args, 0);

    args_free(&args);

    if (reply == NULL) {
        *code = report_redis_failed(ctl);
        return NULL;
    }

    if (reply->elements == 0) {
        freeReplyObject(reply);
        *code = report_not_found("there is no dead letter %s", id);
        return NULL;
    }

    return reply;
}


int
ctl_dlq_show(struct ctl *ctl, int argc, char **argv)
{
    int code;

    if (argc != 1) {
        return report_error("dlq show takes the id of one dead letter");
    }

    redisReply *reply = dead_letters_read(ctl, argv[0], &code);

    if (reply == NULL) {
        return code;
    }

    const redisReply *fields = reply->element[0]->element[1];
    struct batch batch = { 0 };
    const char *why = "";
    int readable = batch_add(&batch, reply->element[0], &why) == 0;
    cJSON *o = cJSON_CreateObject();

    json_text(o, "id", argv[0]);

    for (size_t i = 0; i + 1 < fields->elements; i += 2) {
        const char *name = fields->element[i]->str, *value = fields->element[i + 1]->str;

        (strcmp(name, "nonce") == 0 ? json_text : json_digits)(o, name, value); /* its random digits may be decimal */
    }

    cJSON_AddBoolToObject(o, "reads_as_a_job", readable);
    json_text(o, "why_not", readable ? NULL : why);
    batch_free(&batch);
    freeReplyObject(reply);
    return report_object(ctl, o);
}


/*
 * Returns the number of orders enqueued; 0: there is no such letter any more; below 0: failed, after a message, with
 * *code.
 */
static int64_t
retry_one(struct ctl *ctl, const char *id, int *code)
{
    struct redis_args args = { 0 };
    char nonce[17];

    random_hex(nonce, 16);
    args_script(&args, &checkout_script_dead_retry, 3);
    key_queue(&args);
    key_dead_letters(&args);
    key_gate(&args);
    args_text(&args, id);
    args_text(&args, nonce);

    redisReply *reply = redis_script(&ctl->redis, &checkout_script_dead_retry, &args);

    args_free(&args);

    if (reply == NULL) {
        *code = report_redis_failed(ctl);
        return -1;
    }

    int64_t orders = reply_number(reply, 0);

    freeReplyObject(reply);

    if (orders == -1) {
        *code = report_error("dead letter %s does not read as a job; \"dlq drop\" takes it away", id);
    } else if (orders == -2) {
        *code = report_error("a rebuild is under way; try again when it has ended");
    }

    return orders;
}


struct ids {
    char (*ids)[48];
    size_t count, capacity;
};


static int
note_id(const redisReply *entry, void *data)
{
    struct ids *all = data;

    if (all->count == all->capacity) {
        all->capacity = all->capacity == 0 ? 64 : 2 * all->capacity;
        all->ids = memory_resize(all->ids, all->capacity, sizeof(*all->ids));
    }

    snprintf(all->ids[all->count++], sizeof(*all->ids), "%s", queue_entry_id(entry));
    return 0;
}


/* Only those that were there at the beginning, or one that dies again would be tried for ever. */
static int
retry_all(struct ctl *ctl)
{
    struct ids all = { 0 };
    int code = CTL_OK;
    uint64_t letters = 0, orders = 0;

    if (queue_view_walk(&ctl->redis, key_dead_letters, note_id, &all) == -1) {
        free(all.ids);
        return report_redis_failed(ctl);
    }

    for (size_t i = 0; i < all.count && !ctl->dry_run; i++) {
        int64_t enqueued = retry_one(ctl, all.ids[i], &code);

        letters += enqueued > 0;
        orders += enqueued > 0 ? (uint64_t) enqueued : 0;

        if (enqueued == -2) {
            break;
        }
    }

    size_t found = all.count;
    cJSON *o = cJSON_CreateObject();

    free(all.ids);
    json_uint(o, "dead_letters", found);
    json_uint(o, "letters_retried", letters);
    json_uint(o, "orders", orders);
    (void) report_result(ctl, o, "%" PRIu64 " of %zu dead letters are back in the queue, with %" PRIu64 " orders",
                         letters, found, orders);
    return code;
}


int
ctl_dlq_retry(struct ctl *ctl, int argc, char **argv)
{
    int code = CTL_OK;

    if (argc != 1) {
        return report_error("dlq retry takes the id of one dead letter, or --all");
    }

    if (strcmp(argv[0], "--all") == 0) {
        return retry_all(ctl);
    }

    redisReply *letter = dead_letters_read(ctl, argv[0], &code);

    if (letter == NULL) {
        return code;
    }

    freeReplyObject(letter);

    int64_t orders = ctl->dry_run ? 0 : retry_one(ctl, argv[0], &code);

    if (orders < 0) {
        return code;
    }

    cJSON *o = cJSON_CreateObject();

    json_uint(o, "letters_retried", orders > 0);
    json_int(o, "orders", orders);
    return report_result(
        ctl, o, ctl->dry_run ? "dead letter %s would go back to the queue" : "dead letter %s is back in the queue",
        argv[0]);
}
