// SPDX-License-Identifier: MIT
//
// Decides in an initialiser, which runs before or after those of the file that has the limiter, as they are linked.
bool decides_rightly();

namespace {

const bool early = decides_rightly();

}  // namespace

int main() { return early && decides_rightly() ? 0 : 1; }
