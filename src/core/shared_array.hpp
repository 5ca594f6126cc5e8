// SPDX-License-Identifier: BSD-2-Clause
//
// A large array whose copies cost little: a snapshot of it is a copy that another thread may read
// while this one goes on.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <vector>

namespace tallygate::core {

/// Values by index, each T{} until it is changed. They stand in pieces. A copy shares the pieces,
/// and whoever changes one that is shared takes a copy of that piece first. A piece in which
/// nothing was changed takes no memory.
///
/// A larger piece makes a copy of the whole cheaper, and the first change after one dearer.
template <typename T, std::size_t PieceSize = 64>
class SharedArray {
public:
    SharedArray() = default;
    explicit SharedArray(std::size_t size) { resize(size); }
    SharedArray(std::initializer_list<T> values)
    {
        for (const T &value : values)
            push_back(value);
    }

    std::size_t size() const { return size_; }
    /// To at least what it has.
    void resize(std::size_t size)
    {
        size_ = size;
        pieces_.resize((size + PieceSize - 1) / PieceSize);
    }
    void push_back(const T &value)
    {
        resize(size_ + 1);
        change(size_ - 1) = value;
    }

    const T &operator[](std::size_t index) const
    {
        static const T unchanged{};
        const auto &piece = pieces_[index / PieceSize];
        return piece ? (*piece)[index % PieceSize] : unchanged;
    }

    /// To be written at once: a copy that is made meanwhile would share it.
    T &change(std::size_t index)
    {
        auto &piece = pieces_[index / PieceSize];
        if (!piece)
            piece = std::make_shared<Piece>();
        else if (piece.use_count() != 1)
            piece = std::make_shared<Piece>(*piece);
        // A thread that has just let go of the piece had read it before.
        std::atomic_thread_fence(std::memory_order_acquire);
        return (*piece)[index % PieceSize];
    }

    bool operator==(const SharedArray &other) const
    {
        if (size_ != other.size_)
            return false;
        for (std::size_t i = 0; i < size_; i++)
            if ((*this)[i] != other[i])
                return false;
        return true;
    }

private:
    using Piece = std::array<T, PieceSize>;

    std::vector<std::shared_ptr<Piece>> pieces_;
    std::size_t size_ = 0;
};

} // namespace tallygate::core
