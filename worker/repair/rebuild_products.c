/*
 * A step of the rebuild: every product of MySQL at the gate as its row is, with its units in flight counted.
 *
 * Stock and terms are pushed by version, and units in flight are counted exactly beside a sale (redis/gate.h), so a
 * product that is loaded needs no fence. One that is not loaded does: until the rebuild has come to it, the gate has to
 * answer that it cannot say yet, and not that there is no such product.
 *
 * A register that was missing is created from a row that was read without its lock: a worker may have committed and
 * settled in between, and found no register to push to. So the row is read once more after that. What is committed from
 * then on finds a register.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/ids.h"
#include "base/memory.h"
#include "base/stop.h"
#include "failpoint.h"
#include "redis/gate.h"
#include "redis/keys.h"
#include "redis/loaded_products.h"
#include "repair/rebuild_products.h"
#include "repair/sync.h"
#include "text/buffer.h"
#include "text/number.h"

#define PAGE        GATE_INSPECT_MOST
#define COUNT_TRIES 20 /* of one product, whose entries come and go meanwhile */
#define COUNT_PAUSE 20 /* ms between them */

struct id_list {
    uint64_t *ids;
    size_t count, capacity;
};


static void
add_id(struct id_list *list, uint64_t id)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity == 0 ? PAGE : 2 * list->capacity;
        list->ids = memory_resize(list->ids, list->capacity, sizeof(*list->ids));
    }

    list->ids[list->count++] = id;
}


/* ids: ascending. */
static int
holds_id(const uint64_t *ids, size_t count, uint64_t id)
{
    return count > 0 && bsearch(&id, ids, count, sizeof(id), ids_compare) != NULL;
}


static size_t
page_of(size_t count, size_t first)
{
    return count - first < PAGE ? count - first : PAGE;
}


/* One page of ids, behind `after`. */
static enum db_result
read_page_of_ids(struct rebuild *r, uint64_t after, struct id_list *list, size_t *rows_read)
{
    struct buffer sql = { 0 };
    MYSQL_RES *rows;

    buffer_format(&sql, "SELECT id FROM products WHERE id > %" PRIu64 " ORDER BY id LIMIT 1000", after);

    enum db_result result = EFFECT("rebuild.read_products", db_rows(r->db, &sql, &rows));

    buffer_free(&sql);

    if (result != DB_OK) {
        return result;
    }

    *rows_read = (size_t) mysql_num_rows(rows);

    for (MYSQL_ROW row; (row = mysql_fetch_row(rows)) != NULL;) {
        add_id(list, number_of_column(row[0]));
    }

    mysql_free_result(rows);
    return DB_OK;
}


static enum rebuild_result
read_ids(struct rebuild *r)
{
    struct id_list list = { 0 };
    enum db_result result;
    size_t n = 0;

    do {
        result = read_page_of_ids(r, list.count > 0 ? list.ids[list.count - 1] : 0, &list, &n);
    } while (result == DB_OK && n > 0);

    free(r->ids);
    r->ids = list.ids;
    r->id_count = list.count;
    return result == DB_OK ? REBUILD_DONE : REBUILD_DB_FAILED;
}


/* Products with lost orders, ascending, each once. */
static struct id_list
products_with_lost(const struct rebuild *r)
{
    struct id_list list = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < r->lost_count; i++) {
        if (i == 0 || r->lost[i].product != r->lost[i - 1].product) {
            add_id(&list, r->lost[i].product);
        }
    }

    if (list.count > 0) {
        qsort(list.ids, list.count, sizeof(*list.ids), ids_compare);
    }

    for (size_t i = 0; i < list.count; i++) {
        if (n == 0 || list.ids[n - 1] != list.ids[i]) {
            list.ids[n++] = list.ids[i];
        }
    }

    list.count = n;
    return list;
}


