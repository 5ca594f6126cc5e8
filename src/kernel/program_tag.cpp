// SPDX-License-Identifier: BSD-2-Clause
#include "kernel/program_tag.hpp"

#include <bpf/bpf.h>

#include <array>
#include <cstdio>

namespace tallygate::kernel {

std::string program_tag(int program_fd)
{
    bpf_prog_info info{};
    std::uint32_t size = sizeof(info);
    std::string text;

    if (bpf_obj_get_info_by_fd(program_fd, &info, &size) != 0)
        return text;
    for (const unsigned byte : info.tag) {
        std::array<char, 3> digits{};
        std::snprintf(digits.data(), digits.size(), "%02x", byte);
        text += digits.data();
    }
    return text;
}

} // namespace tallygate::kernel
