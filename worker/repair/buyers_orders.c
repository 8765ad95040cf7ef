#include "repair/buyers_orders.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "failpoint.h"
#include "lifecycle/rules.h"
#include "order/order.h"
#include "order/order_sql.h"
#include "redis/keys.h"
#include "redis/queue_entry.h"
#include "redis/queue_view.h"
#include "text/number.h"

#define NOTICES_PAGE 2000 /* rows of one statement, as the next */
#define ROWS_PAGE    500
#define LINES_PAGE   500 /* fields of one call, as the next */
#define RECORDS_PAGE 250
#define DAY_SECONDS  86400


/* --- the list ----------------------------------------------------------------------------------------------------- */


static struct buyers_order *
add(struct buyers_orders *orders, const char *identifier)
{
    if (orders->count == orders->capacity) {
        orders->capacity = orders->capacity == 0 ? 64 : 2 * orders->capacity;
        orders->all = memory_resize(orders->all, orders->capacity, sizeof(*orders->all));
    }

    struct buyers_order *o = &orders->all[orders->count++];

    *o = (struct buyers_order) { .quantity = 0 };
    memcpy(o->identifier, identifier, CHECKOUT_IDENTIFIER_LEN);
    return o;
}


/* What is known longer comes first. */
static int
compare(const void *a, const void *b)
{
    const struct buyers_order *x = a, *y = b;
    int order = strcmp(x->identifier, y->identifier);

    return order != 0 ? order : y->row_was_read - x->row_was_read;
}


static void
join(struct buyers_order *o, const struct buyers_order *more)
{
    if (more->in_flight || (more->noticed && !o->in_flight)) {
        o->user = more->user;
        o->quantity = more->quantity;
    }

    o->in_flight |= more->in_flight;
    o->noticed |= more->noticed;
    o->notice_units += more->notice_units;

    if (more->line > o->line) {
        o->line = more->line;
        o->told = more->told;
    }
}


static void
sort(struct buyers_orders *orders)
{
    size_t distinct = 0;

    if (orders->count > 0) {
        qsort(orders->all, orders->count, sizeof(*orders->all), compare);
    }

    for (size_t i = 0; i < orders->count; i++) {
        if (distinct > 0 && strcmp(orders->all[distinct - 1].identifier, orders->all[i].identifier) == 0) {
            join(&orders->all[distinct - 1], &orders->all[i]);
        } else {
            orders->all[distinct++] = orders->all[i];
        }
    }

    orders->count = distinct;
}


static struct buyers_order *
find(struct buyers_orders *orders, const char *identifier)
{
    struct buyers_order key = { .row_was_read = 0 };
    size_t low = 0, high = orders->count;

    snprintf(key.identifier, sizeof(key.identifier), "%s", identifier);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(orders->all[middle].identifier, key.identifier);

        if (order == 0) {
            return &orders->all[middle];
        }

        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return NULL;
}


/* --- what is in doubt --------------------------------------------------------------------------------------------- */


static enum db_result
add_notices_page(struct buyers_orders *orders, struct db *db, uint64_t product, uint64_t *after, size_t *n)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_format(&sql,
                  "SELECT id, order_identifier, user_id, quantity, units FROM gate_notices"
                  " FORCE INDEX (gate_notices_product) WHERE product_id = %" PRIu64 " AND id > %" PRIu64
                  " ORDER BY id LIMIT %d",
                  product, *after, NOTICES_PAGE);

    enum db_result result = EFFECT("buyers.notices", db_rows(db, &sql, &rows));

    buffer_free(&sql);

    if (result != DB_OK) {
        return result;
    }

    *n = mysql_num_rows(rows);

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        struct buyers_order *o = add(orders, row[1]);

        *after = number_of_column(row[0]);
        o->noticed = 1;
        o->user = number_of_column(row[2]);
        o->quantity = (int64_t) number_of_column(row[3]);
        o->notice_units = number_of_signed_column(row[4]);
    }

    mysql_free_result(rows);
    return DB_OK;
}


