/*
 * device/file_ogg.h - makes whole Ogg pages (RFC 3533) of an encoder's bytes, however it splits
 * them, so that a page reaches its file in one piece or not at all.
 *
 * An encoder gives each stream a number by chance. Where a run has to be repeated byte by byte,
 * the pages get a number that was chosen instead.
 * Thread: one at a time. RT: no.
 */
#ifndef TAKT_DEVICE_FILE_OGG_H
#define TAKT_DEVICE_FILE_OGG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TAKT_OGG_PAGE_BYTES_MAX = 27 + 255 + 255 * 255 };

/* All zeros is a beginning. */
struct takt_ogg {
    bool renumber;
    uint32_t serial; /* with renumber */
    size_t bytes;    /* of the page, so far */
    unsigned char page[TAKT_OGG_PAGE_BYTES_MAX];
};

/* Calls take for each page that is completed by these bytes. Returns 0, or the errno that take
 * returned, or EBADMSG for what is no Ogg; the rest is then left out. */
int takt_ogg_feed(struct takt_ogg *o, const void *from, size_t bytes,
                  int (*take)(void *arg, const void *page, size_t bytes), void *arg);

#endif
