/*
 * checkoutctl order cancel | complete | refund: what the operator may do to an order.
 */
#include <string.h>

#include "ctl/ctl.h"
#include "redis/order_records.h"
#include "lifecycle/single_change.h"
#include "lifecycle/transition.h"

#define REASON_LEN 200


/* Takes "--reason TEXT" out of the words. Returns 0, or -1 after a message. */
static int
take_reason(int *argc, char **argv, const char **reason)
{
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--reason") != 0) {
            continue;
        }

        if (i + 1 == *argc || argv[i + 1][0] == '\0' || strlen(argv[i + 1]) > REASON_LEN) {
            (void) ctl_fail("--reason needs a text of 1 to %d bytes", REASON_LEN);
            return -1;
        }

        *reason = argv[i + 1];
        *argc -= 2;
        memmove(argv + i, argv + i + 2, (size_t) (*argc - i) * sizeof(char *));
        return 0;
    }

    return 0;
}


/* An order that waits in the queue has no row; what it asked for is in the gate's record. Returns 0, or -1. */
static int
read_record(struct ctl *ctl, struct single_change *change)
{
    struct record_days days;
    struct checkout_record record;
    const char *day = NULL;

    if (order_records_read_days(&ctl->redis, &days) == -1) {
        return -1;
    }

    redisReply *reply = days.count > 0 ? order_records_find(&ctl->redis, &days, change->identifier, &day) : NULL;

    if (days.count > 0 && reply == NULL) {
        return -1;
    }

    if (reply != NULL && reply->type == REDIS_REPLY_STRING
        && checkout_record_parse(&record, reply->str, (size_t) reply->len) == 0)
    {
        change->has_record = 1;
        change->is_queued = record.status_len == 6 && memcmp(record.status, "queued", 6) == 0;
        change->asked = record.order;
    }

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    return 0;
}


static const char *
tell_gate(struct ctl *ctl, const struct single_change_result *answer)
{
    int repeat = answer->outcome == OUTCOME_REPEAT;
    struct transition moved = { &answer->order, 1, &answer->product, answer->product.found ? 1 : 0, repeat };
    struct redis_args args = { 0 };
    int result = transition_send(&ctl->redis, &args, moved);

    args_free(&args);
    return result == 0 ? "the gate knows it" : "a worker will bring the stock to the gate";
}


static int
say(struct ctl *ctl, const struct single_change *change, const struct single_change_result *answer)
{
    const char *status = order_status_name(answer->order.status);

    if (answer->outcome == OUTCOME_UNKNOWN_ORDER && change->has_record) {
        return ctl_fail("the gate knows order %s and does not have it waiting, but MySQL has no row of it:"
                        " look at `checkoutctl rebuild --dry-run`", change->identifier);
    }

    if (answer->outcome == OUTCOME_UNKNOWN_ORDER) {
        return ctl_not_found("there is no order %s", change->identifier);
    }

    if (answer->outcome == OUTCOME_REFUSED) {
        return ctl_fail("order %s is %s: it cannot be %s", change->identifier, status,
                        change->event == EVENT_CANCEL ? "cancelled"
                        : change->event == EVENT_COMPLETE ? "completed" : "refunded");
    }

    const char *gate = tell_gate(ctl, answer);
    cJSON *o = cJSON_CreateObject();

    json_text(o, "order_identifier", change->identifier);
    json_text(o, "status", status);
    cJSON_AddBoolToObject(o, "changed", answer->outcome != OUTCOME_REPEAT);
    json_text(o, "gate", gate);
    return ctl_say(ctl, o, "order %s is %s%s; %s", change->identifier, status,
                   answer->outcome == OUTCOME_REPEAT ? " already" : "", gate);
}


static int
change(struct ctl *ctl, int argc, char **argv, enum order_event event, const char *code)
{
    struct single_change change = { .event = event, .code = code, .writes_events = config_sends_events(&ctl->config) };
    struct single_change_result answer;

    if (take_reason(&argc, argv, &change.reason) == -1) {
        return CTL_ERROR;
    }

    if (argc != 1 || checkout_identifier_check(argv[0], strlen(argv[0])) == -1) {
        return ctl_fail("one order identifier is needed, such as 019aa411-2f3b-7000-9c5e-0242ac120002");
    }

    memcpy(change.identifier, argv[0], CHECKOUT_IDENTIFIER_LEN);
    (void) money_currency(change.currency, ctl->config.payment.currency, strlen(ctl->config.payment.currency));

    if (ctl->dry_run) {
        cJSON *o = cJSON_CreateObject();

        json_text(o, "order_identifier", change.identifier);
        return ctl_say(ctl, o, "order %s: %s would be tried", change.identifier, order_event_name(event));
    }

    /* Without the record, an order that MySQL has can be cancelled all the same. */
    int blind = event == EVENT_CANCEL && read_record(ctl, &change) == -1;

    if (single_change_run(&ctl->db, &change, &answer) != DB_OK) {
        return ctl_db_failed(ctl);
    }

    if (blind && answer.outcome == OUTCOME_UNKNOWN_ORDER) {
        return ctl_fail("MySQL has no order %s; whether it waits in the queue cannot be known: Redis: %s",
                        change.identifier, ctl->redis.error);
    }

    return say(ctl, &change, &answer);
}


int
ctl_order_cancel(struct ctl *ctl, int argc, char **argv)
{
    return change(ctl, argc, argv, EVENT_CANCEL, "cancelled_by_operator");
}


int
ctl_order_complete(struct ctl *ctl, int argc, char **argv)
{
    return change(ctl, argc, argv, EVENT_COMPLETE, NULL);
}


int
ctl_order_refund(struct ctl *ctl, int argc, char **argv)
{
    return change(ctl, argc, argv, EVENT_REFUND, NULL);
}
