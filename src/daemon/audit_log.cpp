// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/audit_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <array>
#include <boost/json.hpp>
#include <cstdlib>
#include <utility>

#include "base/fd.hpp"
#include "base/log.hpp"
#include "frontend/json_text.hpp"

namespace tallygate::daemon {
namespace {

namespace json = boost::json;

json::object who_object(const core::Requester &who)
{
    const auto number = [](const auto &value) {
        return value ? json::value(*value) : json::value(nullptr);
    };
    return {{"uid", number(who.uid)},
            {"user", who.is_daemon() ? "tallygated" : who.user},
            {"pid", number(who.pid)},
            {"address", who.remote_address ? json::value(json::string(who.remote_address->text()))
                                           : json::value(nullptr)}};
}

/// With fields that `journalctl TALLYGATE_ACTION=block_add` finds, where systemd runs us; else in
/// the log as everything.
void tell_journal(const core::AuditRecord &record)
{
    const std::string message = record.text();
    if (std::getenv("JOURNAL_STREAM") == nullptr) {
        spdlog::info("{}", message);
        return;
    }
    const std::array<std::string, 5> fields = {
        "MESSAGE=" + message, "PRIORITY=5", "TALLYGATE_ACTION=" + record.action,
        "TALLYGATE_WHAT=" + record.what, "TALLYGATE_RESULT=" + record.result};
    std::array<iovec, fields.size()> parts{};
    for (std::size_t i = 0; i < fields.size(); i++)
        parts[i] = {const_cast<char *>(fields[i].data()), fields[i].size()};
    if (sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) < 0)
        spdlog::info("{}", message);
}

} // namespace

std::string audit_line(const core::AuditRecord &record)
{
    return frontend::line({{"time", frontend::seconds(record.time)},
                           {"who", who_object(record.who)},
                           {"action", record.action},
                           {"what", record.what},
                           {"before", record.before},
                           {"after", record.after},
                           {"result", record.result}});
}

void AuditLog::write(core::AuditRecord record)
{
    record.time = clock_.now();
    tell_journal(record);
    const auto appended = append(audit_line(record));
    if (appended) {
        if (warning_)
            spdlog::info("the audit log goes on in {}", path());
        warning_.reset();
        return;
    }
    failures_++;
    const std::string sentence = "the audit log is not written: " + appended.error().message;
    if (warning_ != sentence)
        spdlog::warn("{}", sentence);
    warning_ = sentence;
}

/// Opened for each record, so that whoever rotates it need not tell us.
Result<void> AuditLog::append(std::string line)
{
    if (::mkdir(dir_.c_str(), 0700) != 0 && errno != EEXIST)
        return Error::system("make the directory " + dir_);
    const Fd file{::open(path().c_str(),
                         O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK,
                         S_IRUSR | S_IWUSR)};
    if (!file)
        return Error::system("open " + path());
    if (is_torn_)
        line.insert(0, "\n");
    const auto written = ::write(file.get(), line.data(), line.size());
    const bool is_whole = written == static_cast<ssize_t>(line.size());
    if (is_whole || written > 0)
        is_torn_ = !is_whole;
    if (is_whole)
        return {};
    return written < 0 ? Error::system("write " + path())
                       : Error{"write " + path() + ": only a part of a record had room", ENOSPC};
}

} // namespace tallygate::daemon
