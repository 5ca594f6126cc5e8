// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace tallygate::test {

/// A directory of the test's own, gone with it. Its path is short enough for sockets.
class TempDir {
public:
    TempDir()
    {
        char name[] = "/tmp/tallygate-test-XXXXXX";
        path_ = ::mkdtemp(name) != nullptr ? name : "";
    }
    TempDir(const TempDir &) = delete;
    TempDir &operator=(const TempDir &) = delete;
    ~TempDir()
    {
        std::error_code ignored;
        if (!path_.empty())
            std::filesystem::remove_all(path_, ignored);
    }

    std::string operator/(const std::string &name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

} // namespace tallygate::test
