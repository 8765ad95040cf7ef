#include "ctl/archive_member.h"

#include <string.h>
#include <zlib.h>

#define TRAILER 8   /* bytes: CRC-32, and the length of the text modulo 2^32 */
#define RAW     -15 /* zlib's window bits of a stream without header and trailer */
#define EXTRA   4   /* the flag: there is an extra field */

/* ID1 ID2 CM FLG, MTIME, XFL OS, XLEN, subfield ID and its length; the member's length follows. */
static const unsigned char head[ARCHIVE_MEMBER_HEADER - 4] = {
    0x1f, 0x8b, 8, EXTRA, 0, 0, 0, 0, 0, 3, 8, 0, 'N', 'C', 4, 0
};


static void
put_number(unsigned char *at, uint32_t number)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char) (number >> (8 * i));
    }
}


static uint32_t
get_number(const unsigned char *at)
{
    return (uint32_t) at[0] | (uint32_t) at[1] << 8 | (uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
}


/* Compresses behind the header. Returns the bytes that were written, or 0. */
static size_t
deflate_into(unsigned char *out, size_t size, const void *data, size_t len)
{
    z_stream stream = { .next_in = (Bytef *) data, .avail_in = (uInt) len, .next_out = out, .avail_out = (uInt) size };

    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, RAW, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }

    int end = deflate(&stream, Z_FINISH);
    size_t written = size - stream.avail_out;

    (void) deflateEnd(&stream);
    return end == Z_STREAM_END ? written : 0;
}


int
archive_member_add(struct buffer *out, const void *data, size_t len)
{
    size_t most = compressBound((uLong) len) + 64;

    if (len > UINT32_MAX / 2 || buffer_reserve(out, ARCHIVE_MEMBER_HEADER + most + TRAILER) == -1) {
        return -1;
    }

    unsigned char *member = (unsigned char *) out->data + out->len;
    size_t written = deflate_into(member + ARCHIVE_MEMBER_HEADER, most, data, len);
    size_t whole = ARCHIVE_MEMBER_HEADER + written + TRAILER;

    if (written == 0) {
        return -1;
    }

    memcpy(member, head, sizeof(head));
    put_number(member + sizeof(head), (uint32_t) whole);
    put_number(member + whole - TRAILER, (uint32_t) crc32(0, data, (uInt) len));
    put_number(member + whole - 4, (uint32_t) len);
    out->len += whole;
    out->data[out->len] = '\0';
    return 0;
}


uint32_t
archive_member_length(const unsigned char *header)
{
    uint32_t length = get_number(header + sizeof(head));

    return memcmp(header, head, sizeof(head)) == 0 && length > ARCHIVE_MEMBER_HEADER + TRAILER ? length : 0;
}


int
archive_member_may_begin(const unsigned char *member, size_t len)
{
    return memcmp(member, head, len < sizeof(head) ? len : sizeof(head)) == 0;
}


int
archive_member_is_whole(const unsigned char *member, size_t len)
{
    unsigned char part[16384];
    uLong sum = crc32(0, NULL, 0);
    uint32_t size = 0;
    int state = Z_OK;

    if (len < ARCHIVE_MEMBER_HEADER + TRAILER || archive_member_length(member) != len) {
        return 0;
    }

    z_stream stream = { .next_in = (Bytef *) member + ARCHIVE_MEMBER_HEADER,
                        .avail_in = (uInt) (len - ARCHIVE_MEMBER_HEADER - TRAILER) };

    if (inflateInit2(&stream, RAW) != Z_OK) {
        return 0;
    }

    while (state == Z_OK) {
        stream.next_out = part;
        stream.avail_out = sizeof(part);
        state = inflate(&stream, Z_NO_FLUSH);
        sum = crc32(sum, part, (uInt) (sizeof(part) - stream.avail_out));
        size += (uint32_t) (sizeof(part) - stream.avail_out);
    }

    int left = stream.avail_in > 0;

    (void) inflateEnd(&stream);
    return state == Z_STREAM_END && !left && get_number(member + len - TRAILER) == (uint32_t) sum
           && get_number(member + len - 4) == size;
}
