/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a packet left the gate. Every packet leaves through exactly one verdict, and each is
 * counted by hook, so the counts of a hook add up to the packets it saw.
 *
 * X(name, action, label): the label is what operators read in metrics and in the CLI, and
 * what tests print. The words are docs/verdicts.md's; a new line here needs one there.
 */
#pragma once

/* clang-format off */
#define TG_VERDICTS(X)                                          \
    /* Not ours: no table is touched. */                        \
    X(PASS_NOT_TCP,         PASS, "pass_not_tcp")               \
    X(PASS_UNPARSED,        PASS, "pass_unparsed")              \
    X(PASS_FRAGMENT,        PASS, "pass_fragment")              \
    X(PASS_NOT_WATCHED,     PASS, "pass_not_watched")           \
    /* Bad packets: each has a DROP_ twin for strict mode. */   \
    X(PASS_MALFORMED,       PASS, "pass_malformed")             \
    X(PASS_TINY_FRAGMENT,   PASS, "pass_tiny_fragment")         \
    X(PASS_EXTENSION_LIMIT, PASS, "pass_extension_limit")       \
    X(PASS_BOGON,           PASS, "pass_bogon")                 \
    X(DROP_MALFORMED,       DROP, "drop_malformed")             \
    X(DROP_TINY_FRAGMENT,   DROP, "drop_tiny_fragment")         \
    X(DROP_EXTENSION_LIMIT, DROP, "drop_extension_limit")       \
    X(DROP_BOGON,           DROP, "drop_bogon")                 \
    /* Handshakes. */                                           \
    X(PASS_SYN,             PASS, "pass_syn")                   \
    X(PASS_SYN_ACK,         PASS, "pass_syn_ack")               \
    X(PASS_SYN_ACK_IN,      PASS, "pass_syn_ack_in")            \
    X(PASS_BAD_ACK,         PASS, "pass_bad_ack")               \
    X(PASS_OPENED,          PASS, "pass_opened")                \
    /* Lists and limits, in the order of reasons. */            \
    X(DROP_BLOCKED,         DROP, "drop_blocked")               \
    X(DROP_SOURCE_RATE,     DROP, "drop_source_rate")           \
    X(DROP_SOURCE_LIVE,     DROP, "drop_source_live")           \
    X(DROP_PREFIX_RATE,     DROP, "drop_prefix_rate")           \
    X(DROP_NETWORK_RATE,    DROP, "drop_network_rate")          \
    X(DROP_NETWORK_LIVE,    DROP, "drop_network_live")          \
    X(DROP_SERVICE_RATE,    DROP, "drop_service_rate")          \
    /* Their twins: a dry run, or nothing is enforced. */       \
    X(WOULD_DROP_BLOCKED,      PASS, "would_drop_blocked")      \
    X(WOULD_DROP_SOURCE_RATE,  PASS, "would_drop_source_rate")  \
    X(WOULD_DROP_SOURCE_LIVE,  PASS, "would_drop_source_live")  \
    X(WOULD_DROP_PREFIX_RATE,  PASS, "would_drop_prefix_rate")  \
    X(WOULD_DROP_NETWORK_RATE, PASS, "would_drop_network_rate") \
    X(WOULD_DROP_NETWORK_LIVE, PASS, "would_drop_network_live") \
    X(WOULD_DROP_SERVICE_RATE, PASS, "would_drop_service_rate") \
    /* Flows. */                                                \
    X(PASS_OPEN_FLOW,       PASS, "pass_open_flow")             \
    X(PASS_UNKNOWN_FLOW,    PASS, "pass_unknown_flow")          \
    X(PASS_OUT_OF_WINDOW,   PASS, "pass_out_of_window")         \
    X(PASS_RST_IGNORED,     PASS, "pass_rst_ignored")           \
    X(PASS_CLOSED_FIN,      PASS, "pass_closed_fin")            \
    X(PASS_CLOSED_RST,      PASS, "pass_closed_rst")            \
    X(PASS_CLOSED_REUSE,    PASS, "pass_closed_reuse")          \
    /* A table is full: the connection goes on, uncounted. */   \
    X(PASS_FLOWS_FULL,      PASS, "pass_flows_full")            \
    X(PASS_SOURCES_FULL,    PASS, "pass_sources_full")

enum tg_verdict {
    TG_UNDECIDED, /* no stage has claimed the packet yet; never leaves the gate */
#define TG_ENUMERATOR(name, action, label) TG_##name,
    TG_VERDICTS(TG_ENUMERATOR)
#undef TG_ENUMERATOR
    TG_VERDICT_COUNT,
};
/* clang-format on */

/* Anything not listed passes: a gate that does not know lets the mail through. */
static inline int tg_verdict_drops(enum tg_verdict verdict)
{
#define TG_ACTION_PASS 0
#define TG_ACTION_DROP 1
#define TG_VERDICT_CASE(name, action, label) \
    case TG_##name:                          \
        return TG_ACTION_##action;
    switch (verdict) {
        TG_VERDICTS(TG_VERDICT_CASE)
    default:
        return TG_ACTION_PASS;
    }
#undef TG_VERDICT_CASE
#undef TG_ACTION_DROP
#undef TG_ACTION_PASS
}

/* A SYN that passed because nothing is enforced, or its limit is a dry run. */
static inline int tg_verdict_would_drop(enum tg_verdict verdict)
{
    return verdict >= TG_WOULD_DROP_BLOCKED && verdict <= TG_WOULD_DROP_SERVICE_RATE;
}

/* Where a packet met the gate. Verdicts are counted apart for each. */
enum tg_hook {
    TG_HOOK_INGRESS, /* XDP, or tc ingress where XDP cannot be had */
    TG_HOOK_EGRESS,  /* tc egress */
    TG_HOOK_COUNT,
};
