/*
 * The worker's references: loops that write orders straight into MySQL, without gate and queue.
 *
 *   loops NAME SECONDS SOCKET DATABASE USER PASSWORD REDIS_PORT [THREADS [BATCH [PRODUCTS]]]
 *
 *   batch         BATCH orders in one transaction, by the worker's statements: lock, look for verdicts, multi-row
 *                 inserts, guarded updates. One connection, nothing else: what the worker could do at most.
 *   one           the same with one order in a transaction
 *   pessimistic   SELECT … FOR UPDATE, one order in a transaction, THREADS connections
 *   optimistic    a version column: UPDATE … WHERE version = ?, again where somebody was faster
 *   redis-lock    SET NX PX with a fencing token, which MySQL checks; waits with a pause where it is held
 *
 * Products 1 .. PRODUCTS must be there, with enough stock. Prints "RESULT orders microseconds conflicts retries".
 * A conflict is work that was thrown away; a retry is an attempt to get the lock that failed.
 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <mysql.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/memory.h"
#include "order/identifier.h"
#include "text/buffer.h"

#define THREADS_MOST 64
#define LOCK_MS      "2000"
#define LOCK_WAIT_US 200

/* Of a product of which each order wants one unit. */
#define TAKE_ONE \
    "UPDATE products SET stock = stock - 1, live_units = live_units + 1, version = version + 1" \
    " WHERE id = 1 AND stock >= 1"

struct setting {
    const char *name, *socket, *database, *user, *password;
    int redis_port;
    unsigned seconds, threads, batch, products;
};

struct loop {
    const struct setting *setting;
    MYSQL *mysql;
    redisContext *redis;
    uint64_t random; /* xorshift; identifiers need no secret here */
    uint64_t orders, conflicts, retries, next_product;
    struct buffer sql;
    uint64_t deadline;
};


static uint64_t
now_us(void)
{
    struct timespec t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}


static _Noreturn void
fail(const char *what, const char *why)
{
    fprintf(stderr, "loops: %s: %s\n", what, why);
    exit(1);
}


static uint64_t
next_random(struct loop *l)
{
    l->random ^= l->random << 13;
    l->random ^= l->random >> 7;
    l->random ^= l->random << 17;
    return l->random;
}


static void
new_identifier(struct loop *l, char out[CHECKOUT_IDENTIFIER_LEN + 1])
{
    uint64_t random = next_random(l);
    struct timespec t;

    (void) clock_gettime(CLOCK_REALTIME, &t);
    checkout_identifier_v7(out, (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000, 0,
                           (const unsigned char *) &random);
    out[CHECKOUT_IDENTIFIER_LEN] = '\0';
}


/* Runs statements. Returns affected rows of the last one, or -1 after a deadlock or a duplicate, rolled back. */
static int64_t
run(struct loop *l, const char *sql, size_t len)
{
    int64_t affected = 0;
    int next = 0;

    if (mysql_real_query(l->mysql, sql, len) != 0) {
        next = 1;
    }

    while (next == 0) {
        MYSQL_RES *rows = mysql_store_result(l->mysql);

        if (rows != NULL) {
            affected = (int64_t) mysql_num_rows(rows);
            mysql_free_result(rows);
        } else {
            affected = (int64_t) mysql_affected_rows(l->mysql);
        }

        next = mysql_next_result(l->mysql);
    }

    if (next <= 0) {
        return affected;
    }

    if (mysql_errno(l->mysql) != 1213 && mysql_errno(l->mysql) != 1020) {
        fail("MySQL", mysql_error(l->mysql));
    }

    (void) mysql_rollback(l->mysql);
    return -1;
}


static int64_t
run_text(struct loop *l, const char *sql)
{
    return run(l, sql, strlen(sql));
}


static int64_t
run_sql(struct loop *l)
{
    int64_t result = run(l, l->sql.data, l->sql.len);

    buffer_clear(&l->sql);
    return result;
}


/* --- the worker's statements without a queue ------------------------------------------------------------------- */

static int
compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

    return x < y ? -1 : x > y;
}


