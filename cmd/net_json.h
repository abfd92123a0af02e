/*
 * net_json.h - what a receiver counts, as JSON: the same names for one that runs and one that is
 * simulated.
 */
#ifndef CMD_NET_JSON_H
#define CMD_NET_JSON_H

#include "json.h"

#include <takt/takt.h>

/* "counts", all but the packets that came. */
void net_json_counts(struct json *j, const struct takt_recv_counts *c);

/* null where nothing is known. */
void net_json_quantiles(struct json *j, const char *name, const struct takt_recv_quantiles *q);

#endif
