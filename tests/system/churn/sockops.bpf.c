// SPDX-License-Identifier: BSD-2-Clause
/*
 * The kernel's own count of a server's connections, which knows nothing of packets: told by
 * TCP when a handshake is done on the listening side, and when such a socket is over.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

/* Set before loading. */
const volatile __u64 namespace_cookie = 0;
const volatile __u32 server_port = 25;

struct counts {
    __u64 opened;
    __u64 closed;
};

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct counts);
} counted SEC(".maps");

SEC("sockops")
int count_connections(struct bpf_sock_ops *socket)
{
    __u32 only = 0;
    struct counts *counts = bpf_map_lookup_elem(&counted, &only);

    if (!counts || socket->local_port != server_port ||
        bpf_get_netns_cookie(socket) != namespace_cookie)
        return 1;
    if (socket->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
        /* Asked for here alone, so that only a socket that was counted is told of later. */
        bpf_sock_ops_cb_flags_set(socket, BPF_SOCK_OPS_STATE_CB_FLAG);
        __sync_fetch_and_add(&counts->opened, 1);
    } else if (socket->op == BPF_SOCK_OPS_STATE_CB && socket->args[1] == BPF_TCP_CLOSE) {
        __sync_fetch_and_add(&counts->closed, 1);
    }
    return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
