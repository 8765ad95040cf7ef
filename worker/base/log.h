/*
 * The log: one line per event in logfmt, to standard error or to a file.
 *
 * The caller writes the fields (event=stock_pushed product=17); the time and the level stand before them.
 * Text from outside goes between double quotes and must come through log_clean() first. A secret is never
 * given to it. Safe to call from every thread.
 */
#ifndef CHECKOUT_WORKER_BASE_LOG_H
#define CHECKOUT_WORKER_BASE_LOG_H

#include "text/log_text.h"

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR
};

#define LOG_LINE_MAX 2048 /* longer lines are cut */

/* path NULL or "": standard error. Returns 0, or -1 with errno set, and the log stays where it was. */
int log_open(const char *path, enum log_level level);

/* Lines below that level are no longer written. May be called while other threads log. */
void log_set_level(enum log_level level);

/* Opens the file again under the same path, after a log rotation renamed it. Where that fails the old file stays. */
void log_reopen(void);

/* Writes one line: format and arguments are printf(3)'s, without a line feed. Blocks while the line is written. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)

#endif
