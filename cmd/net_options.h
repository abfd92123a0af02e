/*
 * net_options.h - what send and recv are told beside the options of all verbs, and the key that is
 * named among them.
 */
#ifndef CMD_NET_OPTIONS_H
#define CMD_NET_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <takt/takt.h>

struct options;

/* 0 and NULL: nobody said. */
struct net_options {
    const char *codec;
    double packet_ms;
    uint32_t bit_rate;
    bool low_delay, no_fec;
    enum takt_send_depth copies, repair;
    uint32_t copies_fixed, repair_data, repair_fixed;
    const char *key_file, *passphrase_file;
    bool passphrase; /* the environment's */
    double rotate_s;
    bool plain, bare, sdes, sap, mux, silent;
    const char *sdp, *name, *from, *sender;
    uint32_t hops;
    int dscp;
    const char *formats[TAKT_RECV_FORMATS_MAX];
    uint32_t formats_count, sources_max;
    double late_ratio, latency_ms, latency_ms_max;
    enum takt_sample raw; /* of frames on stdin or stdout */
};

/* One option by the name that tells them apart, "ptime"; name is what was written, "--ptime".
 * Sets *is_mine; then 0, or EXIT_USAGE after saying why. */
int net_option_take(struct options *o, const char *key, const char *name, const char *v,
                    bool *is_mine);

/* The key that is named, if one is. 0, or an exit status after saying why: two of them, no such
 * file. The caller wipes it. */
int net_key_read(const struct options *o, struct takt_key *key, bool *has_key);

#endif
