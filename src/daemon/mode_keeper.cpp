// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/mode_keeper.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "base/log.hpp"
#include "core/policy.hpp"

namespace tallygate::daemon {
namespace {

namespace json = boost::json;

constexpr int schema = 1;

std::string mode_text(core::Mode mode)
{
    return std::string(core::mode_name(mode));
}

/// Nothing for a word that is no mode.
std::optional<core::Mode> mode_at(const json::object &object, const char *key)
{
    const auto *value = object.if_contains(key);
    for (const auto mode : {core::Mode::observe, core::Mode::enforce})
        if (value != nullptr && value->is_string() && value->get_string() == mode_text(mode))
            return mode;
    return std::nullopt;
}

std::optional<core::UnixTime> time_at(const json::object &object, const char *key)
{
    const auto *value = object.if_contains(key);
    if (value == nullptr || !value->is_int64())
        return std::nullopt;
    return core::UnixTime{std::chrono::nanoseconds{value->get_int64()}};
}

/// Whether save() may have written it. An end that cannot be read is not no end: a trial would
/// become for good.
bool is_ours(const json::object &object)
{
    const auto *version = object.if_contains("schema");
    return version != nullptr && *version == schema && mode_at(object, "configured") &&
           object.contains("mode") == mode_at(object, "mode").has_value() &&
           object.contains("until_ns") == time_at(object, "until_ns").has_value();
}

} // namespace

ModeKeeper::ModeKeeper(const std::string &dir, const core::Clock &clock, AuditLog &audit)
    : file_(dir, "mode.json", "the mode that control has set"), clock_(clock), audit_(audit)
{
}

core::Mode ModeKeeper::mode() const
{
    return override_ ? override_->mode : configured_;
}

/// Also forgets what the configuration has overtaken, and what ran out while no daemon was there.
void ModeKeeper::restore(core::Mode configured)
{
    configured_ = configured;
    override_ = load();
    if (override_)
        spdlog::info("mode {}", text());
    if (override_ && override_->until && *override_->until <= clock_.now())
        revert();
}

void ModeKeeper::take_gate(core::Gate &gate)
{
    gate_ = &gate;
    tell_gate();
}

Result<void> ModeKeeper::set(core::Mode mode, std::optional<std::chrono::seconds> confirm,
                             const core::Requester &who)
{
    core::AuditRecord record{
        .time = {}, .who = who, .action = "mode", .what = mode_text(mode), .before = text()};
    if (confirm && mode == core::Mode::observe) {
        const std::string sentence = "only `mode enforce` is confirmed: observe drops nothing";
        record.result = sentence;
        audit_.write(std::move(record));
        return Error{sentence, static_cast<int>(core::Refused::malformed)};
    }

    Override to{.mode = mode, .user = who.user};
    const bool is_on_trial = override_ && override_->until;
    // What is in force for good has nothing to go back to.
    if (confirm && (this->mode() != mode || is_on_trial)) {
        to.until = clock_.now() + *confirm;
        to.after = is_on_trial ? override_->after : this->mode();
    }
    const bool is_as_configured = mode == configured_ && !to.until;
    change(is_as_configured ? std::nullopt : std::optional{to}, std::move(record));
    return {};
}

void ModeKeeper::configure(core::Mode configured, const core::Requester &who)
{
    if (configured == configured_)
        return;
    core::AuditRecord record{.time = {},
                             .who = who,
                             .action = "mode_configured",
                             .what = mode_text(configured),
                             .before = text()};
    configured_ = configured;
    change(std::nullopt, std::move(record));
}

void ModeKeeper::tick()
{
    file_.tick();
    if (override_ && override_->until && *override_->until <= clock_.now())
        revert();
}

void ModeKeeper::revert()
{
    core::AuditRecord record{
        .time = {}, .who = {}, .action = "mode_revert", .what = "", .before = text()};
    record.what = mode_text(override_->after);
    spdlog::warn("mode {} was not confirmed: {} comes back", mode_text(override_->mode),
                 record.what);
    const Override back{.mode = override_->after, .user = override_->user};
    change(back.mode == configured_ ? std::nullopt : std::optional{back}, std::move(record));
}

void ModeKeeper::change(std::optional<Override> to, core::AuditRecord record)
{
    override_ = std::move(to);
    tell_gate();
    save();
    record.after = text();
    record.result = "done";
    audit_.write(std::move(record));
}

/// The gate itself holds to the end, whatever becomes of this daemon.
void ModeKeeper::tell_gate()
{
    if (gate_ == nullptr)
        return;
    std::optional<std::chrono::nanoseconds> at_most;
    if (override_ && override_->until)
        at_most = std::max(*override_->until - clock_.now(), std::chrono::nanoseconds{0});
    gate_->set_mode(mode(), at_most);
}

void ModeKeeper::save()
{
    json::object object{{"schema", schema}, {"configured", mode_text(configured_)}};
    if (override_) {
        object["mode"] = mode_text(override_->mode);
        object["user"] = override_->user;
        object["after"] = mode_text(override_->after);
        if (override_->until)
            object["until_ns"] = override_->until->time_since_epoch().count();
    }
    file_.write(json::serialize(object) + "\n");
}

std::optional<ModeKeeper::Override> ModeKeeper::load()
{
    const auto bytes = file_.read();
    if (!bytes)
        return std::nullopt;
    boost::system::error_code error;
    const auto value = json::parse(*bytes, error);
    const auto *object = error ? nullptr : value.if_object();
    if (object == nullptr || !is_ours(*object)) {
        file_.set_aside("it is not what this daemon writes");
        return std::nullopt;
    }
    const auto mode = mode_at(*object, "mode");
    if (!mode)
        return std::nullopt;
    if (mode_at(*object, "configured") != configured_) {
        spdlog::info("the configuration's mode is another than when control set {}: {} holds",
                     mode_text(*mode), mode_text(configured_));
        return std::nullopt;
    }
    Override loaded{.mode = *mode,
                    .until = time_at(*object, "until_ns"),
                    .after = mode_at(*object, "after").value_or(core::Mode::observe)};
    if (const auto *user = object->if_contains("user"); user != nullptr && user->is_string())
        loaded.user = std::string(user->get_string());
    return loaded;
}

/// "enforce (set by control, on trial; configured observe)"
std::string ModeKeeper::text() const
{
    if (!override_)
        return mode_text(configured_) + " (configured)";
    return mode_text(override_->mode) + " (set by control" +
           (override_->until ? ", to be confirmed" : "") + "; configured " +
           mode_text(configured_) + ")";
}

frontend::ModeFacts ModeKeeper::facts() const
{
    frontend::ModeFacts facts{.mode = mode(), .configured = configured_};
    if (override_) {
        facts.is_by_control = true;
        facts.set_by = override_->user;
        facts.until = override_->until;
        facts.after = override_->after;
    }
    return facts;
}

std::vector<std::string> ModeKeeper::warnings() const
{
    if (file_.warning())
        return {*file_.warning()};
    return {};
}

} // namespace tallygate::daemon
