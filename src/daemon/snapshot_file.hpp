// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace tallygate::daemon {

/// The file `snapshot`, or another, in the state directory. Whoever reads it finds the last one
/// that was written whole, or none, whatever happened in between.
class SnapshotFile {
public:
    explicit SnapshotFile(std::string dir, std::string name = "snapshot")
        : dir_(std::move(dir)), name_(std::move(name))
    {
    }

    std::string path() const { return dir_ + "/" + name_; }
    /// Where a file goes that could not be believed.
    std::string damaged_path() const { return path() + ".damaged"; }

    /// Nothing if there is no file.
    Result<std::optional<std::string>> read() const;

    /// Replaces the file: written beside it, brought to the disk, renamed. Makes the directory
    /// (0700) if its parent is there. Takes as long as the disk does.
    Result<void> write(std::string_view bytes) const;

    /// Moves the file to damaged_path(), in place of one that was there.
    Result<void> set_aside() const;

private:
    std::string dir_;
    std::string name_;
};

} // namespace tallygate::daemon
