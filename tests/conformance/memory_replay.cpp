// SPDX-License-Identifier: MIT

#include "conformance/memory_kit.hpp"
#include "conformance/replay.hpp"

namespace {

const conformance::RegisterReplay<conformance::MemoryKit> memory{"memory"};

}  // namespace
