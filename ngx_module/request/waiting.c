/*
 * A request that waits: its place in r->main->count, its time, and its
 * client, who may leave.
 *
 * nginx tells of a request that goes away through r->main->cleanup, before it
 * frees anything.  The link stands in the object itself, so that waiting costs
 * no allocation.
 */
#include "request/waiting.h"

#include "stats/assert.h"


static void ngx_http_checkout_waiting_whole(ngx_http_checkout_alarm_t *alarm);
static void ngx_http_checkout_waiting_part(ngx_http_checkout_alarm_t *alarm);
static void ngx_http_checkout_waiting_gone(void *data);


void
ngx_http_checkout_waiting_init(ngx_http_checkout_waiting_t *w,
    ngx_http_request_t *r)
{
    w->request = r;
    w->whole.handler = ngx_http_checkout_waiting_whole;
    w->part.handler = ngx_http_checkout_waiting_part;
}


void
ngx_http_checkout_waiting_ask(ngx_http_checkout_waiting_t *w,
    const ngx_http_checkout_step_t *kind, void *step,
    ngx_http_checkout_clock_t *clock)
{
    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                   "checkout request: step %p begins%s", step,
                   w->late ? ", late" : "");

    if (!ngx_http_checkout_assert(w->kind == NULL)) {
        /* a step that is forgotten here must not come back */
        w->kind->gone(w->step);
    }

    w->kind = kind;
    w->step = step;

    if (clock != NULL) {
        ngx_http_checkout_alarm_start(&w->part, clock);
    }

    if (w->clock != NULL && w->whole.clock == NULL) {
        ngx_http_checkout_alarm_start_late(&w->whole, w->clock);
    }
}


void
ngx_http_checkout_waiting_answered(ngx_http_checkout_waiting_t *w)
{
    if (w->kind != NULL) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                       "checkout request: step %p ends", w->step);
    }

    w->kind = NULL;
    ngx_http_checkout_alarm_stop(&w->part);
}


void
ngx_http_checkout_waiting_begin_with_body(ngx_http_checkout_waiting_t *w,
    ngx_http_checkout_clock_t *clock)
{
    ngx_http_request_t  *main;

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                   "checkout request: waits");

    (void) ngx_http_checkout_assert(!w->begun);
    w->begun = 1;

    main = w->request->main;

    w->cleanup.handler = ngx_http_checkout_waiting_gone;

    if (w->cleanup.data == NULL) { /* not linked */
        w->cleanup.data = w;
        w->cleanup.next = main->cleanup;
        main->cleanup = &w->cleanup;
    }

    if (clock != NULL) {
        ngx_http_checkout_waiting_restart(w, clock);
    }
}


ngx_int_t
ngx_http_checkout_waiting_begin(ngx_http_checkout_waiting_t *w,
    ngx_http_checkout_clock_t *clock)
{
    w->request->main->count++;
    ngx_http_checkout_waiting_begin_with_body(w, clock);

    return NGX_DONE;
}


void
ngx_http_checkout_waiting_restart(ngx_http_checkout_waiting_t *w,
    ngx_http_checkout_clock_t *clock)
{
    /* what is armed before begin() would outlive a request that ends then */
    if (w->cleanup.handler == NULL) {
        return;
    }

    w->clock = clock;
    ngx_http_checkout_alarm_start(&w->whole, clock);
}


void
ngx_http_checkout_waiting_watch_client(ngx_http_checkout_waiting_t *w)
{
    ngx_event_t         *rev;
    ngx_http_request_t  *r;

    r = w->request;

    /* while nginx passes over a body, its handler is the one that reads */
    if (r != r->main || r->discard_body) {
        return;
    }

    r->read_event_handler = ngx_http_test_reading;
    rev = r->connection->read;

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);

    } else {
        (void) ngx_handle_read_event(rev, 0);
    }
}


void
ngx_http_checkout_waiting_on_gone(ngx_http_checkout_waiting_t *w,
    void (*handler)(void *data), void *data)
{
    w->on_gone = handler;
    w->data = data;
}


void
ngx_http_checkout_waiting_leave_time(ngx_http_checkout_waiting_t *w,
    ngx_http_checkout_alarm_t *alarm)
{
    ngx_http_checkout_alarm_move(&w->whole, alarm);
}


/* A time has run out.  The request may be freed when this returns. */
static void
ngx_http_checkout_waiting_late(ngx_http_checkout_waiting_t *w)
{
    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                   "checkout request: its time has run out");

    w->late = 1;

    if (w->kind != NULL) {
        w->kind->late(w->step);
    }
}


static void
ngx_http_checkout_waiting_whole(ngx_http_checkout_alarm_t *alarm)
{
    ngx_http_checkout_waiting_late(
        ngx_queue_data(alarm, ngx_http_checkout_waiting_t, whole));
}


static void
ngx_http_checkout_waiting_part(ngx_http_checkout_alarm_t *alarm)
{
    ngx_http_checkout_waiting_late(
        ngx_queue_data(alarm, ngx_http_checkout_waiting_t, part));
}


/* The request waits no longer: no step, no time, no clean-up. */
static void
ngx_http_checkout_waiting_end(ngx_http_checkout_waiting_t *w)
{
    ngx_http_checkout_waiting_answered(w);
    ngx_http_checkout_alarm_stop(&w->whole);
    w->clock = NULL;
    w->on_gone = NULL;
    w->cleanup.handler = NULL;
}


static void
ngx_http_checkout_waiting_gone(void *data)
{
    ngx_http_checkout_waiting_t  *w = data;

    void (*on_gone)(void *data);

    ngx_log_debug0(NGX_LOG_DEBUG_HTTP, w->request->connection->log, 0,
                   "checkout request: goes away");

    if (w->kind != NULL) {
        w->kind->gone(w->step);
    }

    on_gone = w->on_gone;
    ngx_http_checkout_waiting_end(w);

    if (on_gone != NULL) {
        on_gone(w->data);
    }
}


void
ngx_http_checkout_waiting_finish(ngx_http_checkout_waiting_t *w, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = w->request;
    c = r->connection;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "checkout request: is answered: %i", rc);

    if (!ngx_http_checkout_assert(w->begun && !w->finished)) {
        return;
    }

    w->finished = 1;
    ngx_http_checkout_waiting_end(w);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
