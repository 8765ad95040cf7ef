#include "ctl/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>


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
    cJSON_AddBoolToObject(object, "recovering", gate->recovering);
}


/* RFC 8259, section 6: an integer has no leading zero. */
static int
is_integer(const char *text)
{
    const char *digits = text + (text[0] == '-');
    size_t len = strspn(digits, "0123456789");

    return len > 0 && digits[len] == '\0' && (digits[0] != '0' || len == 1);
}


void
json_digits(cJSON *object, const char *name, const char *text)
{
    if (text != NULL && is_integer(text)) {
        cJSON_AddRawToObject(object, name, text);
    } else {
        json_text(object, name, text);
    }
}


void
json_row(cJSON *object, MYSQL_RES *rows, MYSQL_ROW row, enum json_numbers numbers)
{
    const MYSQL_FIELD *fields = mysql_fetch_fields(rows);

    for (unsigned i = 0; i < mysql_num_fields(rows); i++) {
        int is_number = numbers == JSON_NUMBERS_ALL || IS_NUM(fields[i].type);

        (is_number ? json_digits : json_text)(object, fields[i].name, row[i]);
    }
}


void
json_rows(cJSON *object, const char *name, MYSQL_RES *rows, enum json_numbers numbers)
{
    cJSON *list = cJSON_AddArrayToObject(object, name);

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        cJSON *one = cJSON_CreateObject();

        json_row(one, rows, row, numbers);
        cJSON_AddItemToArray(list, one);
    }
}