/* Brings stock and terms of a loaded product to its row, which was read after the gate. */
static enum rebuild_result
push_row(struct rebuild *r, const struct gate_product *gate, struct product_row *row)
{
    int right = gate->version == (int64_t) row->version && gate->stock == gate_expected_stock(gate);
    int raise = sync_must_raise(gate, row);

    if (right && !raise) {
        return REBUILD_DONE;
    }

    r->corrected++;

    if (r->dry_run) {
        return REBUILD_DONE;
    }

    if (!raise) {
        return EFFECT("rebuild.push", gate_push(r->redis, row, GATE_NEWER_ONLY)) == GATE_PUSH_FAILED
                   ? REBUILD_REDIS_FAILED
                   : REBUILD_DONE;
    }

    switch (EFFECT("rebuild.raise", sync_product(r->db, r->redis, row->id, GATE_NEWER_ONLY, NULL, NULL, row))) {
    case SYNC_DB_FAILED:
        return REBUILD_DB_FAILED;
    case SYNC_REDIS_FAILED:
    case SYNC_NOT_PUSHED:
        return REBUILD_REDIS_FAILED;
    default:
        return REBUILD_DONE;
    }
}


/* Redis is read first, so a register is never ahead for a good reason. n <= PAGE. */
static enum rebuild_result
read_both(struct rebuild *r, const uint64_t *ids, size_t n, struct gate_product *gate, struct product_row *rows)
{
    struct gate_counts counts;

    for (size_t i = 0; i < n; i++) {
        gate[i] = (struct gate_product) { .id = ids[i] };
        rows[i] = (struct product_row) { .id = ids[i] };
    }

    if (gate_inspect(r->redis, gate, n, &counts) == -1) {
        return REBUILD_REDIS_FAILED;
    }

    return EFFECT("rebuild.read_rows", product_rows_read(r->db, rows, n, ROW_NO_LOCK)) == DB_OK
               ? REBUILD_DONE
               : REBUILD_DB_FAILED;
}


struct scan {
    struct id_list lost;      /* products with lost orders */
    struct id_list fenced;    /* those, and products that are not loaded */
    struct id_list uncertain; /* of the others: their units in flight are not what the queue was seen to hold */
};


static enum rebuild_result
scan_page(struct rebuild *r, struct scan *s, const uint64_t *ids, size_t n)
{
    struct gate_product gate[PAGE];
    struct product_row rows[PAGE];
    enum rebuild_result result = read_both(r, ids, n, gate, rows);

    for (size_t i = 0; i < n && result == REBUILD_DONE; i++) {
        int loaded = gate[i].register_stock != GATE_MISSING;

        if (!rows[i].found) {
            continue;
        }

        if (!loaded || holds_id(s->lost.ids, s->lost.count, ids[i])) {
            add_id(&s->fenced, ids[i]);
            r->loaded += (uint64_t) (r->dry_run && !loaded);
            continue;
        }

        result = push_row(r, &gate[i], &rows[i]);

        if (gate[i].in_flight != queue_view_units(&r->waiting, ids[i])) {
            add_id(&s->uncertain, ids[i]);
        }
    }

    return result;
}


/* Counts what is in flight of one product, in one step of Redis, and writes it. */
static enum gate_pushed
count_one(struct rebuild *r, const struct product_row *row, enum gate_load what, struct in_flight *count)
{
    struct gate_counted counted = { 0 };
    enum gate_pushed pushed = GATE_PUSH_COUNT;

    for (int i = 0; i < COUNT_TRIES && pushed == GATE_PUSH_COUNT; i++) {
        if (i > 0) {
            (void) stop_wait(COUNT_PAUSE);
        }

        pushed = EFFECT("rebuild.count", gate_load(r->redis, row, what, count, &counted));
    }

    r->corrected += pushed >= 0 && counted.in_flight != counted.counted && what != GATE_LOAD_CREATE;
    r->uncounted += pushed == GATE_PUSH_COUNT;
    return pushed;
}


/* Of loaded products: the rest of the register stays as it is. */
static enum rebuild_result
count_uncertain(struct rebuild *r, const struct id_list *list)
{
    struct in_flight count = { 0 };
    enum rebuild_result result = REBUILD_DONE;

    if (list->count == 0) {
        return REBUILD_DONE;
    }

    in_flight_begin(&count, list->ids, list->count, 1);

    if (in_flight_read(&count, r->redis) == -1) {
        result = REBUILD_REDIS_FAILED;
    }

    for (size_t i = 0; i < list->count && result == REBUILD_DONE; i++) {
        struct product_row row = { .id = list->ids[i] };

        if (count_one(r, &row, r->dry_run ? GATE_LOAD_LOOK : GATE_LOAD_RECOUNT, &count) == GATE_PUSH_FAILED) {
            result = REBUILD_REDIS_FAILED;
        }
    }

    in_flight_free(&count);
    return result;
}