enum db_result
buyers_orders_add_notices(struct buyers_orders *orders, struct db *db, uint64_t product)
{
    uint64_t after = 0;
    size_t n = NOTICES_PAGE;
    enum db_result result = DB_OK;

    while (n == NOTICES_PAGE && result == DB_OK) {
        result = add_notices_page(orders, db, product, &after, &n);
    }

    sort(orders);
    return result;
}


static void
add_day(struct record_days *days, const char *day)
{
    for (size_t i = 0; i < days->count; i++) {
        if (strncmp(days->day[i], day, CHECKOUT_DAY_LEN) == 0) {
            return;
        }
    }

    if (days->count < RECORD_DAYS_MOST) {
        snprintf(days->day[days->count++], sizeof(days->day[0]), "%.*s", CHECKOUT_DAY_LEN, day);
    }
}


struct walk {
    buyers_orders_find find;
    void *data;
};


/* An entry that cannot be read holds units of nobody that is known. */
static int
add_entry(const redisReply *reply, void *data)
{
    const struct walk *w = data;
    struct queue_entry entry;
    struct queue_entry_order order;
    struct buyers_orders *orders = queue_entry_read(&entry, reply) == 0 ? w->find(entry.product_id, w->data) : NULL;

    if (orders == NULL) {
        return 0;
    }

    add_day(&orders->days, entry.day);

    while (queue_entry_next_order(&entry, &order) == 1) {
        struct buyers_order *o = add(orders, order.identifier);

        o->in_flight = 1;
        o->user = order.asked.user_id;
        o->quantity = order.asked.quantity;
    }

    return 0;
}


int
buyers_orders_add_in_flight(struct redis_connection *redis, buyers_orders_find find_orders, void *data)
{
    struct walk walk = { find_orders, data };

    return queue_view_walk(redis, key_dead_letters, add_entry, &walk) == 0
                   && queue_view_walk(redis, key_queue, add_entry, &walk) == 0
                   && queue_view_walk(redis, key_dead_letters, add_entry, &walk) == 0
               ? 0
               : -1;
}


/* A line: "<identifier> <user> <units>". Returns 0, or -1 for another text. */
static int
add_line(struct buyers_orders *orders, const redisReply *line, int64_t number)
{
    uint64_t user, units;
    const char *text = line->type == REDIS_REPLY_STRING ? line->str : "";
    const char *of_user = strchr(text, ' '), *of_units = of_user != NULL ? strchr(of_user + 1, ' ') : NULL;

    if (of_units == NULL || of_user - text != CHECKOUT_IDENTIFIER_LEN
        || number_parse(&user, of_user + 1, (size_t) (of_units - of_user - 1), UINT64_MAX) == -1
        || number_parse(&units, of_units + 1, strlen(of_units + 1), INT64_MAX) == -1)
    {
        return -1;
    }

    struct buyers_order *o = add(orders, text);

    o->line = number;
    o->told = (struct buyer_sum) { user, (int64_t) units };
    return 0;
}


/* The fields moved:first .. moved:last. Returns as buyers_orders_read_journal(). */
static int
read_lines(struct buyers_orders *orders, struct redis_connection *redis, uint64_t product, int64_t first, int64_t last)
{
    struct redis_args args = { 0 };
    int result = 1;

    args_text(&args, "HMGET");
    key_buyers(&args, product);

    for (int64_t i = first; i <= last; i++) {
        args_format(&args, "moved:%" PRId64, i);
    }

    redisReply *reply = EFFECT("buyers.journal", redis_call(redis, &args, 0));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    for (size_t i = 0; i < reply->elements && result == 1; i++) {
        result = add_line(orders, reply->element[i], first + (int64_t) i) == 0;
    }

    freeReplyObject(reply);
    return result;
}


