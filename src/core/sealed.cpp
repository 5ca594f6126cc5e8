// SPDX-License-Identifier: BSD-2-Clause
#include "core/sealed.hpp"

#include <boost/crc.hpp>

#include "core/byte_stream.hpp"

namespace tallygate::core {
namespace {

constexpr std::size_t header_bytes = 8 + 4 + 8 + 4;

std::uint32_t checksum(std::string_view bytes)
{
    boost::crc_32_type crc;
    crc.process_bytes(bytes.data(), bytes.size());
    return crc.checksum();
}

} // namespace

std::string seal(const SealKind &kind, std::string_view body)
{
    ByteWriter header;
    std::string sealed;

    header.put_fixed(kind.version, 4);
    header.put_fixed(body.size(), 8);
    header.put_fixed(checksum(body), 4);
    sealed.reserve(header_bytes + body.size());
    return sealed.append(kind.magic).append(header.take()).append(body);
}

Result<Unsealed> unseal(const SealKind &kind, std::string_view bytes)
{
    if (!bytes.starts_with(kind.magic))
        return Error{std::string("it is no ") + kind.what};
    if (bytes.size() < header_bytes)
        return Error{"it ends in the middle"};

    ByteReader header{bytes.substr(kind.magic.size())};
    const auto version = header.take_fixed(4);
    const auto body_bytes = header.take_fixed(8);
    const auto sum = header.take_fixed(4);
    const auto body = bytes.substr(header_bytes);
    if (version < kind.version_min || version > kind.version)
        return Error{"it is of format " + std::to_string(version) + ", and this version reads " +
                     std::to_string(kind.version_min) + " to " + std::to_string(kind.version)};
    if (body.size() != body_bytes)
        return Error{"it has " + std::to_string(body.size()) + " bytes of " +
                     std::to_string(body_bytes)};
    if (checksum(body) != sum)
        return Error{"its checksum is wrong"};
    return Unsealed{version, body};
}

} // namespace tallygate::core
