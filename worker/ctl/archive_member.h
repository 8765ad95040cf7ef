/*
 * A member of a gzip file (RFC 1952) that says how long it is: a file of several can be looked through without reading
 * it, and the end of one that a crash left unfinished is found. gzip and zcat read such a file as any other: members
 * behind each other are one text.
 *
 * The length stands in the extra field (RFC 1952, 2.3.1.1), subfield "NC": 4 bytes, little-endian, of the whole member.
 * Pure, but for memory.
 */
#ifndef CHECKOUT_WORKER_CTL_ARCHIVE_MEMBER_H
#define CHECKOUT_WORKER_CTL_ARCHIVE_MEMBER_H

#include <stddef.h>
#include <stdint.h>

#include "text/buffer.h"

#define ARCHIVE_MEMBER_HEADER 20 /* bytes; all that archive_member_length() reads */

/* Adds len bytes as one member to *out. Returns 0; or -1 without memory, or where it would be longer than 4 GB. */
int archive_member_add(struct buffer *out, const void *data, size_t len);

/*
 * Returns the length of the member that begins with these ARCHIVE_MEMBER_HEADER bytes, or 0: it was not made here.
 */
uint32_t archive_member_length(const unsigned char *header);

/* Returns 1 where the len bytes are the beginning of a member that was made here, as far as they tell, else 0. */
int archive_member_may_begin(const unsigned char *member, size_t len);

/* Returns 1 where the len bytes are one whole and undamaged member, else 0. Reads it all. */
int archive_member_is_whole(const unsigned char *member, size_t len);

#endif
