/*
 * checkoutctl rebuild
 */
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/json.h"
#include "ctl/report.h"
#include "repair/rebuild.h"


/* Orders whose payment MySQL lost: somebody has to check each. */
static void
add_payments(cJSON *o, const struct rebuild *r)
{
    cJSON *list = cJSON_AddArrayToObject(o, "payments_lost_by_mysql");

    for (size_t i = 0; i < r->named_count; i++) {
        const struct rebuild_payment *p = &r->named[i];
        cJSON *one = cJSON_CreateObject();

        cJSON_AddStringToObject(one, "order_identifier", p->identifier);
        cJSON_AddStringToObject(one, "gate", order_status_name(p->gate));
        cJSON_AddStringToObject(one, "mysql", p->row == ORDER_UNKNOWN ? "no row" : order_status_name(p->row));
        cJSON_AddItemToArray(list, one);
    }
}


static cJSON *
report(const struct rebuild *r)
{
    cJSON *o = cJSON_CreateObject();

    cJSON_AddBoolToObject(o, "dry_run", r->dry_run);
    cJSON_AddBoolToObject(o, "earlier_rebuild_had_not_ended", r->resumed);
    json_uint(o, "records", r->records);
    json_uint(o, "orders_enqueued_again", r->enqueued);
    json_uint(o, "orders_left_to_recovery", r->left);
    json_uint(o, "failed_orders_written_again", r->tombstones);
    json_uint(o, "rows_refused", r->refused);
    json_uint(o, "records_refreshed", r->refreshed);
    json_uint(o, "records_unreadable", r->unreadable);
    json_uint(o, "payments_kept_again", r->payments);
    json_uint(o, "payments_not_kept", r->payments_unkept);
    json_uint(o, "products", r->products);
    json_uint(o, "products_loaded", r->loaded);
    json_uint(o, "products_corrected", r->corrected);
    json_uint(o, "products_not_counted", r->uncounted);
    json_uint(o, "products_fenced", r->fenced_count);
    json_uint(o, "products_closed", r->closed);
    json_uint(o, "buyers", r->buyers);
    add_payments(o, r);
    return o;
}


static int
failed(const struct ctl *ctl, enum rebuild_result result)
{
    switch (result) {
    case REBUILD_DB_FAILED:
        (void) report_db_failed(ctl);
        break;
    case REBUILD_TAKEN_OVER:
        return report_error("%s: another rebuild began, this one was given up, or Redis was emptied", ctl->redis.error);
    case REBUILD_BUSY:
        return report_error("another rebuild is under way (%s): wait for it, or end it with \"rebuild --abort\"",
                            ctl->redis.error);
    default:
        (void) report_redis_failed(ctl);
    }

    return report_error("not finished: run it again. What it has not done stays as it was; if some products answer 503"
                        " meanwhile, \"rebuild --abort\" opens them");
}


static int
give_up(struct ctl *ctl)
{
    int given_up = rebuild_abort(&ctl->redis);

    if (given_up == -1) {
        return report_redis_failed(ctl);
    }

    cJSON *o = cJSON_CreateObject();

    cJSON_AddBoolToObject(o, "given_up", given_up);
    return report_object(ctl, o);
}


static int
run(struct ctl *ctl)
{
    struct rebuild r = { .db = &ctl->db, .redis = &ctl->redis, .dry_run = ctl->dry_run };
    enum rebuild_result result = rebuild_run(&r);

    rebuild_free(&r);
    return result == REBUILD_DONE ? report_object(ctl, report(&r)) : failed(ctl, result);
}


int
ctl_rebuild(struct ctl *ctl, int argc, char **argv)
{
    if (argc > 0 && (argc > 1 || strcmp(argv[0], "--abort") != 0)) {
        return report_error("rebuild knows no %s", argv[strcmp(argv[0], "--abort") == 0]);
    }

    return argc == 1 ? give_up(ctl) : run(ctl);
}
