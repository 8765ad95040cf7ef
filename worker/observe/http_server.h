/*
 * /healthz, /readyz and /metrics over HTTP, by libmicrohttpd in one thread of its own, which takes all of its answers
 * from the monitor and thus never waits for Redis or MySQL.
 *
 * Only the main thread calls these functions. They block for the start and end of libmicrohttpd's thread only.
 */
#ifndef CHECKOUT_WORKER_OBSERVE_HTTP_SERVER_H
#define CHECKOUT_WORKER_OBSERVE_HTTP_SERVER_H

#include "observe/monitor.h"

struct MHD_Daemon;

/* Zero-initialised is closed. */
struct http_server {
    struct MHD_Daemon *daemon; /* owned; NULL: closed */
    int warned;                /* the log holds already that the address cannot be had */
};

/*
 * Listens, unless it does already. address: "IPv4:port" or "[IPv6]:port"; empty: metrics are not wanted. monitor: must
 * stay until http_server_close(). Returns 1 when nothing is left to do, 0 when the address cannot be had now (another
 * worker has it, or it is no address of this host): orders matter more than metrics, so the caller goes on and tries
 * again from time to time.
 */
int http_server_open(struct http_server *server, struct monitor *monitor, const char *address);

/* Ends the answers under way and the thread. Does nothing where it is closed. */
void http_server_close(struct http_server *server);

#endif
