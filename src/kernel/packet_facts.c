// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/packet_facts.h"

#include "bpf/cursor.h"

/* Whether a header was asked for that the frame had and the capture does not have. The parser
 * passes nothing through to where it takes headers, so this cannot be a parameter. */
static _Thread_local bool ran_out;

static inline void *take_and_note(struct cursor *cursor, __u32 size)
{
    if (size <= cursor->left && cursor->pos + size > cursor->end)
        ran_out = true;
    return cursor_take(cursor, size);
}

/* From here on, in the parser's own text. */
#define cursor_take take_and_note

#include "bpf/parse.h"
#include "bpf/tunnels.h"

/* Here every sender might be: the caller has the list. */
static __always_inline bool is_trusted_sender(const struct tg_prefix *sender)
{
    (void)sender;
    return true;
}

static struct cursor cursor_on(const void *frame, __u32 readable, __u32 frame_bytes)
{
    ran_out = false;
    return (struct cursor){(void *)frame, (void *)frame + readable, frame_bytes};
}

/* Of the two hooks, egress is the one that takes a super-packet without a length. */
static const enum tg_hook lenient = TG_HOOK_EGRESS;

static struct packet_facts to_facts(struct packet *packet, enum tg_verdict refused)
{
    return (struct packet_facts){
        .ends =
            {
                .client = *sender_of(packet, lenient),
                .server = *receiver_of(packet, lenient),
                .client_port = packet->ends.server_port,
                .server_port = packet->ends.client_port,
            },
        .seq = packet->seq,
        .ack_seq = packet->ack_seq,
        .syn = packet->syn,
        .ack = packet->ack,
        .fin = packet->fin,
        .rst = packet->rst,
        .ipv6 = packet->ipv6,
        .ports_known = packet->ports_known,
        .ran_out = ran_out,
        .refused = refused,
    };
}

struct packet_facts find_packet_facts(const void *frame, __u32 readable, __u32 frame_bytes)
{
    struct cursor cursor = cursor_on(frame, readable, frame_bytes);
    struct packet packet = {};
    enum tg_verdict refused = parse_packet(&cursor, &packet, lenient);

    return to_facts(&packet, refused);
}

static struct tg_addr outer_sender(struct cursor cursor)
{
    const __be16 type = take_ethernet(&cursor);
    struct tg_addr sender = {};

    if (type == bpf_htons(ETH_P_IP))
        map_ipv4(&sender, ((const struct iphdr *)cursor.pos)->saddr);
    else
        __builtin_memcpy(&sender, &((const struct ipv6hdr *)cursor.pos)->saddr, sizeof(sender));
    return sender;
}

bool find_tunnel_facts(const void *frame, __u32 readable, __u32 frame_bytes, struct tg_addr *sender,
                       struct packet_facts *facts)
{
    struct cursor cursor = cursor_on(frame, readable, frame_bytes);
    const __u32 tunnel = find_tunnel(cursor);
    struct packet packet = {};
    enum tg_verdict refused;

    if (!tunnel)
        return false;
    *sender = outer_sender(cursor);
    if (!cursor_take(&cursor, tunnel & TUNNEL_BYTES))
        return false;
    refused = parse_ip(&cursor, &packet,
                       tunnel & TUNNEL_IPV6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP), lenient);
    *facts = to_facts(&packet, refused);
    return true;
}
