/*
 * checkoutctl order cancel | complete | refund: what the operator may do to an order.
 */
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "ctl/words.h"
#include "lifecycle/gate_look.h"
#include "lifecycle/single_change.h"
#include "lifecycle/transition.h"
#include "redis/order_records.h"

#define REASON_MAX 200 /* bytes */


/* An order in the queue has no row; the gate's record has what was ordered. Returns 0, or -1 when Redis failed. */
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


/* Informs the gate. Returns what to print of it. */
static const char *
inform_gate(struct ctl *ctl, const struct single_change_result *result)
{
    struct transition moved = { &result->order, 1, &result->product, result->product.found ? 1 : 0, 0 };
    struct redis_args args = { 0 };
    int sent = transition_send(&ctl->redis, &args, &moved, NULL);

    args_free(&args);
    return sent == 0 ? "the gate knows it" : "a worker will bring it to the gate";
}


static int
report_change(struct ctl *ctl, const struct single_change *change, const struct single_change_result *result)
{
    const char *status = order_status_name(result->order.status);

    if (result->outcome == OUTCOME_LOCKED) {
        return report_error(
            "order %s was not changed: the gate knows more of it, or of its product, than MySQL, which has"
            " lost something, or Redis cannot be read; try again once that was recovered",
            change->identifier);
    }

    if (result->outcome == OUTCOME_UNKNOWN_ORDER && change->has_record) {
        return report_error("the gate knows order %s and does not have it waiting, but MySQL has no row of it:"
                            " look at `checkoutctl rebuild --dry-run`",
                            change->identifier);
    }

    if (result->outcome == OUTCOME_UNKNOWN_ORDER) {
        return report_not_found("there is no order %s", change->identifier);
    }

    if (result->outcome == OUTCOME_ARCHIVED) {
        return report_error("order %s was %s when it was archived, and stays so", change->identifier, status);
    }

    if (result->outcome == OUTCOME_REFUSED) {
        return report_error("order %s is %s: it cannot be %s", change->identifier, status,
                            change->event == EVENT_CANCEL     ? "cancelled"
                            : change->event == EVENT_COMPLETE ? "completed"
                                                              : "refunded");
    }

    const char *gate = inform_gate(ctl, result);
    cJSON *o = cJSON_CreateObject();

    json_text(o, "order_identifier", change->identifier);
    json_text(o, "status", status);
    cJSON_AddBoolToObject(o, "changed", result->outcome != OUTCOME_REPEAT);
    json_text(o, "gate", gate);
    return report_result(ctl, o, "order %s is %s%s; %s", change->identifier, status,
                         result->outcome == OUTCOME_REPEAT ? " already" : "", gate);
}


static int
change(struct ctl *ctl, int argc, char **argv, enum order_event event, const char *code)
{
    struct single_change change = { .event = event, .code = code, .writes_events = config_sends_events(&ctl->config) };
    struct single_change_result result;

    if (words_take_text(&argc, argv, "--reason", &change.reason) == -1
        || (change.reason != NULL && (change.reason[0] == '\0' || strlen(change.reason) > REASON_MAX)))
    {
        return report_error("--reason needs a text of 1 to %d bytes", REASON_MAX);
    }

    if (argc != 1 || checkout_identifier_check(argv[0], strlen(argv[0])) == -1) {
        return report_error("one order identifier is needed, such as 019aa411-2f3b-7000-9c5e-0242ac120002");
    }

    memcpy(change.identifier, argv[0], CHECKOUT_IDENTIFIER_LEN);
    (void) money_currency(change.currency, ctl->config.payment.currency, strlen(ctl->config.payment.currency));

    if (ctl->dry_run) {
        cJSON *o = cJSON_CreateObject();

        json_text(o, "order_identifier", change.identifier);
        return report_result(ctl, o, "order %s: %s would be tried", change.identifier, order_event_name(event));
    }

    /* Without the record, an order that MySQL has can be cancelled all the same. */
    int record_unknown = event == EVENT_CANCEL && read_record(ctl, &change) == -1;

    change.look = gate_look;
    change.look_data = &ctl->redis;

    if (single_change_run(&ctl->db, &change, &result) != DB_OK) {
        return report_db_failed(ctl);
    }

    if (record_unknown && result.outcome == OUTCOME_UNKNOWN_ORDER) {
        return report_error("MySQL has no order %s; whether it waits in the queue cannot be known: Redis: %s",
                            change.identifier, ctl->redis.error);
    }

    return report_change(ctl, &change, &result);
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
