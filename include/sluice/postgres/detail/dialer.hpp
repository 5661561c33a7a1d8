// SPDX-License-Identifier: MIT
#ifndef SLUICE_POSTGRES_DETAIL_DIALER_HPP
#define SLUICE_POSTGRES_DETAIL_DIALER_HPP

#include <netdb.h>
#include <sys/socket.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <optional>
#include <system_error>
#include <vector>

#include <sluice/error.hpp>
#include <sluice/postgres/detail/connection.hpp>
#include <sluice/postgres/detail/target.hpp>
#include <sluice/remote/address.hpp>
#include <sluice/remote/deadline.hpp>
#include <sluice/remote/endpoints.hpp>

namespace sluice::detail::postgres {

/// Dials the servers of a target, the one that answered last first, each address with its share of the time. Looks
/// names up itself: libpq would, without any deadline. Thread-safe.
class Dialer {
public:
    using Deadline = detail::remote::Deadline;

    explicit Dialer(const Target& target) : target_(target) {
        for (const Place& place : target.places()) {
            auto& book = books_.emplace_back();
            if (place.needs_look_up()) book.emplace(detail::remote::Endpoint{place.host, place.port_number()});
        }
    }

    /// Which server a connection was made to.
    struct Route {
        std::size_t place = 0;
        detail::remote::Address address{};  ///< where the place has a name
        Deadline::Clock::time_point dialled{};
    };

    /// May throw std::bad_alloc, and std::system_error where no thread can be started for a look-up.
    std::error_code dial(Connection& connection, Route& route, const Deadline& deadline) {
        std::error_code error = Errc::unresolved;
        const std::size_t count = books_.size();
        const std::size_t first = preferred_.load(std::memory_order_relaxed);
        for (std::size_t i = 0; i != count; ++i) {
            route = {(first + i) % count, {}, Deadline::Clock::now()};
            error = dial_place(connection, route, deadline.share(static_cast<int>(count - i)));
            if (!error) {
                preferred_.store(route.place, std::memory_order_relaxed);
                return error;
            }
        }
        return error;
    }

    /// It told that it cannot serve: the others, or what the name stands for by now, are dialled first.
    void retire(const Route& route) {
        std::size_t place = route.place;
        preferred_.compare_exchange_strong(place, (place + 1) % books_.size(), std::memory_order_relaxed);
        if (auto& book = books_[route.place]) book->retire(route.address, route.dialled);
    }
    /// Whether that has happened to a connection's server since it was made.
    bool is_retired(const Route& route) {
        auto& book = books_[route.place];
        return book && book->retirements() != 0 && book->is_retired(route.address, route.dialled);
    }

private:
    std::error_code dial_place(Connection& connection, Route& route, const Deadline& deadline) {
        Place place = target_.places()[route.place];
        auto& book = books_[route.place];
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
                route.address = addresses[i];
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

}  // namespace sluice::detail::postgres

#endif
