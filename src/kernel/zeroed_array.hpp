// SPDX-License-Identifier: BSD-2-Clause
//
// A large array of zeros that takes memory only where something else was written: to read it
// costs none.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace tallygate::kernel {

template <typename T>
class ZeroedArray {
public:
    static_assert(std::is_trivially_copyable_v<T>);

    explicit ZeroedArray(std::size_t size) : size_(size)
    {
        void *const memory = ::mmap(nullptr, size * sizeof(T), PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED)
            throw std::bad_alloc{};
        // With huge pages the first write would take two megabytes.
        ::madvise(memory, size * sizeof(T), MADV_NOHUGEPAGE);
        values_ = static_cast<T *>(memory);
    }
    ZeroedArray(ZeroedArray &&other) noexcept
        : values_(std::exchange(other.values_, nullptr)), size_(other.size_)
    {
    }
    ZeroedArray &operator=(ZeroedArray &&) = delete;
    ~ZeroedArray()
    {
        if (values_ != nullptr)
            ::munmap(values_, size_ * sizeof(T));
    }

    std::size_t size() const { return size_; }
    T &operator[](std::size_t index) { return values_[index]; }
    const T &operator[](std::size_t index) const { return values_[index]; }
    const T *data() const { return values_; }

private:
    T *values_ = nullptr;
    std::size_t size_;
};

} // namespace tallygate::kernel
