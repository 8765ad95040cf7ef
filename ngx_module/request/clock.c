/*
 * Each request's own time-out, without a timer of its own.
 *
 * There is one clock for each distinct checkout_timeout. Its alarms have the same time-out, so a list in
 * order of arrival is in order of deadline, and one timer, armed for the head, serves them all. Starting
 * and stopping an alarm costs a list operation. An alarm belongs to what embeds it; it must be stopped
 * before that is freed. The alarm is off the list when its handler runs, and the handler may free it.
 */
#include "request/clock.h"



static void
ngx_http_checkout_clock_ring(ngx_event_t *ev)
{
    ngx_queue_t                *q;
    ngx_msec_int_t              left;
    ngx_http_checkout_alarm_t  *alarm;
    ngx_http_checkout_clock_t  *clock;

    clock = ev->data;

    while (!ngx_queue_empty(&clock->alarms)) {
        q = ngx_queue_head(&clock->alarms);
        alarm = ngx_queue_data(q, ngx_http_checkout_alarm_t, queue);

        left = (ngx_msec_int_t) (alarm->deadline - ngx_current_msec);

        if (left > 0) {
            ngx_add_timer(&clock->timer, (ngx_msec_t) left);
            return;
        }

        ngx_http_checkout_clock_stop(clock, alarm);
        alarm->handler(alarm);
    }
}


void
ngx_http_checkout_clock_init(ngx_http_checkout_clock_t *clock)
{
    ngx_queue_init(&clock->alarms);

    clock->timer.handler = ngx_http_checkout_clock_ring;
    clock->timer.data = clock;
    clock->timer.log = ngx_cycle->log;
    clock->timer.cancelable = 1;
}


void
ngx_http_checkout_clock_start(ngx_http_checkout_clock_t *clock, ngx_http_checkout_alarm_t *alarm)
{
    alarm->deadline = ngx_current_msec + clock->timeout;
    alarm->armed = 1;
    ngx_queue_insert_tail(&clock->alarms, &alarm->queue);

    /* A worker that is told to exit waits for what is not cancelable: for requests, not for an idle clock. */
    clock->timer.cancelable = 0;

    if (!clock->timer.timer_set) {
        ngx_add_timer(&clock->timer, clock->timeout);
    }
}


void
ngx_http_checkout_clock_stop(ngx_http_checkout_clock_t *clock, ngx_http_checkout_alarm_t *alarm)
{
    if (!alarm->armed) {
        return;
    }

    alarm->armed = 0;
    ngx_queue_remove(&alarm->queue);

    if (ngx_queue_empty(&clock->alarms)) {
        clock->timer.cancelable = 1;
    }
}
