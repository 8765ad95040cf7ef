/*
 * Status messages to systemd: the protocol of sd_notify(3), one datagram to the socket that
 * NOTIFY_SOCKET names. It is written here and not taken from libsystemd, so that a unit of Type=notify works with
 * every build. Without that variable no function does anything. None blocks.
 */
#ifndef CHECKOUT_WORKER_BASE_SYSTEMD_H
#define CHECKOUT_WORKER_BASE_SYSTEMD_H

/* Reads the variable and removes it from the environment of child processes. For main(), before the first thread. */
void systemd_prepare(void);

/* Sends a message. state: "READY=1", "STOPPING=1", "STATUS=…", several divided by line feeds; not NULL. */
void systemd_notify(const char *state);

/* Sends "RELOADING=1" with MONOTONIC_USEC, as sd_notify(3) wants it; "READY=1" ends the reload. */
void systemd_notify_reloading(void);

#endif
