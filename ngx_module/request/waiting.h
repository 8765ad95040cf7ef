/*
 * A request that waits: its place in r->main->count, its time, and its
 * client, who may leave.
 *
 * One object does it for each request, however many steps there are: an
 * order at the gate, a read of Redis, a job of MySQL, and again Redis.
 *
 *     init        with the request's context, in which it stands
 *     ask         a step begins
 *     begin       the handler returns, and the request waits; once
 *     answered    the step is over; then another ask, or finish
 *     finish      the request is answered, and its place is given back; once
 *
 * A step is an object of its own: an order, a script call, a job.  It holds a
 * pointer to the waiting request from ask() until it calls answered(), or
 * until gone() is called, and none after that.  It may live longer.  A step
 * never calls back from within ask(), so begin() may follow the first ask(),
 * as well as precede it.
 *
 * Everything here belongs to the event loop, takes constant time, allocates
 * nothing and cannot fail.  Functions that may free the request say so.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_WAITING_H
#define NGX_HTTP_CHECKOUT_REQUEST_WAITING_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "request/clock.h"


/* What a kind of step has to do when the request cannot wait any longer. */
typedef struct {
    /*
     * The time of the step, or of the request, has run out: called at most
     * once for each of the two.  The step answers the request, at once or
     * soon, as far as it can, and calls answered() before.  The request may be
     * freed when this returns.
     */
    void (*late)(void *step);

    /*
     * The request goes away unanswered: its client has left, or nginx ends
     * it.  The step forgets it, and does not call answered().  The alarms are
     * still armed: see ngx_http_checkout_waiting_leave_time().
     */
    void (*gone)(void *step);
} ngx_http_checkout_step_t;

typedef struct {
    ngx_http_request_t              *request;

    /* of this file */
    ngx_http_checkout_alarm_t        whole;  /* the request's time */
    /* the step's, if that has less */
    ngx_http_checkout_alarm_t        part;
    ngx_http_checkout_clock_t       *clock;  /* of the whole; or NULL */
    const ngx_http_checkout_step_t  *kind;   /* NULL: nobody is asked */
    void                            *step;
    void                           (*on_gone)(void *data);  /* or NULL */
    void                            *data;
    ngx_http_cleanup_t               cleanup;  /* in r->main->cleanup */

    /* a time has run out; others only read it */
    unsigned                         late:1;
    /* of this file */
    unsigned                         begun:1;
    unsigned                         finished:1;
} ngx_http_checkout_waiting_t;


/* w: zeroed memory that lives as long as the request. */
void ngx_http_checkout_waiting_init(ngx_http_checkout_waiting_t *w,
    ngx_http_request_t *r);

/*
 * A step begins; none is under way.  kind: of static memory.  clock: the time
 * of this step; NULL where it has as much as the request.  Where the request's
 * own time has run out before, the step is late at once: late() follows within
 * 1 ms or so, from an event.
 */
void ngx_http_checkout_waiting_ask(ngx_http_checkout_waiting_t *w,
    const ngx_http_checkout_step_t *kind, void *step,
    ngx_http_checkout_clock_t *clock);

/* The step is over.  Does nothing when there is none. */
void ngx_http_checkout_waiting_answered(ngx_http_checkout_waiting_t *w);

/*
 * The request waits from now on: r->main->count grows by one, as for each
 * handler that goes on later.  For a content handler; it returns what this
 * returns, which is NGX_DONE.  clock: the time that the request has; NULL: as
 * much as it wants.
 */
ngx_int_t ngx_http_checkout_waiting_begin(ngx_http_checkout_waiting_t *w,
    ngx_http_checkout_clock_t *clock);

/*
 * The same for the handler of a body that nginx has read: reading it has taken
 * a place in r->main->count already, and that one is kept.
 */
void ngx_http_checkout_waiting_begin_with_body(ngx_http_checkout_waiting_t *w,
    ngx_http_checkout_clock_t *clock);

/*
 * The request has the whole of a time again, from now on.  Does nothing before
 * begin(), which gives it its time.
 */
void ngx_http_checkout_waiting_restart(ngx_http_checkout_waiting_t *w,
    ngx_http_checkout_clock_t *clock);

/*
 * nginx looks from now on whether the client is still there, and ends the
 * request when it is not.  After begin(), for a request without a body: what
 * the client sends is not read meanwhile.  Does nothing in a subrequest, and
 * while nginx passes over a body.
 *
 * Only requests of "checkout_query" are watched.  Without this call, as for
 * all requests with a body, nobody notices that a client has closed its
 * connection: the request waits on, and its answer is written in vain.  gone()
 * is then called only where nginx ends the request for a reason of its own.
 */
void ngx_http_checkout_waiting_watch_client(ngx_http_checkout_waiting_t *w);

/*
 * Whoever else wants to know, beside the step: handler(data) is called when
 * the request goes away unanswered, after the step's gone().  One at most.
 */
void ngx_http_checkout_waiting_on_gone(ngx_http_checkout_waiting_t *w,
    void (*handler)(void *data), void *data);

/*
 * For gone(): the request's time goes on for what outlives it.  `alarm` rings
 * when the request's would have; never, where the request had no time.
 */
void ngx_http_checkout_waiting_leave_time(ngx_http_checkout_waiting_t *w,
    ngx_http_checkout_alarm_t *alarm);

/*
 * The end of the wait.  rc: what the response's sending returned, or a status
 * for nginx to answer with.  The request may be freed when this returns.  Not
 * from within a content handler, which returns rc instead.
 */
void ngx_http_checkout_waiting_finish(ngx_http_checkout_waiting_t *w,
    ngx_int_t rc);


#endif
