// SPDX-License-Identifier: BSD-2-Clause
//
// libtallygate's functions. Each ends in guarded(), where exceptions end.
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "client/answers.hpp"
#include "client/channel.hpp"
#include "client/client.hpp"
#include "client/client_block.hpp"
#include "client/query.hpp"
#include "tallygate/tallygate.h"

namespace client = tallygate::client;
using client::Again;
using client::Channel;
using client::Query;

struct tallygate_handle {
    Channel channel;
    std::chrono::milliseconds timeout{500};
    std::string message = {};
    const char *fixed_message = ""; ///< where there is no memory for another
};

namespace {

/// A failure on its way to the caller.
struct Failed {
    tallygate_code code;
    std::string message;
};

using Outcome = std::optional<Failed>; ///< nothing: it went well

tallygate_code code_of_failure(int failure)
{
    switch (static_cast<client::Failure>(failure)) {
    case client::Failure::unreachable:
        return TALLYGATE_UNREACHABLE;
    case client::Failure::not_permitted:
        return TALLYGATE_NOT_PERMITTED;
    case client::Failure::protocol:
        break;
    }
    return TALLYGATE_FAILED;
}

tallygate_code code_of_status(unsigned status)
{
    switch (status) {
    case 400:
    case 409:
        return TALLYGATE_WRONG;
    case 403:
        return TALLYGATE_REFUSED;
    case 404:
        return TALLYGATE_UNKNOWN;
    default:
        return TALLYGATE_FAILED;
    }
}

int conclude(tallygate_handle *handle, const Outcome &outcome)
{
    handle->message = outcome ? outcome->message : "";
    return outcome ? outcome->code : TALLYGATE_OK;
}

/// Runs `work`, which answers an Outcome. Nothing that it throws gets out.
template <typename Work>
int guarded(tallygate_handle *handle, Work work) noexcept
{
    try {
        handle->fixed_message = nullptr;
        return conclude(handle, work());
    } catch (const std::bad_alloc &) {
        handle->fixed_message = "out of memory";
    } catch (...) {
        handle->fixed_message = "libtallygate: an error that it does not know";
    }
    return TALLYGATE_FAILED;
}

Channel::Clock::time_point deadline_of(const tallygate_handle *handle)
{
    return Channel::Clock::now() + handle->timeout;
}

/// Asks, and has `read` take what it needs from the body of a good answer.
template <typename Read>
Outcome ask(tallygate_handle *handle, const char *method, const Query &query, Again again,
            Channel::Clock::time_point deadline, Read read)
{
    const auto reply = handle->channel.ask(method, query.text(), again, deadline);
    if (!reply)
        return Failed{code_of_failure(reply.error().code), reply.error().message};
    if (reply->status == 200 && read(reply->body))
        return std::nullopt;
    auto message = reply->status == 200 ? std::string{} : client::read_error(reply->body);
    if (message.empty())
        message = "the daemon at " + handle->channel.path() + " answered " +
                  std::to_string(reply->status) + " in words that are not known";
    return Failed{code_of_status(reply->status), std::move(message)};
}

Outcome ask_for_answer(tallygate_handle *handle, const Query &query, tallygate_answer *answer)
{
    const auto deadline = deadline_of(handle);
    return ask(handle, "GET", query, Again::harmless, deadline, [&](const std::string &body) {
        const auto read = client::read_answer(body);
        if (read && answer != nullptr)
            *answer = *read;
        return read.has_value();
    });
}

Outcome tell(tallygate_handle *handle, const char *method, const Query &query, Again again)
{
    return ask(handle, method, query, again, deadline_of(handle),
               [](const std::string &) { return true; });
}

void add(Query &query, const char *name, const char *value)
{
    if (value != nullptr)
        query.with(name, value);
}

/// The service that every mail server has goes by more than one name.
const char *service_name(const char *service)
{
    return service != nullptr && std::strcmp(service, "SMTP") == 0 ? "smtp" : service;
}

Outcome missing(const char *what)
{
    return Failed{TALLYGATE_WRONG, std::string(what) + " is missing"};
}

Query count_query(const tallygate_question &question)
{
    Query query{"/v1/count"};
    query.with("cidr", question.cidr);
    if (question.monitor != nullptr)
        query.with("monitor", question.monitor);
    else
        query.with("index", std::to_string(question.monitor_index));
    add(query, "event", question.event);
    add(query, "service", service_name(question.service));
    if (question.smooth != 0)
        return query.with("smooth", "true");
    query.with("start", std::to_string(question.start));
    return query.with("end", std::to_string(question.end));
}

Query series_query(const char *path, const char *name, const char *monitor)
{
    Query query{path};
    query.with("name", name);
    add(query, "monitor", monitor);
    return query;
}

Query with_windows(Query query, unsigned start, unsigned end)
{
    query.with("start", std::to_string(start));
    return query.with("end", std::to_string(end));
}

/// The daemon tells so many at a time; what it tells next stands behind the last key.
Outcome ask_for_items(tallygate_handle *handle, const Query &query, tallygate_item *each,
                      void *context)
{
    const auto deadline = deadline_of(handle);
    auto page_query = query;
    while (true) {
        client::SeriesItems page;
        const auto outcome =
            ask(handle, "GET", page_query, Again::harmless, deadline, [&](const std::string &body) {
                auto read = client::read_items(body);
                const bool is_read = read.has_value();
                if (read)
                    page = std::move(*read);
                return is_read;
            });
        if (outcome)
            return outcome;
        for (const auto &item : page.items) {
            if (each(context, item.key.c_str(), item.value) != 0)
                return std::nullopt;
        }
        if (page.items.empty() || page.items.size() >= page.total)
            return std::nullopt;
        page_query = query;
        page_query.with("after", page.items.back().key);
    }
}

Outcome write_text(const std::string &text, char *buffer, size_t bytes)
{
    if (buffer == nullptr || bytes <= text.size())
        return Failed{TALLYGATE_WRONG, "the buffer is too short for '" + text + "'"};
    std::memcpy(buffer, text.c_str(), text.size() + 1);
    return std::nullopt;
}

std::string socket_path(const char *socket)
{
    const bool is_given = socket != nullptr && *socket != '\0';
    const char *const named = is_given ? socket : std::getenv("TALLYGATE_SOCKET");
    return named != nullptr && *named != '\0' ? named : client::default_socket_path;
}

} // namespace

