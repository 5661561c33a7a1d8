// SPDX-License-Identifier: MIT
#include "support/catch.hpp"

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/http/adapter.hpp>
#include <sluice/http/rules/route_pattern.hpp>

using sluice::http::RoutePattern;

TEST_CASE("a route matches paths by segments", "[http][route_pattern]") {
    struct Row {
        const char *pattern, *path;
        bool matches;
    };
    for (const auto& [pattern, path, matches] : {Row{"/", "/", true},
                                                 {"/", "/a", false},
                                                 {"/", "", false},
                                                 {"/", "//", false},
                                                 {"/a", "/a", true},
                                                 {"/a", "/A", false},
                                                 {"/a", "/a/", false},
                                                 {"/a", "//a", false},
                                                 {"/a", "/a/b", false},
                                                 {"/a", "a", false},
                                                 {"/a", "/%61", false},
                                                 {"/a", "/a?x=1", false},
                                                 {"/a", "/a#x", false},
                                                 {"/a/", "/a/", true},
                                                 {"/a/", "/a", false},
                                                 {"/users/*", "/users/7", true},
                                                 {"/users/*", "/users/", false},
                                                 {"/users/*", "/users", false},
                                                 {"/users/*", "/users/7/posts", false},
                                                 {"/users/*/posts", "/users/7/posts", true},
                                                 {"/users/*/posts", "/users//posts", false},
                                                 {"/static/**", "/static", true},
                                                 {"/static/**", "/static/", true},
                                                 {"/static/**", "/static/a/b/c", true},
                                                 {"/static/**", "/statics", false},
                                                 {"/**", "/", true},
                                                 {"/**", "/any/thing", true},
                                                 {"/**", "*", false},
                                                 {"/*/**", "/a", true},
                                                 {"/*/**", "/", false},
                                                 {"/*", "/a?b/c", false},
                                                 {"/*", "/a?b", true},
                                                 {"/", "/?x", false},
                                                 {"/*", "/?x", true}}) {
        INFO(pattern << " on " << path);
        CHECK(RoutePattern{pattern}.matches(path) == matches);
    }
}

TEST_CASE("a target's path ends at its query or fragment", "[http][route_pattern]") {
    using sluice::http::path_of;
    CHECK(path_of("/a?x=1") == "/a");
    CHECK(path_of("/a#x?y") == "/a");
    CHECK(path_of("/a?x#y") == "/a");
    CHECK(path_of("/a%3Fx") == "/a%3Fx");
    CHECK(path_of("/") == "/");
    CHECK(path_of("") == "");
    using sluice::http::split_target;
    CHECK(split_target("/a?b=1#c") == std::pair<std::string_view, std::string_view>{"/a", "b=1"});
    CHECK(split_target("/a?b=1") == std::pair<std::string_view, std::string_view>{"/a", "b=1"});
    CHECK(split_target("/a#c?b").second.empty());
}

TEST_CASE("a bad route is refused with its text", "[http][route_pattern]") {
    for (const char* bad : {"", "a", "a/b", "/a?b", "/a#b", "/a*", "/**/a", "/***", "/a/**/", "*", "/{", "/}", "/{}",
                            "/{a", "/a}", "/{a}b", "/{a*}", "/{a}/{a}"}) {
        INFO(bad);
        try {
            RoutePattern{bad};
            FAIL("accepted");
        } catch (const std::invalid_argument& error) {
            CHECK(std::string{error.what()}.find("'" + std::string{bad} + "'") != std::string::npos);
        }
    }
}

TEST_CASE("a pattern covers another where it matches all that the other does", "[http][route]") {
    const char* const patterns[] = {"/",    "/a",   "/a/",    "/*",     "/**",  "/a/*", "/a/**",
                                    "/a/b", "/*/b", "/a/*/c", "/a/b/c", "/*/*", "//a",  "/*/**"};
    const char* const paths[] = {"/",      "/a",    "/b",  "/a/", "/a/x",   "/a/b", "/x/b", "/a/b/c",
                                 "/a/x/c", "/x/y/", "//a", "//",  "/x/y/z", "//b",  "/a//", "/a//c"};
    for (const char* wide : patterns) {
        for (const char* narrow : patterns) {
            INFO(wide << " and " << narrow);
            bool all = true;
            for (const char* path : paths) {
                all = all && (!RoutePattern{narrow}.matches(path) || RoutePattern{wide}.matches(path));
            }
            CHECK(RoutePattern{wide}.covers(RoutePattern{narrow}) == all);
        }
    }
}
