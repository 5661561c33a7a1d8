// SPDX-License-Identifier: MIT
#include <memory>

#include <sluice/tls.hpp>

std::shared_ptr<const sluice::detail::remote::ChannelFactory> make_tls() { return sluice::Tls{}; }
