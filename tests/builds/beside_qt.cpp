// SPDX-License-Identifier: MIT
// The words that Qt makes macros of.

#define Q_SLOTS
#define Q_SIGNALS public
#define Q_EMIT
#define slots Q_SLOTS
#define signals Q_SIGNALS
#define emit Q_EMIT
#define foreach(variable, container) for (variable : container)
#define forever for (;;)

#include "all_headers.hpp"
