/*
 * /healthz, /readyz and /metrics over HTTP, by libmicrohttpd with one thread of its own.
 */
#ifndef CHECKOUT_WORKER_OBSERVE_HTTP_SERVER_H
#define CHECKOUT_WORKER_OBSERVE_HTTP_SERVER_H

#include "observe/monitor.h"

struct MHD_Daemon;

struct http {
    struct MHD_Daemon *daemon;     /* NULL: closed */
    int complained;                /* that the address cannot be had: said once */
};

/*
 * Listens, when it does not yet. address: IPv4:port or [IPv6]:port; empty: nothing to do. Returns 1 when nothing is
 * left to do, 0 when the address cannot be had now (another worker has it): orders matter more than metrics,
 * so the caller goes on, and tries again from time to time.
 */
int http_open(struct http *http, struct monitor *monitor, const char *address);

void http_close(struct http *http);

/* Reads an address into an IPv4 or IPv6 socket address. Returns its length, or 0 for a text that is none. */
unsigned http_address(const char *text, void *out, unsigned size);

#endif
