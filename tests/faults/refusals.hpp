// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_FAULTS_REFUSALS_HPP
#define SLUICE_TESTS_FAULTS_REFUSALS_HPP

#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <hiredis/hiredis.h>

#include <sluice/error.hpp>

#include "support/redis_server.hpp"

/// What a Redis server answers with an error while `begin` has happened and `end` has not, whoever asks.
struct Refusal {
    const char* what;
    sluice::Errc errc;
    bool is_left_alone;  ///< the error is everybody's; else an answer to one request, and the server is asked on
    std::function<void(RedisServer&)> begin, end;
    std::vector<std::string> server_options{};
    /// By which it is asked, once it runs.
    std::function<std::string(RedisServer&)> url = [](RedisServer& server) { return server.url(); };
};

inline std::vector<Refusal> refusals() {
    using Words = std::vector<std::string>;
    using sluice::Errc;
    const auto says = [](Words words) {
        return [words](RedisServer& server) {
            server.command(std::vector<std::string_view>{words.begin(), words.end()});
        };
    };
    const auto dump = [](RedisServer& server) { return server.folder() + "/dump.rdb"; };
    const auto grant = [](RedisServer& server, std::string_view set) {
        server.command({"ACL", "SETUSER", "app", "reset", "on", ">pw", "~sluice:*", "-@all", "+eval", "+evalsha",
                        "+time", "+get", set, "+incrby"});
    };
    const auto script = std::make_shared<std::future<void>>();
    return {
        {"it becomes a replica, and a primary again", Errc::read_only, true,
         [](RedisServer& server) {
             server.command({"REPLICAOF", "127.0.0.1", std::to_string(RedisServer::free_port())});
         },
         says({"REPLICAOF", "NO", "ONE"})},
        {"it has no memory left", Errc::server_full, false, says({"CONFIG", "SET", "maxmemory", "100kb"}),
         says({"CONFIG", "SET", "maxmemory", "0"})},
        {"it cannot write to its disk", Errc::server_full, false,
         [dump](RedisServer& server) {
             // In the way of the file that BGSAVE wants to write.
             std::filesystem::create_directories(dump(server) + "/in the way");
             server.command({"CONFIG", "SET", "save", "3600 1"});
             server.command({"BGSAVE"});
         },
         [dump](RedisServer& server) {
             std::filesystem::remove_all(dump(server));
             server.command({"CONFIG", "SET", "save", ""});
         }},
        {"its user may not run what a script needs",
         Errc::permission,
         false,
         [grant](RedisServer& server) { grant(server, "-get"); },
         [grant](RedisServer& server) { grant(server, "+set"); },
         {},
         [grant](RedisServer& server) {
             grant(server, "+set");
             return "unix://app:pw@" + server.socket_path();
         }},
        {"it takes no more clients", Errc::busy, true,
         [](RedisServer& server) {
             server.command({"CONFIG", "SET", "maxclients", "1"});
             server.command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
         },
         says({"CONFIG", "SET", "maxclients", "1000"})},
        {"a script of somebody else occupies it",
         Errc::busy,
         true,
         [script](RedisServer& server) {
             *script = std::async(std::launch::async, [path = server.socket_path()] {
                 redisContext* const context = redisConnectUnix(path.c_str());
                 freeReplyObject(redisCommand(context, "EVAL %s 0", "while true do end"));
                 redisFree(context);
             });
             std::this_thread::sleep_for(std::chrono::milliseconds{50});
         },
         [script](RedisServer& server) {
             server.command({"SCRIPT", "KILL"});
             script->get();
         },
         {"--lua-time-limit", "20"}},
    };
}

#endif
