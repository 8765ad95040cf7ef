/*
 * Telling systemd how the service stands: the protocol of sd_notify(3), one datagram to the socket that
 * NOTIFY_SOCKET names. It is spoken here and not through libsystemd, so that a unit of Type=notify works with
 * every build. Without that variable nothing happens.
 */
#ifndef CHECKOUT_WORKER_BASE_SYSTEMD_H
#define CHECKOUT_WORKER_BASE_SYSTEMD_H

/* Remembers the socket and takes the variable away from child processes. To be called before the first thread. */
void systemd_prepare(void);

/* state: "READY=1", "STOPPING=1", "STATUS=…", several divided by line feeds. */
void systemd_notify(const char *state);

/* "RELOADING=1" with the time that systemd wants beside it; "READY=1" ends it. */
void systemd_notify_reloading(void);

#endif
