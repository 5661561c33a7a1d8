// SPDX-License-Identifier: MIT
#ifndef SLUICE_HTTP_FIELDS_HPP
#define SLUICE_HTTP_FIELDS_HPP

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <sluice/detail/cpp20.hpp>
#include <sluice/http/detail/small_text.hpp>

namespace sluice::http {

/// A field of an answer, to be put in the place of others of its name. A view of its FieldList.
struct Field {
    const char* name;
    std::string_view value;
};

/// The rate limit fields of one answer, in their order. Values of up to 128 bytes together need no allocation; copies copy
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

    FieldList() noexcept {}  // not `= default`, which would have the array zeroed where the list is value-initialized
    FieldList(const FieldList& other) : values_(other.values_) { copy_entries(other); }
    FieldList(FieldList&& other) noexcept : values_(std::move(other.values_)) { copy_entries(other); }
    FieldList& operator=(const FieldList& other) {
        values_ = other.values_;
        copy_entries(other);
        return *this;
    }
    FieldList& operator=(FieldList&& other) noexcept {
        values_ = std::move(other.values_);
        copy_entries(other);
        return *this;
    }
    ~FieldList() = default;

    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    /// Of an index below size().
    Field operator[](std::size_t index) const noexcept {
        const std::size_t start = index == 0 ? 0 : ends_[index - 1];
        return {names_[index], values_.view().substr(start, ends_[index] - start)};
    }
    Iterator begin() const noexcept { return {*this, 0}; }
    Iterator end() const noexcept { return {*this, count_}; }

    /// Begins a field, of which there is room for max_fields; `name` has to live as long as the list.
    void start(const char* name) noexcept {
        names_[count_] = name;
        ends_[count_++] = end_of_values();
    }
    /// Appends to the value of the last field. These may throw std::bad_alloc.
    void append(std::string_view part) { append_any(part); }
    void append(std::uint64_t number) { append_any(number); }

private:
    void append_any(auto part) {
        values_.append(part);
        ends_[count_ - 1] = end_of_values();
    }
    std::uint32_t end_of_values() const noexcept { return static_cast<std::uint32_t>(values_.size()); }
    void copy_entries(const FieldList& other) noexcept {
        count_ = other.count_;
        std::copy_n(other.names_.begin(), count_, names_.begin());
        std::copy_n(other.ends_.begin(), count_, ends_.begin());
    }

    std::size_t count_ = 0;
    std::array<const char*, max_fields> names_;
    std::array<std::uint32_t, max_fields> ends_;  // of their values in values_
    detail::SmallText<128> values_;
};

}  // namespace sluice::http

#endif
