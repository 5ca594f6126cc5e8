// SPDX-License-Identifier: BSD-2-Clause
#include "cli/postfix_files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace tallygate::cli {

namespace fs = std::filesystem;

std::string text_of(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

Result<void> copy_file(const std::string &from, const std::string &to)
{
    std::error_code error;
    struct stat file = {};

    fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
    if (error)
        return Error{"copy " + from + " to " + to + ": " + error.message(), error.value()};
    if (::stat(from.c_str(), &file) != 0 || ::chown(to.c_str(), file.st_uid, file.st_gid) != 0 ||
        ::chmod(to.c_str(), file.st_mode & 07777U) != 0)
        return Error::system("give " + to + " the owner and mode of " + from);
    return {};
}

Result<void> move_file(const std::string &from, const std::string &to)
{
    if (std::rename(from.c_str(), to.c_str()) != 0)
        return Error::system("rename " + from + " to " + to);
    return {};
}

Result<void> rewrite_file(const std::string &path, const std::string &text)
{
    const std::string draft = path + ".tallygate-draft";

    if (auto copied = copy_file(path, draft); !copied)
        return copied;
    std::ofstream file(draft, std::ios::binary | std::ios::trunc);
    file << text << std::flush;
    if (!file)
        return Error::system("write " + draft);
    return move_file(draft, path);
}

} // namespace tallygate::cli
