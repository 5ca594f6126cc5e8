// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string>

namespace tallygate::kernel {

/// A loaded program's tag, which the kernel makes of its instructions: 16 hexadecimal digits as
/// bpftool prints them. Empty if the kernel does not say.
std::string program_tag(int program_fd);

} // namespace tallygate::kernel
