// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_DIALER_HPP
#define SLUICE_POSTGRES_DETAIL_DIALER_HPP

#include <netdb.h>
#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/endpoints.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/postgres/detail/connection.hpp>
#include <sluice/postgres/detail/target.hpp>

namespace sluice::postgres {

/// Dials the servers of a target, the one that answered last first, each address with its share of the time. Looks
/// names up itself: libpq would, without any deadline. Thread-safe.
class Dialer {
public:
    explicit Dialer(const Target& target) : target_(target) {
        for (const Place& place : target.places()) {
            auto& book = books_.emplace_back();
            if (place.needs_look_up()) book.emplace(detail::remote::Endpoint{place.host, place.port_number()});
        }
    }

    /// May throw std::bad_alloc, and std::system_error where no thread can be started for a look-up.
    std::error_code dial(Connection& connection, const detail::remote::Deadline& deadline) {
        std::error_code error = Errc::unresolved;
        const std::size_t count = books_.size();
        const std::size_t first = preferred_.load(std::memory_order_relaxed);
        for (std::size_t i = 0; i != count; ++i) {
            const std::size_t index = (first + i) % count;
            error = dial(connection, index, deadline.share(static_cast<int>(count - i)));
            if (!error) {
                preferred_.store(index, std::memory_order_relaxed);
                return error;
            }
        }
        return error;
    }

private:
    std::error_code dial(Connection& connection, std::size_t index, const detail::remote::Deadline& deadline) {
        Place place = target_.places()[index];
        auto& book = books_[index];
        if (!book) return connection.dial(target_, place, deadline);
        std::vector<detail::remote::Address> addresses;
        if (const auto error = book->find(addresses, deadline)) return error;
        std::error_code error = Errc::unresolved;
        for (std::size_t i = 0; i != addresses.size(); ++i) {
            char text[NI_MAXHOST];
            if (getnameinfo(addresses[i].get(), addresses[i].length, text, sizeof text, nullptr, 0, NI_NUMERICHOST) !=
                0) {
                continue;
            }
            place.hostaddr = text;
            error = connection.dial(target_, place, deadline.share(static_cast<int>(addresses.size() - i)));
            if (!error) {
                book->prefer(addresses[i]);
                return error;
            }
            book->doubt(addresses[i]);
        }
        return error;
    }

    const Target& target_;
    std::deque<std::optional<detail::remote::Endpoints>> books_;  // one for each place that has a name
    std::atomic<std::size_t> preferred_{0};
};

}  // namespace sluice::postgres

#endif