static void
lock_and_look(struct loop *l, const uint64_t *products, size_t n, char (*identifiers)[37])
{
    (void) run_text(l, "START TRANSACTION");
    buffer_text(&l->sql,
                "SELECT id, stock, version, price, state,"
                " COALESCE(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', opens_at) DIV 1000, 0),"
                " COALESCE(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', closes_at) DIV 1000, 0),"
                " COALESCE(per_user_limit, 0), COALESCE(max_quantity, 0)"
                " FROM products FORCE INDEX (PRIMARY) WHERE id IN (");

    for (size_t i = 0; i < n; i++) {
        if (i == 0 || products[i] != products[i - 1]) {
            buffer_format(&l->sql, "%s%" PRIu64, i > 0 ? "," : "", products[i]);
        }
    }

    buffer_text(&l->sql, ") ORDER BY id FOR UPDATE");
    (void) run_sql(l);

    buffer_text(&l->sql, "SELECT o.order_identifier, o.status, COALESCE(o.failure_code, ''), o.user_id,"
                         " COALESCE(o.product_id, i.product_id, 0), COALESCE(o.quantity, i.quantity, 0)"
                         " FROM orders o LEFT JOIN order_items i ON i.order_identifier = o.order_identifier"
                         " WHERE o.order_identifier IN (");

    for (size_t i = 0; i < n; i++) {
        buffer_format(&l->sql, "%s'%s'", i > 0 ? "," : "", identifiers[i]);
    }

    buffer_text(&l->sql, ")");
    (void) run_sql(l);
}


static void
insert_all(struct loop *l, const uint64_t *products, size_t n, char (*identifiers)[37])
{
    buffer_text(&l->sql, "INSERT INTO orders (order_identifier, user_id, status, failure_code, total_price,"
                         " pay_by, product_id, quantity) VALUES ");

    for (size_t i = 0; i < n; i++) {
        buffer_format(&l->sql,
                      "%s('%s',%" PRIu64 ",'pending_payment',NULL,19.80*1,NOW(3) + INTERVAL 1800 SECOND,%" PRIu64 ",1)",
                      i > 0 ? "," : "", identifiers[i], next_random(l) % 1000000 + 1, products[i]);
    }

    buffer_text(&l->sql, ";INSERT INTO order_items (order_identifier, product_id, quantity, unit_price) VALUES ");

    for (size_t i = 0; i < n; i++) {
        buffer_format(&l->sql, "%s('%s',%" PRIu64 ",1,19.80)", i > 0 ? "," : "", identifiers[i], products[i]);
    }

    (void) run_sql(l);
}


static void
run_batch(struct loop *l)
{
    size_t n = l->setting->batch;
    uint64_t products[4096];
    char identifiers[4096][CHECKOUT_IDENTIFIER_LEN + 1];

    for (size_t i = 0; i < n; i++) {
        products[i] = l->next_product++ % l->setting->products + 1;
        new_identifier(l, identifiers[i]);
    }

    qsort(products, n, sizeof(products[0]), compare_numbers);
    lock_and_look(l, products, n, identifiers);
    insert_all(l, products, n, identifiers);

    for (size_t i = 0, first = 0; i < n; i++) {
        if (i + 1 < n && products[i + 1] == products[first]) {
            continue;
        }

        buffer_format(&l->sql,
                      "%sUPDATE products SET stock = stock - %zu, live_units = live_units + %zu, version = version + 1"
                      " WHERE id = %" PRIu64 " AND stock >= %zu",
                      first > 0 ? ";" : "", i + 1 - first, i + 1 - first, products[first], i + 1 - first);
        first = i + 1;
    }

    (void) run_sql(l);
    (void) run_text(l, "COMMIT");
    l->orders += n;
}


/* --- the four strategies, one order on product 1 each ---------------------------------------------------------- */

/* The order, its item, COMMIT. Returns 0, or -1 when it was rolled back. */
static int
insert_one(struct loop *l)
{
    char identifiers[1][CHECKOUT_IDENTIFIER_LEN + 1];
    uint64_t product = 1;

    new_identifier(l, identifiers[0]);
    insert_all(l, &product, 1, identifiers);
    return run_text(l, "COMMIT") == -1 ? -1 : 0;
}


static void
run_pessimistic(struct loop *l)
{
    if (run_text(l, "START TRANSACTION") == -1
        || run_text(l, "SELECT stock FROM products WHERE id = 1 FOR UPDATE") == -1 || run_text(l, TAKE_ONE) != 1
        || insert_one(l) == -1)
    {
        l->conflicts++;
        return;
    }

    l->orders++;
}


static void
run_optimistic(struct loop *l)
{
    if (mysql_query(l->mysql, "SELECT version FROM products WHERE id = 1 AND stock >= 1") != 0) {
        fail("MySQL", mysql_error(l->mysql));
    }

    MYSQL_RES *rows = mysql_store_result(l->mysql);
    MYSQL_ROW row = mysql_fetch_row(rows);
    uint64_t version = row != NULL ? strtoull(row[0], NULL, 10) : 0;

    mysql_free_result(rows);
    (void) run_text(l, "START TRANSACTION");
    buffer_format(&l->sql, TAKE_ONE " AND version = %" PRIu64, version);

    if (run_sql(l) != 1) {
        (void) mysql_rollback(l->mysql);
        l->conflicts++;
        return;
    }

    if (insert_one(l) == 0) {
        l->orders++;
    } else {
        l->conflicts++;
    }
}


