// SPDX-License-Identifier: BSD-2-Clause
#include "config/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tallygate::config {
namespace {

constexpr std::size_t first_bytes = 1U << 16;

/// 0 if it is no regular file.
std::size_t size_of(const Fd &file)
{
    struct stat status {};

    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return 0;
    return static_cast<std::size_t>(status.st_size);
}

} // namespace

Result<std::string> read_all(const Fd &file, const std::string &path, std::size_t bytes_max,
                             std::string_view what)
{
    const Error too_large{"read " + path + ": larger than " + std::string(what) + " may be, " +
                              std::to_string(bytes_max) + " bytes",
                          EFBIG};
    const std::size_t expected = size_of(file);
    std::string text;
    std::size_t size = 0;

    if (expected > bytes_max)
        return too_large;
    // One byte more than there is, so that the end is seen without growing.
    text.resize(std::min(std::max(first_bytes, expected + 1), bytes_max + 1));
    while (size <= bytes_max) {
        if (size == text.size())
            text.resize(std::min(2 * size, bytes_max + 1));
        const auto count = ::read(file.get(), text.data() + size, text.size() - size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return Error::system("read " + path);
        if (count == 0)
            break;
        size += static_cast<std::size_t>(count);
    }
    if (size > bytes_max)
        return too_large;
    text.resize(size);
    return text;
}

Result<std::string> read_file(const std::string &path, std::size_t bytes_max, std::string_view what)
{
    const Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};

    if (!file)
        return Error::system("read " + path);
    return read_all(file, path, bytes_max, what);
}

} // namespace tallygate::config
