// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_POSTGRES_SERVER_HPP
#define SLUICE_TESTS_SUPPORT_POSTGRES_SERVER_HPP

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/// A Postgres server of the test's own, on a free port of 127.0.0.1 and on a unix socket, in a temporary folder. Ends with
/// the object. Postgres refuses to run as root, who therefore lends it the account "postgres" or "nobody".
class PostgresServer {
public:
    /// `settings` as in postgresql.conf, e.g. "max_connections=10". Throws where it does not start.
    explicit PostgresServer(std::vector<std::string> settings = {}) : settings_(std::move(settings)) {
        std::string folder = (std::filesystem::temp_directory_path() / "sluice-postgres-XXXXXX").string();
        if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error{"cannot make a temporary folder"};
        folder_ = folder;
        if (::getuid() == 0) {
            for (const char* name : {"postgres", "nobody"}) {
                if (account_ == nullptr) account_ = ::getpwnam(name);
            }
            if (account_ == nullptr || ::chown(folder_.c_str(), account_->pw_uid, account_->pw_gid) != 0) {
                throw std::runtime_error{"there is no account to run Postgres with"};
            }
        }
        int status = -1;
        ::waitpid(spawn({program("initdb"), "-D", folder_ + "/data", "-U", "sluice", "-A", "trust", "--no-sync",
                         "--no-locale", "-E", "UTF8"}),
                  &status, 0);
        if (status == 0) {
            for (int attempt = 0; attempt != 5; ++attempt) {
                port_ = free_port();
                if (start()) return;
            }
        }
        std::filesystem::remove_all(folder_);
        throw std::runtime_error{"Postgres does not start: is it installed? (Debian and Ubuntu: postgresql)"};
    }
    ~PostgresServer() {
        kill();
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;

    std::string connection_string() const { return "host=" + folder_ + rest(); }
    std::string tcp_connection_string() const { return "host=127.0.0.1" + rest(); }
    int port() const noexcept { return port_; }
    const std::string& folder() const noexcept { return folder_; }

    /// As kill -9. Its children notice and end.
    void kill() noexcept {
        if (pid_ <= 0) return;
        thaw();
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }
    /// Starts again after kill(), on the same port. Returns when it answers.
    void restart() {
        // Until the last child of the one before has ended it refuses to.
        for (int attempt = 0; attempt != 50; ++attempt) {
            if (start()) return;
            std::this_thread::sleep_for(std::chrono::milliseconds{100});
        }
        throw std::runtime_error{"Postgres does not start again"};
    }
    /// Reads its configuration again.
    void reload() const noexcept { ::kill(pid_, SIGHUP); }
    std::string access_file() const { return folder_ + "/data/pg_hba.conf"; }

    /// Stops the server and all sessions that it has now.
    void freeze() {
        std::istringstream pids{
            command("SELECT string_agg(pid::text, ' ') FROM pg_stat_activity "
                    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")};
        for (pid_t pid; pids >> pid;) frozen_.push_back(pid);
        frozen_.push_back(pid_);
        for (const pid_t pid : frozen_) ::kill(pid, SIGSTOP);
    }
    void thaw() noexcept {
        for (const pid_t pid : frozen_) ::kill(pid, SIGCONT);
        frozen_.clear();
    }

    /// Runs SQL on a connection of its own. The first value of the last result, or the error's SQLSTATE; nothing without
    /// a connection.
    std::string command(const std::string& sql) const {
        const Session session{*this};
        return session.command(sql);
    }

    /// A connection that stays open, for locks.
    class Session {
    public:
        explicit Session(const PostgresServer& server)
            : connection_(PQconnectdb((server.connection_string() + " connect_timeout=2").c_str()), PQfinish) {}

        std::string command(const std::string& sql) const {
            PQsetNoticeReceiver(
                connection_.get(), [](void*, const PGresult*) {}, nullptr);
            const std::unique_ptr<PGresult, void (*)(PGresult*)> result{PQexec(connection_.get(), sql.c_str()),
                                                                        PQclear};
            if (const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE)) return state;
            return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
        }

    private:
        std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
    };

private:
    std::string rest() const { return " port=" + std::to_string(port_) + " user=sluice dbname=postgres"; }

    /// In PATH, or where Debian and Homebrew keep the newest.
    static std::string program(const std::string& name) {
        namespace fs = std::filesystem;
        std::vector<fs::path> found;
        std::istringstream path{std::getenv("PATH") ? std::getenv("PATH") : ""};
        for (std::string folder; std::getline(path, folder, ':');) {
            if (fs::exists(fs::path{folder} / name)) return (fs::path{folder} / name).string();
        }
        std::error_code none;
        for (const char* root : {"/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"}) {
            for (const auto& entry : fs::directory_iterator{root, none}) {
                if (fs::exists(entry.path() / "bin" / name, none)) found.push_back(entry.path() / "bin" / name);
            }
        }
        return found.empty() ? name : std::max_element(found.begin(), found.end())->string();
    }

    bool start() {
        std::vector<std::string> words{program("postgres"), "-D", folder_ + "/data"};
        std::vector<std::string> all{"listen_addresses=127.0.0.1",
                                     "port=" + std::to_string(port_),
                                     "unix_socket_directories=" + folder_,
                                     "shared_buffers=16MB",
                                     "fsync=off",
                                     "max_connections=100",
                                     "autovacuum_naptime=5s",
                                     "log_min_messages=fatal"};
        all.insert(all.end(), settings_.begin(), settings_.end());
        for (const std::string& setting : all) {
            words.push_back("-c");
            words.push_back(setting);
        }
        pid_ = spawn(std::move(words));
        for (int attempt = 0; attempt != 1'000; ++attempt) {
            if (command("SELECT 'here'") == "here") return true;
            if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
                pid_ = -1;
                return false;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
        kill();
        return false;
    }

    pid_t spawn(std::vector<std::string> words) const {
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        const std::string log = folder_ + "/log";
        const pid_t child = ::fork();
        if (child != 0) return child;
        if (account_ != nullptr && (::setgid(account_->pw_gid) != 0 || ::setuid(account_->pw_uid) != 0)) ::_exit(126);
        const int null = ::open("/dev/null", O_RDWR);
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(null, 0);
        ::dup2(out, 1);
        ::dup2(out, 2);
        if (::chdir(folder_.c_str()) != 0) ::_exit(125);
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
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

    std::vector<std::string> settings_;
    std::string folder_;
    passwd* account_ = nullptr;
    int port_ = 0;
    pid_t pid_ = -1;
    std::vector<pid_t> frozen_;
};

#endif
