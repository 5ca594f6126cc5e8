// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/snapshot_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "base/fd.hpp"

namespace tallygate::daemon {
namespace {

Result<void> write_all(const Fd &file, std::string_view bytes, const std::string &path)
{
    while (!bytes.empty()) {
        const auto written = ::write(file.get(), bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return Error::system("write " + path);
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::fsync(file.get()) != 0)
        return Error::system("bring " + path + " to the disk");
    return {};
}

} // namespace

Result<std::optional<std::string>> SnapshotFile::read() const
{
    const Fd file{::open(path().c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file && errno == ENOENT)
        return std::optional<std::string>{};
    if (!file)
        return Error::system("open " + path());

    std::string bytes;
    std::array<char, 1 << 16> part{};
    for (;;) {
        const auto count = ::read(file.get(), part.data(), part.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return Error::system("read " + path());
        if (count == 0)
            return std::optional{std::move(bytes)};
        bytes.append(part.data(), static_cast<std::size_t>(count));
    }
}

Result<void> SnapshotFile::write(std::string_view bytes) const
{
    if (::mkdir(dir_.c_str(), 0700) != 0 && errno != EEXIST)
        return Error::system("make the directory " + dir_);
    const Fd dir{::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!dir)
        return Error::system("open the directory " + dir_);

    const std::string draft = path() + ".new";
    const Fd file{::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                         S_IRUSR | S_IWUSR)};
    if (!file)
        return Error::system("make " + draft);
    if (const auto written = write_all(file, bytes, draft); !written) {
        ::unlink(draft.c_str());
        return written;
    }
    if (::rename(draft.c_str(), path().c_str()) != 0) {
        const auto error = Error::system("rename " + draft + " to " + path());
        ::unlink(draft.c_str());
        return error;
    }
    // Without this the old file may be back after a power failure. It would be whole as well.
    if (::fsync(dir.get()) != 0)
        return Error::system("bring the directory " + dir_ + " to the disk");
    return {};
}

Result<void> SnapshotFile::set_aside() const
{
    if (::rename(path().c_str(), damaged_path().c_str()) != 0)
        return Error::system("rename " + path() + " to " + damaged_path());
    return {};
}

} // namespace tallygate::daemon
