/*
 * A time-out for each of many requests, with one timer for all of them.
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

        ngx_http_checkout_alarm_stop(alarm);
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
ngx_http_checkout_alarm_start(ngx_http_checkout_alarm_t *alarm,
    ngx_http_checkout_clock_t *clock)
{
    ngx_http_checkout_alarm_stop(alarm);

    alarm->deadline = ngx_current_msec + clock->timeout;
    alarm->clock = clock;
    ngx_queue_insert_tail(&clock->alarms, &alarm->queue);

    /*
     * A worker process that is told to exit waits for timers that are not
     * cancelable: for requests, but not for a clock without alarms.
     */
    clock->timer.cancelable = 0;

    if (!clock->timer.timer_set) {
        ngx_add_timer(&clock->timer, clock->timeout);
    }
}


void
ngx_http_checkout_alarm_start_late(ngx_http_checkout_alarm_t *alarm,
    ngx_http_checkout_clock_t *clock)
{
    ngx_http_checkout_alarm_stop(alarm);

    alarm->deadline = ngx_current_msec;
    alarm->clock = clock;
    ngx_queue_insert_head(&clock->alarms, &alarm->queue);

    clock->timer.cancelable = 0;

    if (clock->timer.timer_set) {
        ngx_del_timer(&clock->timer);
    }

    ngx_add_timer(&clock->timer, 1);
}


void
ngx_http_checkout_alarm_stop(ngx_http_checkout_alarm_t *alarm)
{
    ngx_http_checkout_clock_t  *clock;

    clock = alarm->clock;

    if (clock == NULL) {
        return;
    }

    alarm->clock = NULL;
    ngx_queue_remove(&alarm->queue);

    if (ngx_queue_empty(&clock->alarms)) {
        clock->timer.cancelable = 1;
    }
}


void
ngx_http_checkout_alarm_move(ngx_http_checkout_alarm_t *from,
    ngx_http_checkout_alarm_t *to)
{
    if (from->clock == NULL) {
        return;
    }

    to->deadline = from->deadline;
    to->clock = from->clock;
    ngx_queue_insert_head(&from->queue, &to->queue); /* right behind it */

    from->clock = NULL;
    ngx_queue_remove(&from->queue);
}
