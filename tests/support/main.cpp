// SPDX-License-Identifier: MIT

#define CATCH_CONFIG_RUNNER
#include "support/catch.hpp"

// A program holds the tests of several files: the tag [#file] picks those of one, and it is an error if there are none.
int main(int argc, char* argv[]) {
    Catch::Session session;
    session.configData().filenamesAsTags = true;
#if !__has_include(<catch2/catch_all.hpp>)
    session.configData().warnings = Catch::WarnAbout::NoTests;  // Catch2 v3 needs not be told
#endif
    const int wrong = session.applyCommandLine(argc, argv);
    return wrong != 0 ? wrong : session.run();
}
