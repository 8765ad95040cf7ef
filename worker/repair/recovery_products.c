#include "repair/recovery_products.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/stop.h"
#include "failpoint.h"
#include "mysql/supply.h"
#include "redis/gate.h"
#include "redis/keys.h"
#include "redis/loss.h"
#include "redis/push_words.h"
#include "text/number.h"


static int
compare_ids(const void *a, const void *b)
{
    uint64_t x = ((const struct recovered_product *) a)->id, y = ((const struct recovered_product *) b)->id;

    return x < y ? -1 : x > y;
}


struct recovered_product *
recovery_find(const struct recovery *r, uint64_t id)
{
    struct recovered_product key = { .id = id };

    return r->count == 0 ? NULL : bsearch(&key, r->products, r->count, sizeof(key), compare_ids);
}


/* --- claiming ----------------------------------------------------------------------------------------------------- */


static void
add_product(struct recovery *r, uint64_t id)
{
    if (r->count == r->capacity) {
        r->capacity = r->capacity == 0 ? 64 : 2 * r->capacity;
        r->products = memory_resize(r->products, r->capacity, sizeof(*r->products));
    }

    r->products[r->count++] = (struct recovered_product) { .id = id };
}


/* The set, page by page; SSCAN may give a member twice. */
static enum recovery_result
read_set(struct recovery *r)
{
    char cursor[32] = "0";

    r->count = 0;

    do {
        struct redis_args args = { 0 };

        args_text(&args, "SSCAN");
        key_recovering(&args);
        args_text(&args, cursor);
        args_text(&args, "COUNT");
        args_text(&args, "500");

        redisReply *reply = EFFECT("recovery.read_set", redis_call(&r->redis, &args, 0));

        args_free(&args);

        if (reply == NULL) {
            return RECOVERY_FAILED;
        }

        if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) {
            freeReplyObject(reply);
            return RECOVERY_FAILED;
        }

        for (size_t i = 0; i < reply->element[1]->elements; i++) {
            int64_t id = reply_number(reply->element[1]->element[i], 0);

            if (id > 0) {
                add_product(r, (uint64_t) id);
            }
        }

        snprintf(cursor, sizeof(cursor), "%s", reply->element[0]->str);
        freeReplyObject(reply);
    } while (strcmp(cursor, "0") != 0);

    if (r->count == 0) {
        return RECOVERY_DONE;
    }

    size_t distinct = 0;

    qsort(r->products, r->count, sizeof(*r->products), compare_ids);

    for (size_t i = 0; i < r->count; i++) {
        if (i == 0 || r->products[i].id != r->products[distinct - 1].id) {
            r->products[distinct++] = r->products[i];
        }
    }

    r->count = distinct;
    return RECOVERY_DONE;
}


/* "<owner> <version> <stock>[ gone]": the proof. */
static void
read_proof(struct recovered_product *p, const char *text)
{
    char version[32] = "", stock[32] = "", gone[8] = "";
    uint64_t number;

    (void) sscanf(text, "%*s %31s %31s %7s", version, stock, gone);
    p->gone = strcmp(gone, "gone") == 0;
    p->proven = number_parse(&p->version, version, strlen(version), GATE_NUMBER_MOST) == 0
                && number_parse(&number, stock, strlen(stock), GATE_NUMBER_MOST) == 0;
    p->stock = p->proven ? (int64_t) number : 0;
}


/* Claims products[from .. from + n), and leaves out at *kept those that are not being recovered any more. */
static enum recovery_result
claim_page(struct recovery *r, size_t from, size_t n, size_t *kept)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_recovery_claim, (unsigned) (1 + n));
    key_recovering(&args);

    for (size_t i = from; i < from + n; i++) {
        key_register(&args, r->products[i].id);
    }

    args_text(&args, r->owner);

    for (size_t i = from; i < from + n; i++) {
        args_number(&args, r->products[i].id);
    }

    redisReply *reply = EFFECT("recovery.claim", redis_script(&r->redis, &checkout_script_recovery_claim, &args));

    args_free(&args);

    if (reply == NULL) {
        return RECOVERY_FAILED;
    }

    for (size_t i = 0; i < n && i < reply->elements; i++) {
        if (reply->element[i]->type == REDIS_REPLY_STRING) {
            struct recovered_product p = { .id = r->products[from + i].id };

            read_proof(&p, reply->element[i]->str);
            r->products[(*kept)++] = p;
        }
    }

    freeReplyObject(reply);
    return RECOVERY_DONE;
}