/* How many lines there are; -1: Redis failed. */
static int64_t
count_lines(struct redis_connection *redis, uint64_t product)
{
    struct redis_args args = { 0 };

    args_text(&args, "HGET");
    key_buyers(&args, product);
    args_text(&args, "moves");

    redisReply *reply = EFFECT("buyers.moves", redis_call(redis, &args, 0));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    int64_t lines = reply_number(reply, 0);

    freeReplyObject(reply);
    return lines;
}


int
buyers_orders_read_journal(struct buyers_orders *orders, struct redis_connection *redis, uint64_t product,
                           int64_t *lines)
{
    int64_t last = count_lines(redis, product);
    int result = last < 0 ? -1 : last >= *lines;

    while (result == 1 && *lines < last) {
        int64_t to = last - *lines < LINES_PAGE ? last : *lines + LINES_PAGE;

        result = read_lines(orders, redis, product, *lines + 1, to);
        *lines = to;
    }

    sort(orders);
    return result;
}


/* --- what is known of it ------------------------------------------------------------------------------------------ */


static void
take_row(struct buyers_orders *orders, MYSQL_ROW row)
{
    struct buyers_order *o = find(orders, row[0]);

    if (o == NULL) {
        return;
    }

    o->row = (struct buyer_sum) { number_of_column(row[1]), number_of_signed_column(row[2]) };
    o->alike = o->in_flight && number_of_column(row[1]) == o->user && number_of_signed_column(row[3]) == o->quantity
               && row[4][0] == '1';
    o->counted[0] = o->row;
}


/* Rows of all[first .. ), as many as one statement takes; *next: behind the last of them. */
static enum db_result
read_rows_page(struct buyers_orders *orders, struct db *db, uint64_t product, size_t first, size_t *next)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;
    size_t n = 0, i;

    buffer_format(
        &sql,
        "SELECT o.order_identifier, o.user_id, IF(o.status IN (" ORDER_SQL_LIVE "), COALESCE(i.quantity, 0), 0),"
        " COALESCE(o.quantity, i.quantity, 0), COALESCE(o.product_id, i.product_id, 0) = %" PRIu64
        " FROM orders o FORCE INDEX (PRIMARY) LEFT JOIN order_items i"
        " ON i.order_identifier = o.order_identifier AND i.product_id = %" PRIu64 " WHERE o.order_identifier IN (",
        product, product);

    for (i = first; i < orders->count && n < ROWS_PAGE; i++) {
        if (!orders->all[i].row_was_read) {
            orders->all[i].row_was_read = 1;
            buffer_format(&sql, "%s'%s'", n++ > 0 ? "," : "", orders->all[i].identifier);
        }
    }

    *next = i;
    buffer_text(&sql, ")");

    enum db_result result = n == 0 ? DB_OK : EFFECT("buyers.rows", db_rows(db, &sql, &rows));

    buffer_free(&sql);

    if (n > 0 && result == DB_OK) {
        for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
            take_row(orders, row);
        }

        mysql_free_result(rows);
    }

    return result;
}


enum db_result
buyers_orders_read_rows(struct buyers_orders *orders, struct db *db, uint64_t product)
{
    enum db_result result = DB_OK;

    for (size_t i = 0; i < orders->count && result == DB_OK;) {
        result = read_rows_page(orders, db, product, i, &i);
    }

    return result;
}


static void
take_record(struct buyers_order *o, const redisReply *reply)
{
    struct checkout_record record;

    if (reply->type != REDIS_REPLY_STRING || checkout_record_parse(&record, reply->str, (size_t) reply->len) == -1) {
        return;
    }

    enum order_status status = order_status_parse(record.status, record.status_len);
    int queued = record.status_len == 6 && memcmp(record.status, "queued", 6) == 0;

    if (o->record != BUYERS_RECORD_ENDED) {
        o->record = queued || order_is_live(status) ? BUYERS_RECORD_HOLDS : BUYERS_RECORD_ENDED;
    }
}