enum rebuild_result
rebuild_products_scan(struct rebuild *r)
{
    struct scan s = { .lost = products_with_lost(r) };
    enum rebuild_result result = read_ids(r);

    for (size_t i = 0; i < r->id_count && result == REBUILD_DONE; i += PAGE) {
        result = scan_page(r, &s, r->ids + i, page_of(r->id_count, i));
    }

    if (result == REBUILD_DONE) {
        result = count_uncertain(r, &s.uncertain);
    }

    r->fenced = s.fenced.ids;
    r->fenced_count = s.fenced.count;
    free(s.lost.ids);
    free(s.uncertain.ids);
    return result;
}


/* n <= PAGE. */
static enum rebuild_result
open_products(struct rebuild *r, const uint64_t *ids, size_t n)
{
    struct redis_args args = { 0 };
    int64_t opened;

    if (n == 0) {
        return REBUILD_DONE;
    }

    args_script(&args, &checkout_script_rebuild_open, (unsigned) (1 + n));
    key_gate(&args);

    for (size_t i = 0; i < n; i++) {
        key_register(&args, ids[i]);
    }

    args_text(&args, r->token);

    redisReply *reply = EFFECT("rebuild.open", redis_script(r->redis, &checkout_script_rebuild_open, &args));

    args_free(&args);
    return rebuild_context_answer(r, reply, &opened);
}


enum rebuild_result
rebuild_products_open_others(struct rebuild *r)
{
    uint64_t page[PAGE];
    size_t n = 0;
    enum rebuild_result result = REBUILD_DONE;

    for (size_t i = 0; i < r->id_count && result == REBUILD_DONE; i++) {
        if (!holds_id(r->fenced, r->fenced_count, r->ids[i])) {
            page[n++] = r->ids[i];
        }

        if (n == PAGE) {
            result = open_products(r, page, n);
            n = 0;
        }
    }

    return result == REBUILD_DONE ? open_products(r, page, n) : result;
}


static int
forget_register(struct redis_connection *conn, uint64_t product)
{
    struct redis_args args = { 0 };

    args_text(&args, "UNLINK");
    key_register(&args, product);

    redisReply *reply = EFFECT("rebuild.forget_register", redis_call(conn, &args, 0));

    args_free(&args);

    if (reply == NULL) {
        return -1;
    }

    freeReplyObject(reply);
    return 0;
}


/*
 * A product of the fence, whose lost orders are in the queue again: its row and its units in flight. A register of
 * another type goes first. *created: 1 where it was not loaded; where it has a limit it waits for the count of its
 * buyers (register.lua).
 */
static enum rebuild_result
load_one(struct rebuild *r, struct product_row *row, struct in_flight *count, int *created)
{
    enum gate_pushed pushed = count_one(r, row, GATE_LOAD_RECOUNT, count);

    *created = 0;

    if (pushed == GATE_PUSH_BROKEN) {
        pushed = forget_register(r->redis, row->id) == 0 ? GATE_PUSH_NOT_LOADED : GATE_PUSH_FAILED;
    }

    if (pushed == GATE_PUSH_NOT_LOADED) {
        *created = 1;
        pushed = count_one(r, row, GATE_LOAD_CREATE, count);
        r->loaded += pushed >= 0;
    }

    return pushed == GATE_PUSH_FAILED ? REBUILD_REDIS_FAILED : REBUILD_DONE;
}


/* Rows that changed since they were read: see the head of this file. */
static enum rebuild_result
push_again(struct rebuild *r, const struct product_row *rows, size_t n)
{
    struct product_row now[PAGE];

    for (size_t i = 0; i < n; i++) {
        now[i] = (struct product_row) { .id = rows[i].id };
    }

    if (EFFECT("rebuild.read_rows_again", product_rows_read(r->db, now, n, ROW_NO_LOCK)) != DB_OK) {
        return REBUILD_DB_FAILED;
    }

    for (size_t i = 0; i < n; i++) {
        if (now[i].found && now[i].version != rows[i].version
            && gate_push(r->redis, &now[i], GATE_NEWER_ONLY) == GATE_PUSH_FAILED)
        {
            return REBUILD_REDIS_FAILED;
        }
    }

    return REBUILD_DONE;
}


