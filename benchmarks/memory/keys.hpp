// SPDX-License-Identifier: MIT
#ifndef SLUICE_BENCHMARKS_MEMORY_KEYS_HPP
#define SLUICE_BENCHMARKS_MEMORY_KEYS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string_view>
#include <vector>

namespace memory {

inline constexpr std::size_t million = 1'000'000;

/// Writes "user:" and a number; much faster than snprintf, so that it can be part of what is timed.
template <std::size_t Digits>
class KeyText {
public:
    std::string_view operator()(std::size_t number) {
        for (std::size_t i = size; i != prefix.size(); number /= 10) text_[--i] = static_cast<char>('0' + number % 10);
        return {text_, size};
    }

private:
    static constexpr std::string_view prefix = "user:";
    static constexpr std::size_t size = prefix.size() + Digits;
    char text_[size] = {'u', 's', 'e', 'r', ':'};
};

/// Keys of 12 bytes in the order in which they are asked for, one behind the other in one block of memory.
class Keys {
public:
    explicit Keys(const std::vector<std::size_t>& numbers)
        : size_(numbers.size()), text_(size_ * length_ + fetched_ahead) {
        KeyText<7> key;
        for (std::size_t i = 0; i != size_; ++i) key(numbers[i]).copy(&text_[i * length_], length_);
    }
    Keys(const Keys&) = delete;

    std::size_t size() const { return size_; }

    /// From a key to the next, and from the last to the first.
    class Walk {
    public:
        Walk(const Keys& keys, std::size_t first)
            : begin_(keys.text_.data()), end_(begin_ + keys.size_ * keys.length_), at_(begin_ + first * keys.length_),
              length_(keys.length_) {}

        std::string_view next() {
            // A server has just read the key that it asks for. So is a key of the list, if fetched some calls before.
            __builtin_prefetch(at_ + fetched_ahead);
            asm volatile("" : "+r"(length_));  // may be another each time, for all that the compiler knows
            const std::string_view key{at_, length_};
            at_ += length_;
            if (at_ == end_) at_ = begin_;
            return key;
        }

    private:
        const char* begin_;
        const char* end_;
        const char* at_;
        std::size_t length_;
    };

private:
    static constexpr std::size_t fetched_ahead = 512;

    std::size_t length_ = 12;
    std::size_t size_;
    std::vector<char> text_;
};

inline std::vector<std::size_t> always_one() { return std::vector<std::size_t>(1024, 123); }

inline std::vector<std::size_t> each_once(std::size_t keys) {
    std::vector<std::size_t> numbers(keys);
    for (std::size_t i = 0; i != keys; ++i) numbers[i] = i;
    return numbers;
}

inline std::vector<std::size_t> uniform(std::size_t keys, std::size_t draws) {
    std::mt19937_64 random{1};
    std::vector<std::size_t> numbers(draws);
    for (std::size_t& number : numbers) number = random() % keys;
    return numbers;
}

/// The n-th most popular key comes up in proportion to n^-exponent; popularity is scattered over the numbers.
inline std::vector<std::size_t> zipf(std::size_t keys, std::size_t draws, double exponent) {
    std::vector<double> below(keys);
    double sum = 0;
    for (std::size_t rank = 0; rank != keys; ++rank)
        below[rank] = sum += std::pow(static_cast<double>(rank + 1), -exponent);
    std::vector<std::size_t> scattered = each_once(keys);
    std::mt19937_64 random{2};
    std::shuffle(scattered.begin(), scattered.end(), random);
    std::uniform_real_distribution<double> draw{0, sum};
    std::vector<std::size_t> numbers(draws);
    for (std::size_t& number : numbers) {
        const auto rank =
            static_cast<std::size_t>(std::lower_bound(below.begin(), below.end(), draw(random)) - below.begin());
        number = scattered[std::min(rank, keys - 1)];
    }
    return numbers;
}

}  // namespace memory

#endif