static int64_t
redis_number(struct loop *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    redisReply *reply = redisvCommand(l->redis, format, args);
    va_end(args);

    if (reply == NULL || reply->type == REDIS_REPLY_ERROR) {
        fail("Redis", reply != NULL ? reply->str : l->redis->errstr);
    }

    int64_t number = reply->type == REDIS_REPLY_INTEGER ? reply->integer : reply->type == REDIS_REPLY_STATUS;

    freeReplyObject(reply);
    return number;
}


static void
run_redis_lock(struct loop *l)
{
    int64_t token = redis_number(l, "INCR bench:fence");

    while (redis_number(l, "SET bench:lock %lld NX PX " LOCK_MS, (long long) token) == 0) {
        l->retries++;
        (void) usleep(LOCK_WAIT_US);

        if (now_us() >= l->deadline) {
            return;
        }

        token = redis_number(l, "INCR bench:fence");
    }

    (void) run_text(l, "START TRANSACTION");
    buffer_format(&l->sql, "UPDATE bench_fence SET token = %" PRId64 " WHERE product_id = 1 AND token < %" PRId64,
                  token, token);

    if (run_sql(l) == 1 && run_text(l, TAKE_ONE) == 1 && insert_one(l) == 0) {
        l->orders++;
    } else {
        (void) mysql_rollback(l->mysql);
        l->conflicts++;
    }

    (void) redis_number(l, "EVAL %s 1 bench:lock %lld",
                        "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0",
                        (long long) token);
}


static const struct {
    const char *name;
    void (*step)(struct loop *l);
} loops[] = {
    { "batch", run_batch },
    { "one", run_batch },
    { "pessimistic", run_pessimistic },
    { "optimistic", run_optimistic },
    { "redis-lock", run_redis_lock },
};


static void *
run_loop(void *data)
{
    struct loop *l = data;

    for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
        while (strcmp(l->setting->name, loops[i].name) == 0 && now_us() < l->deadline) {
            loops[i].step(l);
        }
    }

    return NULL;
}


static void
connect_loop(struct loop *l)
{
    const struct setting *s = l->setting;

    l->mysql = mysql_init(NULL);
    l->redis = redisConnect("127.0.0.1", s->redis_port);

    if (l->redis == NULL || l->redis->err) {
        fail("Redis", "cannot connect");
    }

    if (mysql_real_connect(l->mysql, NULL, s->user, s->password, s->database, 0, s->socket, CLIENT_MULTI_STATEMENTS)
        == NULL)
    {
        fail("MySQL", mysql_error(l->mysql));
    }

    (void) run_text(l, "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES';"
                       " SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
}


static unsigned
number_or(int argc, char **argv, int i, unsigned standard, unsigned most)
{
    long number = argc > i ? strtol(argv[i], NULL, 10) : standard;

    return number < 1 || number > (long) most ? (fail(argv[i], "out of range"), 0) : (unsigned) number;
}


int
main(int argc, char **argv)
{
    static struct loop all[THREADS_MOST];
    pthread_t threads[THREADS_MOST];
    uint64_t orders = 0, conflicts = 0, retries = 0;

    if (argc < 8) {
        fail("usage", "see the head of bench/loops.c");
    }

    struct setting s = {
        .name = argv[1],
        .seconds = number_or(argc, argv, 2, 1, 3600),
        .socket = argv[3],
        .database = argv[4],
        .user = argv[5],
        .password = argv[6],
        .redis_port = (int) number_or(argc, argv, 7, 6379, 65535),
        .threads = number_or(argc, argv, 8, 1, THREADS_MOST),
        .batch = number_or(argc, argv, 9, 1, 4096),
        .products = number_or(argc, argv, 10, 1, 1000000)
    };

    memory_abort_with_buffers();
    mysql_library_init(0, NULL, NULL);

    for (unsigned i = 0; i < s.threads; i++) {
        all[i] = (struct loop) { .setting = &s, .random = now_us() * 2654435761u + i + 1 };
        connect_loop(&all[i]);
    }

    uint64_t start = now_us();

    for (unsigned i = 0; i < s.threads; i++) {
        all[i].deadline = start + s.seconds * 1000000ull;
        pthread_create(&threads[i], NULL, run_loop, &all[i]);
    }

    for (unsigned i = 0; i < s.threads; i++) {
        pthread_join(threads[i], NULL);
        orders += all[i].orders;
        conflicts += all[i].conflicts;
        retries += all[i].retries;
        mysql_close(all[i].mysql);
        redisFree(all[i].redis);
        buffer_free(&all[i].sql);
    }

    printf("RESULT %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", orders, now_us() - start, conflicts, retries);
    return 0;
}
