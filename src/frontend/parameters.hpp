// SPDX-License-Identifier: BSD-2-Clause
//
// The parameters of a request's query, taken by name. For the codecs of the HTTP interface.
#pragma once

#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "frontend/control_codec.hpp"

namespace tallygate::frontend {

/// Remembers the first thing that was wrong, so that a parser reads straight through and looks at
/// refusal() once. A method whose name begins with "required" refuses a parameter that is missing;
/// the others answer nothing for it, or their default.
class Parameters {
public:
    explicit Parameters(std::string_view query);

    void allow_only(std::span<const std::string_view> names);

    std::optional<std::string> text(std::string_view name) const;
    std::string required_text(std::string_view name);
    /// Without leftovers, from `min` to `max`, of whose type it is.
    template <typename T>
    std::optional<T> number(std::string_view name, std::type_identity_t<T> min, T max)
    {
        const auto value = text(name);
        if (!value)
            return std::nullopt;
        T number{};
        const auto *const last = value->data() + value->size();
        const auto [end, error] = std::from_chars(value->data(), last, number);
        if (error == std::errc{} && end == last && number >= min && number <= max)
            return number;
        refuse("parameter '" + std::string(name) + "': expected a number from " +
               std::to_string(min) + " to " + std::to_string(max) + ", not '" + *value + "'");
        return std::nullopt;
    }
    /// "true" or "false".
    bool flag(std::string_view name);

    core::Counted event();
    core::Reported reported(std::string_view name);
    std::optional<Block> block(std::string_view name = "cidr");
    Block required_block(std::string_view name = "cidr");
    AskedBlock asked(std::string_view name = "cidr") const;
    std::optional<Endpoint> listener();
    core::TopBy top_by();
    std::optional<Address> address(std::string_view name);
    std::optional<std::chrono::seconds> span(std::string_view name);
    std::string reason();
    core::Monitor required_monitor();

    /// The word of one of `all`, if the parameter is given.
    template <typename T, std::size_t Count>
    std::optional<T> one_of(std::string_view name, const std::array<T, Count> &all,
                            std::string_view (*name_of)(T))
    {
        const auto value = text(name);
        if (!value)
            return std::nullopt;
        ControlRefusal refusal;
        std::string known;
        for (const T each : all) {
            if (*value == name_of(each))
                return each;
            refusal.known.emplace_back(name_of(each));
            known += (known.empty() ? "" : " or ") + refusal.known.back();
        }
        refusal.message =
            "parameter '" + std::string(name) + "': expected " + known + ", not '" + *value + "'";
        refuse(std::move(refusal));
        return std::nullopt;
    }

    const std::optional<ControlRefusal> &refusal() const { return refusal_; }
    void refuse(std::string message) { refuse(ControlRefusal{.message = std::move(message)}); }
    void refuse(ControlRefusal refusal);

private:
    struct Parameter {
        std::string name;
        std::string value;
    };

    void add(std::string_view pair);

    template <typename T>
    std::optional<T> taken(const Result<T> &read)
    {
        if (read)
            return *read;
        refuse(read.error().message);
        return std::nullopt;
    }

    std::vector<Parameter> parameters_;
    std::optional<ControlRefusal> refusal_;
};

} // namespace tallygate::frontend
