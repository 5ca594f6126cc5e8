// SPDX-License-Identifier: BSD-2-Clause
/*
 * The gate. A packet is parsed, judged by one stage after another, and recorded once.
 *
 *     bytes -> parse_packet -> facts -> judge -> verdict -> harden -> record -> action
 *
 * But for a SYN whose client was rejected just now: its verdict is the one before (rejections.h).
 *
 * The same judge serves both hooks: ingress is XDP (or tc where XDP cannot be had) and sees
 * what clients send, egress is tc and sees what our server answers.
 *
 *     parse.h     bytes to facts              syn.h       a SYN: counted, and held to limits
 *     services.h  is it ours, can it be       limits.h    rates and live counts, and whose
 *     lists.h     allowed, blocked            claims.h    sources that may be forged
 *     tallies.h   services and networks       sources.h   sources that have proven themselves
 *     tunnels.h   what a balancer sends us    prefixes.h  SYNs of every /24, exact
 *     pending.h   which ACK proves            repeats.h   what gathers on one CPU
 *     flows.h     open, follow, close         batches.h   what waits there for the tables
 *     maps.h      every table                 injected.h  what replay puts for the machine
 *     hints.h     is a table worth a look     abi.h       every layout the daemon shares
 *
 * Beside the packets, run by the daemon: reconcile.bpf.c compares the flows with the kernel's
 * sockets, explain.bpf.c tells what would happen to a SYN.
 */
#include <linux/bpf.h>

#include <linux/pkt_cls.h>

#include "flows.h"
#include "maps.h"
#include "parse.h"
#include "senders.h"
#include "services.h"
#include "sources.h"
#include "syn.h"
#include "tunnels.h"

/* Set before loading, where the kernel has the helper and takes XDP programs for large frames. */
const volatile bool has_fragments = false;

/* Whatever a blocked client sends, when that is enforced. */
static __always_inline bool is_dropped_by_list(const struct tg_addr *client)
{
    const struct tg_settings *settings = find_settings();
    struct tg_listed listed;
    __u64 now;

    if (!settings || !settings->lists_configured || settings->mode != TG_MODE_ENFORCE ||
        !is_hinted(TG_HINT_LISTS, client))
        return false;
    now = now_ns();
    listed = find_listed(settings, client);
    return is_enforcing(settings, now) && is_blocked(&listed, now);
}

/* A client's packet to a service. */
static __always_inline enum tg_verdict judge_client(const struct packet *packet,
                                                    const struct tg_flow_key *ends, __u16 service)
{
    struct tg_flow *flow;
    __u64 state = 0;

    if (is_bogon(ends, packet->ipv6))
        return TG_PASS_BOGON;
    if (is_dropped_by_list(&ends->client))
        return TG_DROP_BLOCKED;
    if (packet->syn)
        return TG_PASS_SYN_ACK_IN; /* a SYN alone is judge_syn's */

    flow = find_flow(ends, &state);
    if (flow)
        return follow_client(packet, ends, flow, state);
    return packet->rst ? TG_PASS_UNKNOWN_FLOW : open_flow(packet, ends, service);
}

/* A service's packet to a client. Nothing opens here: a banner may leave after the RST came. */
static __always_inline enum tg_verdict judge_server(const struct packet *packet,
                                                    const struct tg_flow_key *ends)
{
    __u64 state = 0;
    struct tg_flow *flow = find_flow(ends, &state);

    if (packet->syn)
        return packet->ack ? answer_syn(packet, ends, flow, state) : TG_PASS_UNKNOWN_FLOW;
    return flow ? follow_server(packet, ends, flow, state) : TG_PASS_UNKNOWN_FLOW;
}

/* Of a service that is no longer configured: what is open is followed to its end. */
static __always_inline enum tg_verdict
judge_leaving(const struct packet *packet, const struct tg_flow_key *ends, enum tg_hook hook)
{
    __u64 state = 0;
    struct tg_flow *flow = packet->syn ? NULL : find_flow(ends, &state);

    if (!flow)
        return TG_PASS_NOT_WATCHED;
    return hook == TG_HOOK_INGRESS ? follow_client(packet, ends, flow, state)
                                   : follow_server(packet, ends, flow, state);
}

/*
 * Functions of their own, and global, so that the verifier looks at each once: inlined, every
 * way through the parser would be followed through everything that comes after it. The ends
 * are copied because kernels of 6.1 and before take a table's key from the stack alone.
 */
__noinline enum tg_verdict judge_ingress(const struct packet *packet, __u32 service)
{
    struct tg_flow_key ends;

    if (!packet)
        return TG_PASS_UNPARSED;
    ends = packet->ends;
    return service & TG_LEAVING ? judge_leaving(packet, &ends, TG_HOOK_INGRESS)
                                : judge_client(packet, &ends, service);
}

__noinline enum tg_verdict judge_egress(const struct packet *packet, __u32 service)
{
    struct tg_flow_key ends;

    if (!packet)
        return TG_PASS_UNPARSED;
    ends = packet->ends;
    return service & TG_LEAVING ? judge_leaving(packet, &ends, TG_HOOK_EGRESS)
                                : judge_server(packet, &ends);
}

