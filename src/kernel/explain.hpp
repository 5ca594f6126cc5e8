// SPDX-License-Identifier: BSD-2-Clause
//
// What the daemon asks of the gate beside the packets, by programs that decide as the packets'
// programs do (bpf/explain.bpf.c).
#pragma once

#include <tallygate/abi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/address.hpp"
#include "base/result.hpp"
#include "core/seams.hpp"
#include "kernel/lists.hpp"
#include "kernel/program.hpp"

// The generated skeleton.
struct explain;

namespace tallygate::kernel {

/// What an explanation needs beside the gate's answer.
struct ExplainedNames {
    std::function<std::string(std::uint8_t limit)> limit;
    std::function<tg_limit(std::uint8_t limit)> value;
    std::function<std::string(std::uint32_t network)> network;
    unsigned ipv6_source_bits = 64;
    bool enforcing = false; ///< and the lease is alive
    ClockOffset offset{0};
};

/// In words. Pure.
core::Explanation to_explanation(const tg_explained &answer, const ExplainedNames &names);

class Explainer {
public:
    /// Loads its programs over the maps of `program`, which must outlive this.
    static Result<Explainer> load(const Program &program);

    Explainer(Explainer &&) noexcept;
    Explainer &operator=(Explainer &&) = delete;
    ~Explainer();

    Result<tg_explained> ask(const Address &client, core::ServiceId service);

    /// Makes slots for sources that were proven before these tables were made, and says for how
    /// many there was room.
    Result<std::size_t> remember(std::span<const tg_source_key> sources);

private:
    struct Destroy {
        void operator()(explain *skeleton) const;
    };

    Explainer() = default;

    std::unique_ptr<explain, Destroy> skeleton_;
};

} // namespace tallygate::kernel