/* Records of those of all[first .. last) that are not in the journal, in one bucket. */
static int
read_bucket(struct buyers_orders *orders, struct redis_connection *redis, const char *day, size_t first, size_t last)
{
    struct redis_args args = { 0 };
    size_t n = 0;

    args_text(&args, "HMGET");
    key_bucket(&args, day);

    for (size_t i = first; i < last; i++) {
        if (orders->all[i].line == 0) {
            args_text(&args, orders->all[i].identifier);
            n++;
        }
    }

    redisReply *reply = n > 0 ? EFFECT("buyers.records", redis_call(redis, &args, 0)) : NULL;

    args_free(&args);

    /* A key of another type holds no records. */
    if (reply == NULL) {
        return n == 0 || strncmp(redis->error, "WRONGTYPE", 9) == 0 ? 0 : -1;
    }

    for (size_t i = first, at = 0; i < last && at < reply->elements; i++) {
        if (orders->all[i].line == 0) {
            take_record(&orders->all[i], reply->element[at++]);
        }
    }

    freeReplyObject(reply);
    return 0;
}


/* Where records can be: what is told looks there; entries name the bucket of their records. */
static void
add_days_of_now(struct record_days *days)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_REALTIME, &now);

    for (int i = -1; i <= 1; i++) {
        char day[CHECKOUT_DAY_LEN + 1];

        checkout_day(day, (uint64_t) (now.tv_sec + i * DAY_SECONDS) * 1000);
        day[CHECKOUT_DAY_LEN] = '\0';
        add_day(days, day);
    }
}


int
buyers_orders_read_records(struct buyers_orders *orders, struct redis_connection *redis)
{
    add_days_of_now(&orders->days);

    for (size_t i = 0; i < orders->count; i++) {
        orders->all[i].record = BUYERS_NO_RECORD;
    }

    for (size_t first = 0; first < orders->count; first += RECORDS_PAGE) {
        size_t last = orders->count - first < RECORDS_PAGE ? orders->count : first + RECORDS_PAGE;

        for (size_t d = 0; d < orders->days.count; d++) {
            if (read_bucket(orders, redis, orders->days.day[d], first, last) == -1) {
                return -1;
            }
        }
    }

    return 0;
}


/* --- the sums ----------------------------------------------------------------------------------------------------- */


/* What the gate was told that the order holds; units 0: nothing. The rules of repair/buyers_count.h. */
static void
judge(const struct buyers_order *o, struct buyer_sum held[2])
{
    held[0] = held[1] = (struct buyer_sum) { 0, 0 };

    if (o->line > 0) {
        held[0] = o->told;
        return;
    }

    if (o->in_flight) {
        int conflicts = o->row.user != 0 && !o->alike;

        /* Another order under the same identifier: that one stands, and this one will give its units back. */
        held[0] = conflicts ? o->row : held[0];
        held[1] = (struct buyer_sum) { o->user, conflicts || o->record != BUYERS_RECORD_ENDED ? o->quantity : 0 };
        return;
    }

    held[0] = (struct buyer_sum) { o->user, o->record == BUYERS_RECORD_HOLDS ? o->quantity : 0 };

    if (o->record == BUYERS_NO_RECORD) {
        held[0].units = o->row.units - o->notice_units;
    }
}


void
buyers_orders_correct(struct buyers_orders *orders, struct buyers_sums *sums, struct buyers_sums *changed)
{
    struct buyers_sums more = { 0 };

    for (size_t i = 0; i < orders->count; i++) {
        struct buyers_order *o = &orders->all[i];
        struct buyer_sum held[2];

        judge(o, held);

        for (int k = 0; k < 2; k++) {
            buyers_sums_add(&more, o->counted[k].user, -o->counted[k].units);
            buyers_sums_add(&more, held[k].user, held[k].units);
            o->counted[k] = held[k];
        }
    }

    buyers_sums_total(&more);
    buyers_sums_merge(sums, &more, changed);
    buyers_sums_free(&more);
}


void
buyers_orders_free(struct buyers_orders *orders)
{
    free(orders->all);
    *orders = (struct buyers_orders) { 0 };
}
