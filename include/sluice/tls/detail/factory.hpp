// SPDX-License-Identifier: MIT
#ifndef SLUICE_TLS_DETAIL_FACTORY_HPP
#define SLUICE_TLS_DETAIL_FACTORY_HPP

#include <memory>
#include <string>
#include <utility>

#include <sluice/remote/channel.hpp>
#include <sluice/remote/per_process.hpp>
#include <sluice/tls/detail/channel.hpp>
#include <sluice/tls/detail/context.hpp>
#include <sluice/tls/tls_options.hpp>

namespace sluice::detail::tls {

class Factory final : public remote::ChannelFactory {
public:
    explicit Factory(Tls options) : options_(std::move(options)) { context(); }

    std::unique_ptr<remote::Channel> make(const std::string& host) const override {
        std::string name = options_.server_name.empty() ? host : options_.server_name;
        if (name.ends_with('.')) name.pop_back();  // of a complete name, which certificates do not have
        return std::make_unique<Channel>(context(), std::move(name));
    }

private:
    /// A forked child's own: threads of the parent may hold the locks inside.
    Context& context() const {
        return context_.get([&] { return std::make_unique<Context>(options_); });
    }

    const Tls options_;
    mutable remote::PerProcess<Context> context_{};
};

}  // namespace sluice::detail::tls

namespace sluice {

inline Tls::operator std::shared_ptr<const detail::remote::ChannelFactory>() const {
    return std::make_shared<detail::tls::Factory>(*this);
}

}  // namespace sluice

#endif
