#include "ctl/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "ctl/json.h"


static void
print_error(const char *format, va_list args)
{
    fputs("checkoutctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}


int
report_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_error(format, args);
    va_end(args);
    return CTL_ERROR;
}


int
report_not_found(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    print_error(format, args);
    va_end(args);
    return CTL_NOT_FOUND;
}


int
report_db_failed(const struct ctl *ctl)
{
    return report_error("MySQL: %s (error %u)", ctl->db.error, ctl->db.code);
}


int
report_redis_failed(const struct ctl *ctl)
{
    return report_error("Redis: %s", ctl->redis.error);
}


int
report_sync(const struct ctl *ctl, enum sync_result result, const struct product_row *row, const char *done)
{
    const char *gate;

    switch (result) {
    case SYNC_PUSHED:
    case SYNC_UP_TO_DATE:
        gate = "the gate knows it";
        break;
    case SYNC_NOT_LOADED:
        gate = "it is not loaded at the gate";
        break;
    case SYNC_NOT_PUSHED:
    case SYNC_UNCOUNTED:
        gate = "a worker will tell the gate once Redis answers";
        break;
    case SYNC_BROKEN:
        return report_error("%s in MySQL, but the gate cannot take it: %s", done, ctl->redis.error);
    case SYNC_RECOVERING:
        return report_error("product %" PRIu64
                            " is being recovered, since MySQL lost something of it: nothing was changed;"
                            " look at `checkoutctl product show`",
                            row->id);
    case SYNC_NO_PRODUCT:
        return report_not_found("MySQL has no product %" PRIu64, row->id);
    case SYNC_REDIS_FAILED:
        return report_redis_failed(ctl);
    default:
        return report_db_failed(ctl);
    }

    cJSON *object = cJSON_CreateObject();

    json_uint(object, "product_id", row->id);
    json_int(object, "stock", row->stock);
    json_uint(object, "version", row->version);
    json_text(object, "gate", gate);
    return report_result(ctl, object, "product %" PRIu64 " %s: stock %" PRId64 ", version %" PRIu64 "; %s", row->id,
                         done, row->stock, row->version, gate);
}


/* A value on one line: text as it is, the members of an object one behind the other. */
static void
print_value(const cJSON *value)
{
    if (cJSON_IsObject(value)) {
        for (const cJSON *member = value->child; member != NULL; member = member->next) {
            printf("%s%s=", member == value->child ? "" : "  ", member->string);
            print_value(member);
        }

    } else if (cJSON_IsString(value) || cJSON_IsRaw(value)) {
        fputs(value->valuestring, stdout);
    } else if (cJSON_IsBool(value)) {
        fputs(cJSON_IsTrue(value) ? "yes" : "no", stdout);
    } else if (cJSON_IsNumber(value)) {
        printf("%.15g", value->valuedouble);
    } else {
        putchar('-');
    }
}


static void
print_text(const cJSON *object)
{
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        if (!cJSON_IsArray(member)) {
            printf("%-18s ", member->string);
            print_value(member);
            putchar('\n');
            continue;
        }

        printf("%-18s %s\n", member->string, member->child == NULL ? "none" : "");

        for (const cJSON *item = member->child; item != NULL; item = item->next) {
            fputs("  ", stdout);
            print_value(item);
            putchar('\n');
        }
    }
}


static void
print_json(const cJSON *object)
{
    char *text = cJSON_Print(object);

    if (text != NULL) {
        puts(text);
        cJSON_free(text);
    }
}


int
report_object(const struct ctl *ctl, cJSON *object)
{
    if (ctl->json) {
        print_json(object);
    } else {
        print_text(object);
    }

    cJSON_Delete(object);
    return CTL_OK;
}


int
report_result(const struct ctl *ctl, cJSON *object, const char *format, ...)
{
    va_list args;

    if (ctl->json) {
        print_json(object);
    } else {
        va_start(args, format);
        vprintf(format, args);
        va_end(args);
        putchar('\n');
    }

    cJSON_Delete(object);
    return CTL_OK;
}
