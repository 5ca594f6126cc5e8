// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "kernel/constants.hpp"
#include "kernel/options.hpp"
#include "kernel/pins.hpp"

// The generated skeleton; only this room and its tests include it.
struct gate;
struct bpf_object;

namespace tallygate::kernel {

/// The load flag of a program that takes frames of several buffers (5.18): BPF_F_XDP_HAS_FRAGS,
/// which the headers of Debian 12's libbpf do not name.
inline constexpr std::uint32_t xdp_has_fragments = 1U << 5;

/// The gate's programs and maps, loaded into the kernel and attached to nothing yet.
///
/// Maps that are pinned are taken over with all they hold, at the size they have; else new ones
/// are made and pinned. Programs are always new: what is attached is replaced through its link.
class Program {
public:
    static Result<Program> load(const PinDir &pins, const TableSizes &sizes);

    Program(Program &&) noexcept;
    Program &operator=(Program &&) = delete;
    ~Program();

    gate &skeleton() const { return *skeleton_; }
    /// All maps and programs, as libbpf has them.
    const bpf_object *object() const;
    int map_fd(const char *name) const;
    std::uint32_t entries_max(const char *map) const;
    /// All that are pinned, by name.
    std::vector<std::pair<std::string, int>> maps() const;
    /// For other objects over the same maps.
    const TableConstants &constants() const { return constants_; }
    int xdp_fd() const;
    int tc_ingress_fd() const;
    int tc_egress_fd() const;
    /// For a gateway's inner card.
    int xdp_inside_fd() const;
    int tc_inside_fd() const;
    /// Of the XDP program, 16 hexadecimal digits as bpftool prints it.
    std::string tag() const;

    bool maps_adopted() const { return maps_adopted_; }
    /// XDP programs that take frames of several buffers (5.18).
    bool takes_fragments() const { return takes_fragments_; }
    /// Sentences about sizes that are configured and not in force.
    const std::vector<std::string> &warnings() const { return warnings_; }

private:
    struct Destroy {
        void operator()(gate *skeleton) const;
    };

    Program() = default;
    Result<void> open(const TableSizes &sizes, bool fragments);
    Result<void> adopt_maps(const PinDir &pins);
    Result<void> adopt_map(const PinDir &pins, const std::string &name);
    void set_constants(const std::array<std::uint64_t, 2> &hash_seed);

    std::unique_ptr<gate, Destroy> skeleton_;
    bool maps_adopted_ = false;
    bool takes_fragments_ = false;
    unsigned ipv6_source_bits_ = 64;
    TableConstants constants_;
    std::vector<std::string> warnings_;
};

/// Gives the maps of `program` to another object of ours, which is not loaded yet.
Result<void> take_maps(const bpf_object *object, const Program &program);

/// Keeps libbpf's own words, which are many and often harmless, for the moment when loading
/// fails; with debug logging they are logged too.
void capture_libbpf_log();
/// What libbpf said last, at most a few lines; for an error message.
std::string last_libbpf_words();

} // namespace tallygate::kernel
