// SPDX-License-Identifier: MIT
//
// Every header in two translation units: a definition that is not inline fails to link.
#include "all_headers.hpp"

const void* second_error_category();
bool second_allows();

int main() {
    const bool one_category = second_error_category() == &sluice::error_category();
    return one_category && second_allows() ? 0 : 1;
}
