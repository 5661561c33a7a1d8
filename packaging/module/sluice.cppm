// SPDX-License-Identifier: MIT
//
// The core as a module: import sluice; instead of #include <sluice/sluice.hpp>. One translation unit includes either.
module;

#include <sluice/layers/fallback.hpp>
#include <sluice/layers/share.hpp>
#include <sluice/sluice.hpp>

export module sluice;

export namespace sluice {

using sluice::AllOf;
using sluice::FixedWindow;
using sluice::LeakyBucket;
using sluice::SlidingWindow;
using sluice::SlidingWindowCounter;
using sluice::TokenBucket;

using sluice::per_day;
using sluice::per_hour;
using sluice::per_minute;
using sluice::per_second;
using sluice::Quota;
using sluice::Rate;
using sluice::Units;

using sluice::AnyLimiter;
using sluice::Decision;
using sluice::DecisionEvent;
using sluice::FailureMode;
using sluice::LimiterOptions;
using sluice::MemoryLimiter;
using sluice::Observer;
using sluice::RateLimiter;

using sluice::Errc;
using sluice::error_category;
using sluice::error_name;
using sluice::is_decided;
using sluice::is_failure;
using sluice::is_rejected;
using sluice::make_error_code;

using sluice::Clock;
using sluice::DefaultClock;
using sluice::ManualClock;
using sluice::SteadyClock;

using sluice::Fallback;
using sluice::MemoryOptions;
using sluice::MemoryStore;
using sluice::OnFull;
using sluice::Share;
using sluice::share_of;

using sluice::failure;
using sluice::Operation;
using sluice::Policy;
using sluice::Request;
using sluice::Scope;
using sluice::Store;

using sluice::operator==;


}  // namespace sluice