extern "C" {

tallygate_handle *tallygate_open(const char *socket)
{
    try {
        return new tallygate_handle{.channel = Channel{socket_path(socket)}};
    } catch (...) {
        return nullptr;
    }
}

void tallygate_close(tallygate_handle *handle)
{
    delete handle;
}

void tallygate_set_timeout(tallygate_handle *handle, unsigned milliseconds)
{
    handle->timeout = std::chrono::milliseconds{milliseconds != 0 ? milliseconds : 1};
}

const char *tallygate_message(const tallygate_handle *handle)
{
    return handle->fixed_message != nullptr ? handle->fixed_message : handle->message.c_str();
}

const char *tallygate_socket(const tallygate_handle *handle)
{
    return handle->channel.path().c_str();
}

const char *tallygate_version(void)
{
    return TALLYGATE_VERSION;
}

int tallygate_live(tallygate_handle *handle, const char *cidr, const char *service,
                   const char *listener, tallygate_answer *answer)
{
    return guarded(handle, [&]() -> Outcome {
        if (cidr == nullptr)
            return missing("the CIDR block");
        Query query{"/v1/live"};
        query.with("cidr", cidr);
        add(query, "service", service_name(service));
        add(query, "listener", listener);
        return ask_for_answer(handle, query, answer);
    });
}

int tallygate_count(tallygate_handle *handle, const tallygate_question *question,
                    tallygate_answer *answer)
{
    return guarded(handle, [&]() -> Outcome {
        if (question == nullptr || question->cidr == nullptr)
            return missing("the CIDR block");
        if (question->smooth != 0 && (question->start != 0 || question->end != 0))
            return Failed{TALLYGATE_WRONG, "a smooth count is about window 0 and the one before: "
                                           "expected neither start nor end"};
        return ask_for_answer(handle, count_query(*question), answer);
    });
}

int tallygate_check(tallygate_handle *handle, const char *address, const char *service,
                    tallygate_advice *advice)
{
    return guarded(handle, [&]() -> Outcome {
        if (address == nullptr)
            return missing("the address");
        Query query{"/v1/check"};
        query.with("address", address);
        add(query, "service", service_name(service));
        return ask(handle, "GET", query, Again::harmless, deadline_of(handle),
                   [&](const std::string &body) {
                       const auto read = client::read_advice(body);
                       if (read && advice != nullptr)
                           *advice = *read;
                       return read.has_value();
                   });
    });
}

int tallygate_event(tallygate_handle *handle, const char *event, const char *address,
                    const char *service, uint64_t amount)
{
    return guarded(handle, [&]() -> Outcome {
        if (event == nullptr || address == nullptr)
            return missing(event == nullptr ? "the event" : "the address");
        Query query{"/v1/event"};
        query.with("name", event).with("address", address);
        add(query, "service", service_name(service));
        query.with("amount", std::to_string(amount));
        return tell(handle, "POST", query, Again::would_count);
    });
}

int tallygate_series_define(tallygate_handle *handle, const char *name, const char *type,
                            const char *monitor, int persist)
{
    return guarded(handle, [&]() -> Outcome {
        if (name == nullptr || type == nullptr || monitor == nullptr)
            return missing("the name, the type or the monitor of the series");
        auto query = series_query("/v1/series", name, monitor);
        query.with("type", type).with("persist", persist != 0 ? "true" : "false");
        return tell(handle, "PUT", query, Again::harmless);
    });
}

int tallygate_series_add(tallygate_handle *handle, const char *name, const char *monitor,
                         const char *key, int64_t amount)
{
    return guarded(handle, [&]() -> Outcome {
        if (name == nullptr || key == nullptr)
            return missing(name == nullptr ? "the name of the series" : "the key");
        auto query = series_query("/v1/series/add", name, monitor);
        query.with("key", key).with("amount", std::to_string(amount));
        return tell(handle, "POST", query, Again::would_count);
    });
}

int tallygate_series_count(tallygate_handle *handle, const char *name, const char *monitor,
                           const char *key, unsigned start, unsigned end, int64_t *value)
{
    return guarded(handle, [&]() -> Outcome {
        if (name == nullptr || key == nullptr)
            return missing(name == nullptr ? "the name of the series" : "the key");
        auto query = series_query("/v1/series/count", name, monitor);
        query.with("key", key);
        tallygate_answer answer{};
        auto outcome = ask_for_answer(handle, with_windows(query, start, end), &answer);
        if (!outcome && value != nullptr)
            *value = answer.value;
        return outcome;
    });
}

int tallygate_series_remove_item(tallygate_handle *handle, const char *name, const char *monitor,
                                 const char *key)
{
    return guarded(handle, [&]() -> Outcome {
        if (name == nullptr || key == nullptr)
            return missing(name == nullptr ? "the name of the series" : "the key");
        auto query = series_query("/v1/series/item", name, monitor);
        return tell(handle, "DELETE", query.with("key", key), Again::harmless);
    });
}

int tallygate_series_items(tallygate_handle *handle, const char *name, const char *monitor,
                           unsigned start, unsigned end, tallygate_item *each, void *context)
{
    return guarded(handle, [&]() -> Outcome {
        if (name == nullptr || each == nullptr)
            return missing(name == nullptr ? "the name of the series" : "the function");
        const auto query = series_query("/v1/series/items", name, monitor);
        return ask_for_items(handle, with_windows(query, start, end), each, context);
    });
}

int tallygate_series_list(tallygate_handle *handle, tallygate_definition *each, void *context)
{
    return guarded(handle, [&]() -> Outcome {
        if (each == nullptr)
            return missing("the function");
        return ask(handle, "GET", Query{"/v1/series"}, Again::harmless, deadline_of(handle),
                   [&](const std::string &body) {
                       const auto all = client::read_definitions(body);
                       for (size_t i = 0; all && i < all->size(); i++) {
                           const auto &one = (*all)[i];
                           if (each(context, one.name.c_str(), one.type.c_str(),
                                    one.monitor.c_str(), one.persist ? 1 : 0) != 0)
                               break;
                       }
                       return all.has_value();
                   });
    });
}

int tallygate_block_of(tallygate_handle *handle, const char *client_text, const char *mask,
                       char *block, size_t block_bytes)
{
    return guarded(handle, [&]() -> Outcome {
        if (client_text == nullptr)
            return missing("the client's address");
        const auto address = client::parse_client(client_text);
        if (!address)
            return Failed{TALLYGATE_WRONG, address.error().message};
        const auto found = client::block_of_client(*address, mask != nullptr ? mask : "32");
        if (!found)
            return Failed{TALLYGATE_WRONG, found.error().message};
        return write_text(found->text(), block, block_bytes);
    });
}

int tallygate_address_of(tallygate_handle *handle, const char *client_text, char *address,
                         size_t address_bytes)
{
    return guarded(handle, [&]() -> Outcome {
        if (client_text == nullptr)
            return missing("the client's address");
        const auto found = client::parse_client(client_text);
        if (!found)
            return Failed{TALLYGATE_WRONG, found.error().message};
        return write_text(found->text(), address, address_bytes);
    });
}

int tallygate_is_inside(tallygate_handle *handle, const char *client_text, const char *cidr,
                        int *is_inside)
{
    return guarded(handle, [&]() -> Outcome {
        if (client_text == nullptr || cidr == nullptr || is_inside == nullptr)
            return missing("the client's address or the CIDR block");
        const auto address = client::parse_client(client_text);
        if (!address)
            return Failed{TALLYGATE_WRONG, address.error().message};
        const auto block = tallygate::Block::parse(cidr);
        if (!block)
            return Failed{TALLYGATE_WRONG, block.error().message};
        *is_inside = block->contains(*address) ? 1 : 0;
        return std::nullopt;
    });
}

} // extern "C"