enum recovery_result
recovery_claim(struct recovery *r)
{
    enum recovery_result result = read_set(r);
    size_t kept = 0, count = r->count;

    for (size_t i = 0; result == RECOVERY_DONE && i < count; i += LOSS_LOOK_MOST) {
        result = claim_page(r, i, count - i < LOSS_LOOK_MOST ? count - i : LOSS_LOOK_MOST, &kept);
    }

    r->count = kept;
    return result;
}


/* --- opening ------------------------------------------------------------------------------------------------------ */


/*
 * Orders that were committed and pushed to the gate, but not settled, are lost with their entries still in the queue.
 * They are not in the row, they are in the register's stock, and they will be committed again. So the row may have as
 * many units more as are in flight. Fewer than the register has are never explained.
 */
static int
is_explained(const struct recovered_product *p, const struct product_row *row, int64_t in_flight)
{
    if (!row->found || p->unexplained > 0) {
        return 0;
    }

    return !p->proven || p->gone || (row->stock >= p->stock && row->stock - p->stock <= in_flight);
}


/* Under the lock: over the row's own version, and the register's. */
static enum db_result
raise_version(struct db *db, struct product_row *row, int64_t at_gate)
{
    struct buffer sql = { 0 };
    uint64_t version = (at_gate > (int64_t) row->version ? (uint64_t) at_gate : row->version) + 1;

    if (version > GATE_NUMBER_MOST) {
        db->code = 0;
        snprintf(db->error, sizeof(db->error), "version %" PRIu64 " is more than the gate can count", version);
        return DB_POISON;
    }

    buffer_format(&sql, "UPDATE products SET version = %" PRIu64 " WHERE id = %" PRIu64 " AND version = %" PRIu64,
                  version, row->id, row->version);

    enum db_result result = EFFECT("recovery.raise", db_change_one_each(db, &sql, 1));

    buffer_free(&sql);
    row->version = version;
    return result;
}


/* Takes `recovering` away and pushes the row. owner "*": whoever has it. Returns 1, 0 or -1 as the script, -2: failed.
 */
static int
open_at_gate(struct redis_connection *conn, const char *owner, const struct product_row *row)
{
    struct redis_args args = { 0 };

    args_script(&args, &checkout_script_recovery_end, 4);
    key_recovering(&args);
    key_stock(&args, row->id);
    key_register(&args, row->id);
    key_buyers(&args, row->id);
    args_text(&args, owner);
    args_number(&args, row->id);
    push_words_add(&args, row);

    redisReply *reply = EFFECT("recovery.end", redis_script(conn, &checkout_script_recovery_end, &args));

    args_free(&args);

    if (reply == NULL) {
        return -2;
    }

    int answer = (int) reply_number(reply, -1);

    freeReplyObject(reply);
    return answer;
}


static void
report_unexplained(const struct recovered_product *p, const struct product_row *row)
{
    log_error("event=product_not_recovered product=%" PRIu64 " mysql_stock=%" PRId64 " register_stock=%" PRId64
              " records_left_over=%" PRIu64 " why=\"%s: it stays closed until `checkoutctl product open`\"",
              p->id, row->found ? row->stock : -1, p->proven ? p->stock : -1, p->unexplained,
              !row->found ? "MySQL has no such product" : "the records do not explain what MySQL lost");
}


