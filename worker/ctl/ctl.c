#include "ctl/ctl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/migrate.h"
#include "order/order.h"
#include "text/number.h"


static void
complain(const char *format, va_list args)
{
    fputs("checkoutctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}


int
ctl_fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(format, args);
    va_end(args);
    return CTL_ERROR;
}


int
ctl_not_found(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    complain(format, args);
    va_end(args);
    return CTL_NOT_FOUND;
}


int
ctl_db_failed(const struct ctl *ctl)
{
    return ctl_fail("MySQL: %s (error %u)", ctl->db.error, ctl->db.code);
}


int
ctl_redis_failed(const struct ctl *ctl)
{
    return ctl_fail("Redis: %s", ctl->redis.error);
}


int
ctl_sync_said(const struct ctl *ctl, enum sync_result result, const struct product_row *row, const char *done)
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
        gate = "a worker will tell the gate once Redis answers";
        break;
    case SYNC_BROKEN:
        return ctl_fail("%s in MySQL, but the gate cannot take it: %s", done, ctl->redis.error);
    case SYNC_NO_PRODUCT:
        return ctl_not_found("MySQL has no product %" PRIu64, row->id);
    case SYNC_REDIS_FAILED:
        return ctl_redis_failed(ctl);
    default:
        return ctl_db_failed(ctl);
    }

    cJSON *object = cJSON_CreateObject();

    json_uint(object, "product_id", row->id);
    json_int(object, "stock", row->stock);
    json_uint(object, "version", row->version);
    json_text(object, "gate", gate);
    return ctl_say(ctl, object, "product %" PRIu64 " %s: stock %" PRId64 ", version %" PRIu64 "; %s",
                   row->id, done, row->stock, row->version, gate);
}


int
ctl_product_id(const char *word, uint64_t *id)
{
    if (number_parse(id, word, strlen(word), INT64_MAX) == -1 || *id == 0) {
        (void) ctl_fail("%s is no product id (a whole number from 1)", word);
        return -1;
    }

    return 0;
}


int
ctl_take_number(int *argc, char **argv, const char *name, uint64_t most, uint64_t *value)
{
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], name) != 0) {
            continue;
        }

        if (i + 1 == *argc || number_parse(value, argv[i + 1], strlen(argv[i + 1]), most) == -1) {
            (void) ctl_fail("%s needs a whole number up to %" PRIu64, name, most);
            return -1;
        }

        *argc -= 2;
        memmove(argv + i, argv + i + 2, (size_t) (*argc - i) * sizeof(char *));
        return 0;
    }

    return 0;
}


int
ctl_take_word(int *argc, char **argv, const char *word)
{
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], word) == 0) {
            *argc -= 1;
            memmove(argv + i, argv + i + 1, (size_t) (*argc - i) * sizeof(char *));
            return 1;
        }
    }

    return 0;
}


void
json_int(cJSON *object, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    cJSON_AddRawToObject(object, name, text);
}


void
json_uint(cJSON *object, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    cJSON_AddRawToObject(object, name, text);
}


void
json_text(cJSON *object, const char *name, const char *text)
{
    if (text == NULL) {
        cJSON_AddNullToObject(object, name);
    } else {
        cJSON_AddStringToObject(object, name, text);
    }
}


void
json_gate(cJSON *object, const struct gate_product *gate)
{
    json_int(object, "stock", gate->stock == GATE_MISSING ? -1 : gate->stock);
    json_int(object, "in_flight", gate->in_flight);
    json_int(object, "register_stock", gate->register_stock);
    json_int(object, "version", gate->version);
    json_text(object, "state", gate->terms.state);
}


void
json_digits(cJSON *object, const char *name, const char *text)
{
    size_t len = text != NULL ? strspn(text + (text[0] == '-'), "0123456789") + (text[0] == '-') : 0;

    if (text == NULL || len == 0 || text[len] != '\0' || (text[0] == '-' && len == 1)) {
        json_text(object, name, text);
    } else {
        cJSON_AddRawToObject(object, name, text);
    }
}


void
json_row(cJSON *object, MYSQL_RES *rows, MYSQL_ROW row)
{
    const MYSQL_FIELD *fields = mysql_fetch_fields(rows);

    for (unsigned i = 0; i < mysql_num_fields(rows); i++) {
        (IS_NUM(fields[i].type) ? json_digits : json_text)(object, fields[i].name, row[i]);
    }
}


void
json_rows(cJSON *object, const char *name, MYSQL_RES *rows)
{
    cJSON *list = cJSON_AddArrayToObject(object, name);

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL; ) {
        cJSON *one = cJSON_CreateObject();

        json_row(one, rows, row);
        cJSON_AddItemToArray(list, one);
    }
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
ctl_print(const struct ctl *ctl, cJSON *object)
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
ctl_say(const struct ctl *ctl, cJSON *object, const char *format, ...)
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


int
ctl_migrate(struct ctl *ctl, int argc, char **argv)
{
    (void) argv;

    if (argc > 0) {
        return ctl_fail("migrate takes no words");
    }

    return migrate(&ctl->db) == 0 ? CTL_OK : CTL_ERROR;
}
