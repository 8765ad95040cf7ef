#include "intake/locked_products.h"

#include <stdlib.h>
#include <string.h>

#define ASK_MS     500
#define WAIT_EVERY 20 /* one of so many questions in sequence waits for a row */


static int
compare_ids(const void *a, const void *b)
{
    uint64_t x = ((const struct product_row *) a)->id, y = ((const struct product_row *) b)->id;

    return x < y ? -1 : x > y;
}


int
locked_products_has(const struct locked_products *list, uint64_t product)
{
    struct product_row key = { .id = product };

    return list->count > 0 && bsearch(&key, list->rows, list->count, sizeof(key), compare_ids) != NULL;
}


int
locked_products_add(struct locked_products *list, const struct product_row *rows, size_t n)
{
    size_t before = list->count, added = 0;

    for (size_t i = 0; i < n; i++) {
        if (locked_products_has(list, rows[i].id)) {
            continue;
        }

        if (before + added == LOCKED_PRODUCTS_MOST) {
            return -1;
        }

        list->rows[before + added++] = (struct product_row) { .id = rows[i].id };
    }

    list->count += added;
    qsort(list->rows, list->count, sizeof(list->rows[0]), compare_ids);
    list->asked = 0;
    return 0;
}


int
locked_products_is_due(const struct locked_products *list, uint64_t now)
{
    return list->count > 0 && now >= list->ask_ms;
}


/* Moves the ids of rows that were found, or were not, to the front. Returns how many there are. */
static size_t
keep(struct product_row *rows, size_t n, int found)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        if (rows[i].found == found) {
            rows[kept++] = rows[i];
        }
    }

    return kept;
}


enum db_result
locked_products_find(struct db *db, struct product_row *rows, size_t n, size_t *locked)
{
    enum db_result result = product_rows_read(db, rows, n, ROW_FOR_UPDATE_SKIP_LOCKED);

    if (result != DB_OK) {
        return result;
    }

    size_t passed_over = keep(rows, n, 0);

    result = product_rows_read(db, rows, passed_over, ROW_NO_LOCK);

    if (result == DB_OK) {
        *locked = keep(rows, passed_over, 1);
    }

    return result;
}


/* Returns 1 where the row was had, or is gone; 0 where it is still locked, or MySQL failed. */
static int
wait_for(struct db *db, uint64_t id)
{
    struct product_row row = { .id = id };

    return product_rows_read(db, &row, 1, ROW_FOR_UPDATE) == DB_OK;
}


/* Takes one id off the list. */
static void
drop(struct locked_products *list, uint64_t id)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->rows[i].id != id) {
            list->rows[kept++] = list->rows[i];
        }
    }

    list->count = kept;
}


size_t
locked_products_ask(struct locked_products *list, struct db *db, uint64_t *free_ids, uint64_t now)
{
    struct product_row locked[LOCKED_PRODUCTS_MOST];
    size_t n = 0, freed = 0;

    list->ask_ms = now + ASK_MS;
    memcpy(locked, list->rows, list->count * sizeof(locked[0]));

    if (db_open(db) != DB_OK || locked_products_find(db, locked, list->count, &n) != DB_OK) {
        return 0;
    }

    for (size_t i = 0, j = 0; i < list->count; i++) {
        if (j < n && locked[j].id == list->rows[i].id) {
            list->rows[j++] = list->rows[i];
        } else {
            free_ids[freed++] = list->rows[i].id;
        }
    }

    list->count = n;

    if (freed > 0) {
        list->asked = 0;
    } else if (n > 0 && ++list->asked % WAIT_EVERY == 0) {
        uint64_t id = list->rows[list->asked / WAIT_EVERY % n].id;

        if (wait_for(db, id)) {
            drop(list, id);
            free_ids[freed++] = id;
        }
    }

    return freed;
}