/* `parsed` is what the parser said against the packet, if anything. */
static __always_inline enum tg_verdict judge(const struct packet *packet, enum tg_verdict parsed,
                                             enum tg_hook hook)
{
    __u32 service = packet->ports_known ? find_service(&packet->ends) : 0;

    if (packet->ports_known && (!service || (parsed != TG_UNDECIDED && service & TG_LEAVING)))
        return TG_PASS_NOT_WATCHED;
    if (parsed != TG_UNDECIDED)
        return parsed;
    if (hook == TG_HOOK_INGRESS && packet->syn && !packet->ack && !(service & TG_LEAVING))
        return judge_syn(packet, service);
    return hook == TG_HOOK_INGRESS ? judge_ingress(packet, service) : judge_egress(packet, service);
}

/* The facts of what clients send, which may come in a tunnel. */
static __always_inline enum tg_verdict parse_ingress(struct cursor cursor, struct packet *packet)
{
    struct cursor inner = cursor;
    enum tg_verdict verdict = parse_packet(&cursor, packet, TG_HOOK_INGRESS);
    __u32 tunnel;

    if (verdict != TG_PASS_NOT_TCP)
        return verdict;
    tunnel = forget(find_tunnel(inner));
    if (!tunnel || !cursor_take(&inner, tunnel & TUNNEL_BYTES))
        return verdict;
    *packet = (struct packet){};
    return parse_ip(&inner, packet,
                    tunnel & TUNNEL_IPV6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP),
                    TG_HOOK_INGRESS);
}

/* In strict mode a bad packet's verdict becomes its DROP_ twin. */
static __always_inline enum tg_verdict harden(enum tg_verdict verdict)
{
    const struct tg_settings *settings;

    _Static_assert(TG_DROP_BOGON - TG_DROP_MALFORMED == TG_PASS_BOGON - TG_PASS_MALFORMED,
                   "the twins stand in the same order");
    if (verdict < TG_PASS_MALFORMED || verdict > TG_PASS_BOGON)
        return verdict;
    settings = find_settings();
    if (!settings || !settings->strict || !is_enforcing(settings, now_ns()))
        return verdict;
    return verdict - TG_PASS_MALFORMED + TG_DROP_MALFORMED;
}

/* Every packet is counted here, once, under the reason it left for; but for those that are rejected
 * again, which move_rejected() counts. */
static __always_inline enum tg_verdict record(enum tg_verdict verdict, enum tg_hook hook)
{
    __u64 *count = find_verdict_count(hook, verdict);

    if (count)
        (*count)++;
    show_verdict(verdict);
    return verdict;
}

static __always_inline struct cursor xdp_cursor(struct xdp_md *ctx)
{
    void *data = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    __u32 bytes = has_fragments ? bpf_xdp_get_buff_len(ctx) : end - data;

    return (struct cursor){data, end, frame_bytes(bytes)};
}

static __always_inline struct cursor tc_cursor(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data;
    void *end = (void *)(long)skb->data_end;

    return (struct cursor){data, end, frame_bytes(skb->len)};
}

/* From clients to our services. */
static __always_inline enum tg_verdict guard_ingress(struct cursor cursor)
{
    struct packet packet = {};
    enum tg_verdict parsed = parse_ingress(cursor, &packet);
    enum tg_verdict verdict = TG_UNDECIDED;

    if (parsed == TG_UNDECIDED && packet.syn && !packet.ack)
        verdict = reject_again(&packet.ends, packet.ipv6);
    if (verdict) {
        show_verdict(verdict);
        return verdict;
    }
    return record(harden(judge(&packet, parsed, TG_HOOK_INGRESS)), TG_HOOK_INGRESS);
}

/* From our services to clients. What our own server sends is never dropped. */
static __always_inline void watch_egress(struct cursor cursor)
{
    struct packet packet = {};
    enum tg_verdict parsed = parse_packet(&cursor, &packet, TG_HOOK_EGRESS);

    record(judge(&packet, parsed, TG_HOOK_EGRESS), TG_HOOK_EGRESS);
}

SEC("xdp")
int gate_xdp(struct xdp_md *ctx)
{
    return tg_verdict_drops(guard_ingress(xdp_cursor(ctx))) ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int gate_tc_ingress(struct __sk_buff *skb)
{
    /* Headers may lie outside of what tc can read; those of 256 bytes we can ask for. */
    bpf_skb_pull_data(skb, skb->len < 256 ? skb->len : 256);
    return tg_verdict_drops(guard_ingress(tc_cursor(skb))) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

SEC("tc")
int gate_tc_egress(struct __sk_buff *skb)
{
    watch_egress(tc_cursor(skb));
    return TC_ACT_UNSPEC;
}

/* A gateway's inner card: what comes in there goes out to clients. */
SEC("xdp")
int gate_xdp_inside(struct xdp_md *ctx)
{
    watch_egress(xdp_cursor(ctx));
    return XDP_PASS;
}

SEC("tc")
int gate_tc_inside(struct __sk_buff *skb)
{
    bpf_skb_pull_data(skb, skb->len < 256 ? skb->len : 256);
    watch_egress(tc_cursor(skb));
    return TC_ACT_UNSPEC;
}

char _license[] SEC("license") = "Dual BSD/GPL";