/* n <= PAGE. They are opened together: the page takes a moment. */
static enum rebuild_result
load_page(struct rebuild *r, const uint64_t *ids, size_t n, struct in_flight *count)
{
    struct gate_product gate[PAGE];
    struct product_row rows[PAGE];
    int any_created = 0;
    enum rebuild_result result = read_both(r, ids, n, gate, rows);

    for (size_t i = 0; i < n && result == REBUILD_DONE; i++) {
        int created = 0;

        if (rows[i].found && gate[i].register_stock != GATE_MISSING) {
            result = push_row(r, &gate[i], &rows[i]);
        }

        if (rows[i].found && result == REBUILD_DONE) {
            result = load_one(r, &rows[i], count, &created);
        }

        any_created |= created;
    }

    if (result == REBUILD_DONE && any_created) {
        result = push_again(r, rows, n);
    }

    return result == REBUILD_DONE ? open_products(r, ids, n) : result;
}


enum rebuild_result
rebuild_products_read_units(struct rebuild *r)
{
    in_flight_begin(&r->units, r->fenced, r->fenced_count, 1);
    return EFFECT("rebuild.read_units", in_flight_read(&r->units, r->redis)) == -1
               ? REBUILD_REDIS_FAILED
               : REBUILD_DONE;
}


enum rebuild_result
rebuild_products_fenced(struct rebuild *r)
{
    enum rebuild_result result = REBUILD_DONE;

    /* The lost orders came in, and what was accepted before the fence. */
    if (EFFECT("rebuild.read_units_on", in_flight_read(&r->units, r->redis)) == -1) {
        return REBUILD_REDIS_FAILED;
    }

    for (size_t i = 0; i < r->fenced_count && result == REBUILD_DONE; i += PAGE) {
        result = load_page(r, r->fenced + i, page_of(r->fenced_count, i), &r->units);
    }

    return result;
}


/* One that is at the gate and was not in MySQL when its products were read. */
static enum rebuild_result
close_one(struct rebuild *r, uint64_t id)
{
    struct gate_product gate = { .id = id };
    struct gate_counts counts;

    if (gate_inspect(r->redis, &gate, 1, &counts) == -1) {
        return REBUILD_REDIS_FAILED;
    }

    if (gate.register_stock == GATE_MISSING) {
        return REBUILD_DONE;
    }

    r->products++;
    r->closed++;

    enum sync_result closed = r->dry_run ? SYNC_UP_TO_DATE
                                         : EFFECT("rebuild.close_gone", sync_close_gone(r->db, r->redis, id));

    if (closed == SYNC_PUSHED || closed == SYNC_UP_TO_DATE) {
        return REBUILD_DONE;
    }

    return closed == SYNC_DB_FAILED ? REBUILD_DB_FAILED : REBUILD_REDIS_FAILED;
}


/* What was loaded is known, and a short queue is summed in the same step; a long one the reconciler counts. */
static enum rebuild_result
correct_counts(struct rebuild *r)
{
    struct gate_counts counts;

    if (r->dry_run) {
        return REBUILD_DONE;
    }

    return gate_inspect(r->redis, NULL, 0, &counts) == -1
                   || gate_correct_counts(r->redis, counts.products, (int64_t) r->products, 0) == -1
               ? REBUILD_REDIS_FAILED
               : REBUILD_DONE;
}


enum rebuild_result
rebuild_products_close_gone(struct rebuild *r)
{
    struct id_list loaded = { 0 };
    enum rebuild_result result = loaded_products_read(r->redis, &loaded.ids, &loaded.count, &loaded.capacity) == -1
                                     ? REBUILD_REDIS_FAILED
                                     : REBUILD_DONE;

    for (size_t i = 0; i < loaded.count && result == REBUILD_DONE; i++) {
        if (holds_id(r->ids, r->id_count, loaded.ids[i])) {
            r->products++;
        } else {
            result = close_one(r, loaded.ids[i]);
        }
    }

    free(loaded.ids);
    return result == REBUILD_DONE ? correct_counts(r) : result;
}
