/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a frame says of itself, by the gate's own parser: bpf/parse.h and bpf/tunnels.h, compiled
 * a second time for this side of the kernel, so that there is no second parser to keep in step.
 */
#pragma once

#include <stdbool.h>
#include <tallygate/abi.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The facts of a TCP packet. Numbers are in host order, the ends in network order. */
struct packet_facts {
    struct tg_flow_key ends; /* the sender as the client, the receiver as the server */
    __u32 seq;
    __u32 ack_seq;
    bool syn;
    bool ack;
    bool fin;
    bool rst;
    bool ipv6;
    bool ports_known;        /* without it, the ends mean nothing */
    bool ran_out;            /* a header lies beyond what is readable: all this may be wrong */
    enum tg_verdict refused; /* what the parser says against it; TG_UNDECIDED: nothing */
};

/*
 * `frame_bytes` is its length on the wire, of which we have the first `readable` bytes. The frame
 * stands two bytes after a multiple of four, so that its IP header stands on one.
 */
struct packet_facts find_packet_facts(const void *frame, __u32 readable, __u32 frame_bytes);

/*
 * The packet inside of a tunnel. False if the frame is none of those that the gate opens for a
 * sender that it trusts; whether it trusts this one is for the caller to know.
 */
bool find_tunnel_facts(const void *frame, __u32 readable, __u32 frame_bytes, struct tg_addr *sender,
                       struct packet_facts *facts);

#ifdef __cplusplus
}
#endif
