// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_REDIS_SERVER_HPP
#define SLUICE_TESTS_SUPPORT_REDIS_SERVER_HPP

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/// A redis-server of the test's own, on a free port of 127.0.0.1 and on a unix socket, in a temporary folder, without
/// persistence. Ends with the object.
class RedisServer {
public:
    /// `options` are further arguments of redis-server. Throws where it does not start.
    explicit RedisServer(std::vector<std::string> options = {}) : RedisServer("127.0.0.1", 0, std::move(options)) {}
    /// On another loop-back address, and on a port that is given unless it is 0.
    /// `config` is the text of a file that the server may rewrite.
    RedisServer(std::string host, int port, std::vector<std::string> options = {}, const std::string& config = {})
        : options_(std::move(options)), host_(std::move(host)), has_config_(!config.empty()) {
        std::string folder = (std::filesystem::temp_directory_path() / "sluice-redis-XXXXXX").string();
        if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error{"cannot make a temporary folder"};
        folder_ = folder;
        if (has_config_) std::ofstream{config_file()} << config;
        for (int attempt = 0; attempt != 5; ++attempt) {
            port_ = port != 0 ? port : free_port();
            if (start()) return;
        }
        std::filesystem::remove_all(folder_);
        throw std::runtime_error{"redis-server does not start: is it installed? (Debian and Ubuntu: redis-server)"};
    }
    ~RedisServer() {
        kill();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    RedisServer(const RedisServer&) = delete;
    RedisServer& operator=(const RedisServer&) = delete;

    std::string url() const { return "unix://" + socket_path(); }
    std::string tcp_url() const { return "redis://" + host_ + ":" + std::to_string(port_); }
    int port() const noexcept { return port_; }
    pid_t pid() const noexcept { return pid_; }
    std::string socket_path() const { return folder_ + "/redis.sock"; }
    const std::string& folder() const noexcept { return folder_; }

    /// As kill -9: what was in memory is lost.
    void kill() noexcept {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
        admin_.reset();
    }
    /// Starts again after kill(), empty, on the same port and path. Returns when it answers.
    void restart() {
        if (!start()) throw std::runtime_error{"redis-server does not start again"};
    }
    void freeze() noexcept { ::kill(pid_, SIGSTOP); }
    void thaw() noexcept { ::kill(pid_, SIGCONT); }

    /// Runs a command as the default user, on a connection that is kept. The reply as text, elements separated by
    /// spaces; an error as it is; nothing without a connection or an answer within two seconds.
    std::string command(std::initializer_list<std::string_view> arguments) const {
        return command(std::vector<std::string_view>{arguments});
    }
    std::string command(const std::vector<std::string_view>& arguments) const {
        if (!admin_ || admin_->err != 0) {
            const timeval two_seconds{2, 0};
            admin_.reset(redisConnectUnixWithTimeout(socket_path().c_str(), two_seconds));
            if (!admin_ || admin_->err != 0 || redisSetTimeout(admin_.get(), two_seconds) != REDIS_OK) return {};
        }
        std::vector<const char*> texts;
        std::vector<std::size_t> sizes;
        for (const auto argument : arguments) {
            texts.push_back(argument.data());
            sizes.push_back(argument.size());
        }
        auto* const reply = static_cast<redisReply*>(
            redisCommandArgv(admin_.get(), static_cast<int>(texts.size()), texts.data(), sizes.data()));
        if (reply == nullptr) return {};
        const std::unique_ptr<redisReply, void (*)(void*)> owner{reply, freeReplyObject};
        return text_of(*reply);
    }

    /// The number behind `name:` in INFO.
    std::string info(const std::string& name) const {
        const auto all = command({"INFO", "everything"});
        const auto at = all.find("\n" + name + ":");
        if (at == std::string::npos) return {};
        const auto begin = at + name.size() + 2;
        return all.substr(begin, all.find('\r', begin) - begin);
    }

    static int free_port() {
        const int probe = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        const bool done = ::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                          ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size) == 0;
        ::close(probe);
        if (!done) throw std::runtime_error{"no free port"};
        return ntohs(address.sin_port);
    }

private:
    bool start() {
        const std::string port = std::to_string(port_);
        const std::string path = socket_path();
        std::vector<std::string> words = {
            "redis-server",  "--port", port, "--bind",       host_, "--unixsocket", path, "--dir",
            folder_,         "--save", "",   "--appendonly", "no",  "--daemonize",  "no", "--logfile",
            folder_ + "/log"};
        words.insert(words.end(), options_.begin(), options_.end());
        if (has_config_) words.insert(words.begin() + 1, config_file());
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        std::filesystem::remove(path);

        pid_ = ::fork();
        if (pid_ == 0) {
            const int null = ::open("/dev/null", O_RDWR);
            for (int fd = 0; fd != 3; ++fd) ::dup2(null, fd);
            ::execvp(arguments[0], arguments.data());
            ::_exit(127);
        }
        for (int attempt = 0; attempt != 1'000; ++attempt) {
            const auto answer = command({"PING"});
            if (answer == "PONG" || answer.rfind("NOAUTH", 0) == 0) return true;
            if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
                pid_ = -1;
                return false;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{10});
        }
        kill();
        return false;
    }

    std::string config_file() const { return folder_ + "/redis.conf"; }

    static std::string text_of(const redisReply& reply) {
        if (reply.type == REDIS_REPLY_INTEGER) return std::to_string(reply.integer);
        if (reply.type != REDIS_REPLY_ARRAY)
            return reply.str == nullptr ? std::string{} : std::string{reply.str, static_cast<std::size_t>(reply.len)};
        std::string all;
        for (std::size_t i = 0; i != static_cast<std::size_t>(reply.elements); ++i) {
            all += (i == 0 ? "" : " ") + text_of(*reply.element[i]);
        }
        return all;
    }

    struct Free {
        void operator()(redisContext* context) const noexcept { redisFree(context); }
    };

    std::vector<std::string> options_;
    std::string host_;
    bool has_config_ = false;
    mutable std::unique_ptr<redisContext, Free> admin_;
    std::string folder_;
    int port_ = 0;
    pid_t pid_ = -1;
};

#endif
