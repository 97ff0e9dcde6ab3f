// A queue that keeps its memory: it grows when it must and allocates nothing in steady state.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace yoke::graph {

template <typename T>
class Fifo {
   public:
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] T& front() { return places_[begin_]; }
    [[nodiscard]] T& operator[](std::size_t i) { return places_[place(i)]; }
    [[nodiscard]] const T& operator[](std::size_t i) const { return places_[place(i)]; }

    void push(T value) {
        if (size_ == places_.size()) {
            grow();
        }
        places_[place(size_)] = std::move(value);
        ++size_;
    }

    T pop() {
        T value = std::exchange(places_[begin_], T());
        begin_ = place(1);
        --size_;
        return value;
    }

    // Takes element i out; those behind it move up.
    T take(std::size_t i) {
        T value = std::exchange(places_[place(i)], T());
        for (std::size_t next = i + 1; next < size_; ++next) {
            places_[place(next - 1)] = std::move(places_[place(next)]);
        }
        --size_;
        places_[place(size_)] = T();
        return value;
    }

   private:
    [[nodiscard]] std::size_t place(std::size_t i) const { return (begin_ + i) % places_.size(); }

    void grow() {
        std::vector<T> larger(places_.empty() ? 8 : places_.size() * 2);
        for (std::size_t i = 0; i < size_; ++i) {
            larger[i] = std::move(places_[place(i)]);
        }
        places_ = std::move(larger);
        begin_ = 0;
    }

    std::vector<T> places_;
    std::size_t begin_ = 0;
    std::size_t size_ = 0;
};

}  // namespace yoke::graph