/* Returns DB_OK where the transaction was committed or there was nothing to commit; *opens tells which. */
static enum db_result
decide(struct recovery *r, const struct recovered_product *p, struct product_row *row, int *opens)
{
    struct gate_product gate = { .id = p->id };
    struct gate_counts counts;
    enum db_result result;

    *opens = 0;

    if ((result = db_open(&r->db)) != DB_OK
        || (result = EFFECT("recovery.begin", db_text(&r->db, "START TRANSACTION"))) != DB_OK
        || (result = product_rows_read(&r->db, row, 1, ROW_FOR_UPDATE)) != DB_OK
        || (result = db_check_writable(&r->db)) != DB_OK)
    {
        return result;
    }

    if (gate_inspect(&r->redis, &gate, 1, &counts) == -1) {
        r->db.code = 0;
        snprintf(r->db.error, sizeof(r->db.error), "Redis: %.400s", r->redis.error);
        return DB_RETRY;
    }

    if (!gate.recovering || !is_explained(p, row, gate.in_flight)) {
        if (gate.recovering) {
            report_unexplained(p, row);
        }

        /* Should it be made anew, there is no stock to compare. */
        if (gate.recovering && !row->found && gate_close_gone(&r->redis, p->id) == -1) {
            return DB_RETRY;
        }

        return DB_OK;
    }

    *opens = 1;
    result = raise_version(&r->db, row, gate.version);
    return result == DB_OK ? EFFECT("recovery.commit", db_text(&r->db, "COMMIT")) : result;
}


static enum recovery_result
open_product(struct recovery *r, const struct recovered_product *p)
{
    struct product_row row = { .id = p->id };
    int opens = 0;
    enum db_result result = decide(r, p, &row, &opens);

    if (result != DB_OK || !opens) {
        db_rollback(&r->db);
    }

    /* A version that is too large is this product's own trouble. */
    if (result == DB_POISON) {
        report_unexplained(p, &row);
        return RECOVERY_DONE;
    }

    if (result != DB_OK) {
        return RECOVERY_FAILED;
    }

    if (!opens) {
        return RECOVERY_DONE;
    }

    int opened = open_at_gate(&r->redis, r->owner, &row);

    if (opened == 1) {
        log_warn("event=product_recovered product=%" PRIu64 " orders=%" PRIu64 " version=%" PRIu64 " stock=%" PRId64,
                 p->id, p->remade, row.version, row.stock);
    }

    return opened == -2 ? RECOVERY_FAILED : opened == -1 ? RECOVERY_LEFT : RECOVERY_DONE;
}


enum recovery_result
recovery_open_products(struct recovery *r)
{
    enum recovery_result result = RECOVERY_DONE;

    for (size_t i = 0; i < r->count && result == RECOVERY_DONE; i++) {
        result = stop_requested() ? RECOVERY_LEFT : open_product(r, &r->products[i]);
    }

    return result;
}


/* --- by hand ------------------------------------------------------------------------------------------------------ */


static enum sync_result
raise_by_hand(struct db *db, struct redis_connection *conn, struct product_row *row)
{
    struct gate_product gate = { .id = row->id };
    struct gate_counts counts;
    int64_t booked;
    int known;

    if (db_open(db) != DB_OK || EFFECT("recovery.begin", db_text(db, "START TRANSACTION")) != DB_OK
        || product_rows_read(db, row, 1, ROW_FOR_UPDATE) != DB_OK || db_check_writable(db) != DB_OK)
    {
        return SYNC_DB_FAILED;
    }

    if (!row->found) {
        return SYNC_NO_PRODUCT;
    }

    if (gate_inspect(conn, &gate, 1, &counts) == -1) {
        return SYNC_REDIS_FAILED;
    }

    if (!gate.recovering) {
        return SYNC_UP_TO_DATE;
    }

    return raise_version(db, row, gate.version) == DB_OK
                   && supply_book_difference(db, row->id, "adjust", "product open", &booked, &known) == DB_OK
                   && EFFECT("recovery.commit", db_text(db, "COMMIT")) == DB_OK
               ? SYNC_PUSHED
               : SYNC_DB_FAILED;
}


enum sync_result
recovery_open_by_hand(struct db *db, struct redis_connection *conn, uint64_t id, struct product_row *row)
{
    *row = (struct product_row) { .id = id };

    enum sync_result result = raise_by_hand(db, conn, row);

    if (result != SYNC_PUSHED) {
        db_rollback(db);
        return result;
    }

    return open_at_gate(conn, "*", row) == -2 ? SYNC_NOT_PUSHED : SYNC_PUSHED;
}
