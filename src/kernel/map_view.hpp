// SPDX-License-Identifier: BSD-2-Clause
//
// Kernel maps through the types of abi.h. Views borrow their descriptor from the Program that
// loaded the map, and check on opening that the kernel's shape is the one we were compiled with.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace tallygate::kernel {

/// May cross the kernel boundary: plain bytes, and none of them padding. A hidden byte in a
/// key would make two equal keys different, so it must not compile.
template <typename T>
concept AbiType = std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>;

/// What the kernel says of a map, or why it is not the one that the caller means.
Result<bpf_map_info> inspect_map(int fd, const std::string &name, std::size_t key_bytes,
                                 std::size_t value_bytes);

/// One map of hash, array or longest-prefix kind.
template <AbiType Key, AbiType Value>
class MapView {
public:
    static Result<MapView> open(int fd, std::string name)
    {
        const auto info = inspect_map(fd, name, sizeof(Key), sizeof(Value));
        if (!info)
            return info.error();
        return MapView{fd, std::move(name), info->max_entries};
    }

    std::uint32_t entries_max() const { return entries_max_; }

    /// The value under `key`, or nothing if the kernel has no such entry.
    Result<std::optional<Value>> find(const Key &key) const
    {
        Value value{};

        if (bpf_map_lookup_elem(fd_, &key, &value) == 0)
            return std::optional{value};
        if (errno == ENOENT)
            return std::optional<Value>{};
        return Error::system("look up in " + name_);
    }

    Result<void> put(const Key &key, const Value &value) const
    {
        if (bpf_map_update_elem(fd_, &key, &value, BPF_ANY) != 0)
            return Error::system("write to " + name_);
        return {};
    }

    /// Removing what is not there is not an error: the kernel may have been first.
    Result<void> remove(const Key &key) const
    {
        if (bpf_map_delete_elem(fd_, &key) != 0 && errno != ENOENT)
            return Error::system("remove from " + name_);
        return {};
    }

    /// A place in a walk over the map. Default: the beginning.
    struct Position {
        /// In the kernel's own terms: a bucket's number for a hash, a whole key for a trie,
        /// which the kernel writes without asking for our size.
        std::array<std::byte, (sizeof(Key) > 4 ? sizeof(Key) : 4)> raw{};
        bool started = false;
        bool finished = false;
    };

    /// Visits the next entries, about `batch` of them, and moves `position` on.
    ///
    /// The kernel keeps counting while we read, so this is a walk and not a snapshot: an entry
    /// added or removed meanwhile may be missed, and two fields may be a few packets apart.
    template <std::invocable<const Key &, const Value &> Visit>
    Result<void> visit_some(Position &position, std::uint32_t batch, Visit &&visit) const
    {
        for (;;) {
            std::vector<Key> keys(batch);
            std::vector<Value> values(batch);
            auto count = batch;
            const int failed = bpf_map_lookup_batch(
                fd_, position.started ? position.raw.data() : nullptr, position.raw.data(),
                keys.data(), values.data(), &count, nullptr);
            const int reason = failed != 0 ? errno : 0;

            // One hash bucket did not fit. Nothing was consumed, so ask again with more room.
            if (reason == ENOSPC) {
                batch *= 2;
                continue;
            }
            if (reason != 0 && reason != ENOENT)
                return Error::system("walk " + name_, reason);

            for (std::uint32_t i = 0; i < count; i++)
                visit(keys[i], values[i]);
            position.started = true;
            position.finished = reason == ENOENT;
            return {};
        }
    }

    /// Visits every entry.
    template <std::invocable<const Key &, const Value &> Visit>
    Result<void> for_each(Visit &&visit) const
    {
        Position position;
        while (!position.finished) {
            const auto visited = visit_some(position, 4096, visit);
            if (!visited)
                return visited;
        }
        return {};
    }

private:
    MapView(int fd, std::string name, std::uint32_t entries_max)
        : fd_(fd), name_(std::move(name)), entries_max_(entries_max)
    {
    }

    int fd_;
    std::string name_;
    std::uint32_t entries_max_;
};

/// An array with one value for each CPU, read as their sum.
template <AbiType Value>
class PerCpuView {
public:
    static Result<PerCpuView> open(int fd, std::string name)
    {
        const auto info = inspect_map(fd, name, sizeof(std::uint32_t), sizeof(Value));
        if (!info)
            return info.error();
        return PerCpuView{fd, std::move(name)};
    }

    /// The values of all CPUs at `index`; none if the index is out of range.
    std::vector<Value> at(std::uint32_t index) const
    {
        std::vector<Value> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
        if (bpf_map_lookup_elem(fd_, &index, values.data()) != 0)
            values.clear();
        return values;
    }

    /// A value for each CPU, as many as at() gives.
    Result<void> put(std::uint32_t index, const std::vector<Value> &values) const
    {
        if (bpf_map_update_elem(fd_, &index, values.data(), BPF_ANY) != 0)
            return Error::system("write to " + name_);
        return {};
    }

private:
    // The kernel rounds each CPU's value up to 8 bytes; ours need no rounding.
    static_assert(sizeof(Value) % 8 == 0);

    PerCpuView(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

    int fd_;
    std::string name_;
};

/// An array that is mapped: read, and where we are its writer written, without a system call.
template <AbiType Value>
class MappedArray {
public:
    static Result<MappedArray> open(int fd, const std::string &name)
    {
        const auto info = inspect_map(fd, name, sizeof(std::uint32_t), sizeof(Value));
        if (!info)
            return info.error();

        // The kernel rounds each element up to 8 bytes, and the whole to a page.
        static_assert(sizeof(Value) % 8 == 0);
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        const std::size_t bytes =
            (std::size_t{info->max_entries} * sizeof(Value) + page - 1) / page * page;
        void *memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (memory == MAP_FAILED)
            return Error::system("map " + name + " into memory");
        return MappedArray{static_cast<Value *>(memory), bytes, info->max_entries};
    }

    MappedArray(MappedArray &&other) noexcept
        : values_(std::exchange(other.values_, nullptr)), bytes_(other.bytes_),
          entries_max_(other.entries_max_)
    {
    }
    MappedArray &operator=(MappedArray &&) = delete;
    ~MappedArray()
    {
        if (values_ != nullptr)
            ::munmap(values_, bytes_);
    }

    std::uint32_t entries_max() const { return entries_max_; }
    /// Precondition: index < entries_max(). Another party may change it as we look.
    volatile Value &operator[](std::uint32_t index) const { return values_[index]; }

private:
    MappedArray(Value *values, std::size_t bytes, std::uint32_t entries_max)
        : values_(values), bytes_(bytes), entries_max_(entries_max)
    {
    }

    Value *values_;
    std::size_t bytes_;
    std::uint32_t entries_max_;
};

} // namespace tallygate::kernel
