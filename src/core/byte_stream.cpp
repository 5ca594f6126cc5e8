// SPDX-License-Identifier: BSD-2-Clause
#include "core/byte_stream.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tallygate::core {
namespace {

constexpr std::int64_t nanoseconds_max = std::int64_t{1} << 62;
constexpr std::int64_t window_index_max = nanoseconds_max / 1'000'000'000;

} // namespace

void ByteWriter::put_fixed(std::uint64_t number, std::size_t count)
{
    for (std::size_t i = 0; i < count; i++)
        bytes_.push_back(static_cast<char>(number >> 8 * i));
}

void ByteWriter::put_text(std::string_view text)
{
    put(text.size());
    bytes_.append(text);
}

void ByteWriter::put_address(const Address &address)
{
    for (const std::uint8_t byte : address.bytes)
        bytes_.push_back(static_cast<char>(byte));
}

std::string_view ByteReader::take_bytes(std::size_t count)
{
    if (count > bytes_.size())
        fail("it ends in the middle");
    if (failed())
        return {};
    const auto taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
}

std::uint64_t ByteReader::take_fixed(std::size_t count)
{
    const auto bytes = take_bytes(count);
    std::uint64_t number = 0;

    for (std::size_t i = 0; i < bytes.size(); i++)
        number |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << 8 * i;
    return number;
}

std::uint64_t ByteReader::take()
{
    std::uint64_t number = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        const auto byte = take_fixed(1);
        const std::uint64_t bits = byte & 0x7f;
        if (shift == 63 && bits > 1)
            break;
        number |= bits << shift;
        if ((byte & 0x80) == 0)
            return number;
    }
    fail("a number in it has more than 64 bits");
    return 0;
}

std::uint64_t ByteReader::take_at_most(std::uint64_t max, const char *what)
{
    const auto number = take();
    if (number <= max)
        return number;
    fail(std::string(what) + " in it is out of range");
    return 0;
}

std::int64_t ByteReader::take_signed()
{
    const auto number = take();
    return static_cast<std::int64_t>(number >> 1 ^ (0 - (number & 1)));
}

std::size_t ByteReader::take_count(std::size_t bytes_min, const char *what)
{
    return take_at_most(left() / bytes_min, what);
}

std::string ByteReader::take_text()
{
    return std::string(take_bytes(take()));
}

UnixTime ByteReader::take_time()
{
    const auto nanoseconds = take_signed();
    if (nanoseconds < -nanoseconds_max || nanoseconds > nanoseconds_max)
        fail("a time in it is out of range");
    return UnixTime{std::chrono::nanoseconds{failed() ? 0 : nanoseconds}};
}

std::int64_t ByteReader::take_window_index()
{
    const auto index = take_signed();
    if (index < -window_index_max || index > window_index_max)
        fail("a window in it is out of time");
    return failed() ? 0 : index;
}

Address ByteReader::take_address()
{
    const auto bytes = take_bytes(Address{}.bytes.size());
    Address address;

    std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
    return address;
}

void ByteReader::fail(std::string reason)
{
    if (failed())
        return;
    failure_ = std::move(reason);
    bytes_ = {};
}

} // namespace tallygate::core
