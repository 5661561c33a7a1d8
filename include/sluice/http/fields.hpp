// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_FIELDS_HPP
#define SLUICE_HTTP_FIELDS_HPP

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/detail/cpp20.hpp>

namespace sluice::http {

/// A field of an answer, to be put in the place of others of its name. A view of its FieldList.
struct Field {
    const char* name;
    std::string_view value;
};

/// The rate limit fields of one answer, in their order. Values of up to 256 bytes together need no allocation; copies copy
/// only what is there. For one thread.
class FieldList {
public:
    static constexpr std::size_t max_fields = 8;

    class Iterator {
    public:
        Iterator(const FieldList& list, std::size_t index) noexcept : list_(&list), index_(index) {}
        Field operator*() const noexcept { return (*list_)[index_]; }
        Iterator& operator++() noexcept {
            ++index_;
            return *this;
        }
        friend bool operator==(const Iterator&, const Iterator&) = default;

    private:
        const FieldList* list_;
        std::size_t index_;
    };

    FieldList() noexcept {}  // not `= default`, which would have the arrays zeroed where the list is value-initialized
    FieldList(const FieldList& other) { *this = other; }
    FieldList(FieldList&& other) noexcept { *this = std::move(other); }
    FieldList& operator=(const FieldList& other) {
        large_ = other.large_;
        copy_small(other);
        return *this;
    }
    FieldList& operator=(FieldList&& other) noexcept {
        large_ = std::move(other.large_);
        copy_small(other);
        return *this;
    }
    ~FieldList() = default;

    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    /// Of an index below size().
    Field operator[](std::size_t index) const noexcept {
        const std::size_t start = index == 0 ? 0 : entries_[index - 1].end;
        return {entries_[index].name, text().substr(start, entries_[index].end - start)};
    }
    Iterator begin() const noexcept { return {*this, 0}; }
    Iterator end() const noexcept { return {*this, count_}; }

    /// Begins a field, of which there is room for max_fields; `name` has to live as long as the list.
    void start(const char* name) noexcept { entries_[count_++] = {name, size_}; }
    /// Appends to the value of the last field. These may throw std::bad_alloc.
    void append(std::string_view part) {
        if (size_ + part.size() <= small_.size()) {
            std::copy(part.begin(), part.end(), small_.begin() + static_cast<std::ptrdiff_t>(size_));
        } else {
            if (size_ <= small_.size()) large_.assign(small_.data(), size_);
            large_ += part;
        }
        size_ += part.size();
        entries_[count_ - 1].end = size_;
    }
    void append(std::uint64_t number) {
        constexpr std::size_t longest = 20;  // 2^64 - 1
        if (size_ + longest <= small_.size()) {
            char* const start = small_.data() + size_;
            size_ += static_cast<std::size_t>(std::to_chars(start, start + longest, number).ptr - start);
            entries_[count_ - 1].end = size_;
        } else {
            append(std::string_view{std::to_string(number)});
        }
    }

private:
    struct Entry {
        const char* name;
        std::size_t end;  // of its value in text()
    };

    std::string_view text() const noexcept {
        return size_ <= small_.size() ? std::string_view{small_.data(), size_} : std::string_view{large_};
    }
    void copy_small(const FieldList& other) noexcept {
        count_ = other.count_;
        size_ = other.size_;
        std::copy_n(other.entries_.begin(), count_, entries_.begin());
        if (size_ <= small_.size()) std::copy_n(other.small_.begin(), size_, small_.begin());
    }

    std::size_t count_ = 0;
    std::size_t size_ = 0;
    std::array<Entry, max_fields> entries_;
    std::array<char, 256> small_;
    std::string large_{};
};

}  // namespace sluice::http

#endif
