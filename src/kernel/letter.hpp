// SPDX-License-Identifier: BSD-2-Clause
//
// Programs that see no packet: the daemon runs them with a struct of abi.h in the place of one.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace tallygate::kernel {

/// Runs a program with `letter`, and gives what it answers. A packet for XDP has 14 bytes or more,
/// and so must a letter.
template <typename Answer, typename Letter>
Result<Answer> run_with(const bpf_program *program, Letter letter)
{
    static_assert(sizeof(letter) >= 14);
    bpf_test_run_opts run{};
    run.sz = sizeof(run);
    run.data_in = &letter;
    run.data_size_in = sizeof(letter);
    if (bpf_prog_test_run_opts(bpf_program__fd(program), &run) != 0)
        return Error::system("run " + std::string(bpf_program__name(program)));
    return static_cast<Answer>(run.retval);
}

} // namespace tallygate::kernel
