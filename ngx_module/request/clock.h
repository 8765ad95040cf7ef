/*
 * Each request's own time-out, without a timer of its own.
 */
#ifndef NGX_HTTP_CHECKOUT_REQUEST_CLOCK_H
#define NGX_HTTP_CHECKOUT_REQUEST_CLOCK_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>



typedef struct ngx_http_checkout_alarm_s  ngx_http_checkout_alarm_t;

typedef void (*ngx_http_checkout_alarm_pt)(ngx_http_checkout_alarm_t *alarm);

struct ngx_http_checkout_alarm_s {
    ngx_queue_t                  queue;      /* in its clock, while armed */
    ngx_msec_t                   deadline;
    ngx_http_checkout_alarm_pt   handler;
    unsigned                     armed:1;
};

/* All alarms of a clock have the same time-out, so they stand in the order of their deadlines. */
typedef struct {
    ngx_msec_t                   timeout;
    ngx_queue_t                  alarms;
    ngx_event_t                  timer;
} ngx_http_checkout_clock_t;

void ngx_http_checkout_clock_init(ngx_http_checkout_clock_t *clock);
void ngx_http_checkout_clock_start(ngx_http_checkout_clock_t *clock, ngx_http_checkout_alarm_t *alarm);
void ngx_http_checkout_clock_stop(ngx_http_checkout_clock_t *clock, ngx_http_checkout_alarm_t *alarm);


#endif
