/*
 * A time-out for each of many requests, with one timer for all of them.
 *
 * There is one clock for each distinct time-out, made with the
 * configuration.  Its alarms are armed for the same time, so its list is in
 * the order of the deadlines, and one timer, set for the first, serves all.
 * Each function takes constant time, and none blocks.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_CLOCK_H
#define NGX_HTTP_CHECKOUT_REQUEST_CLOCK_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct ngx_http_checkout_alarm_s  ngx_http_checkout_alarm_t;

typedef struct {
    ngx_msec_t   timeout;  /* of all its alarms, ms */
    ngx_queue_t  alarms;   /* armed, the next one first */
    ngx_event_t  timer;
} ngx_http_checkout_clock_t;

/*
 * Called once when the time of an alarm has run out.  The alarm is stopped
 * by then: the handler may start it again, or free what it stands in.
 */
typedef void (*ngx_http_checkout_alarm_pt)(ngx_http_checkout_alarm_t *alarm);

/* Part of what waits; zeroed memory is an alarm that is not armed. */
struct ngx_http_checkout_alarm_s {
    ngx_queue_t                  queue;     /* in its clock, while armed */
    ngx_msec_t                   deadline;  /* as ngx_current_msec */
    ngx_http_checkout_clock_t   *clock;     /* NULL: not armed */
    ngx_http_checkout_alarm_pt   handler;   /* set it before it is armed */
};


/* At the start of a worker process, once clock->timeout is set. */
void ngx_http_checkout_clock_init(ngx_http_checkout_clock_t *clock);

/* Arms an alarm; one that is armed begins anew. */
void ngx_http_checkout_alarm_start(ngx_http_checkout_alarm_t *alarm,
    ngx_http_checkout_clock_t *clock);

/* Arms an alarm whose time is over: it rings soon, from an event. */
void ngx_http_checkout_alarm_start_late(ngx_http_checkout_alarm_t *alarm,
    ngx_http_checkout_clock_t *clock);

/*
 * Does nothing to an alarm that is not armed.  What an armed alarm stands in
 * must not be freed before.
 */
void ngx_http_checkout_alarm_stop(ngx_http_checkout_alarm_t *alarm);

/*
 * `to`, which is not armed, rings in place of `from`, at the same moment.
 * Does nothing if `from` is not armed.
 */
void ngx_http_checkout_alarm_move(ngx_http_checkout_alarm_t *from,
    ngx_http_checkout_alarm_t *to);


#endif
