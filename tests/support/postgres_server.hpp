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
        if (run({"cp", "-R", cluster().path + "/data", data()}, folder_.path)) {
            for (int attempt = 0; attempt != 5; ++attempt) {
                port_ = free_port();
                if (start()) return;
            }
        }
        throw std::runtime_error{"Postgres does not start: is it installed? (Debian and Ubuntu: postgresql)"};
    }
    /// A hot standby of a server that runs.
    struct StandbyOf {
        const PostgresServer& primary;
    };
    explicit PostgresServer(StandbyOf of) {
        const std::vector<std::string> copy{program("pg_basebackup"),
                                            "-h",
                                            of.primary.folder(),
                                            "-p",
                                            std::to_string(of.primary.port()),
                                            "-U",
                                            "sluice",
                                            "-D",
                                            data(),
                                            "-R",
                                            "-c",
                                            "fast"};
        if (run(copy, folder_.path)) {
            for (int attempt = 0; attempt != 5; ++attempt) {
                port_ = free_port();
                if (start()) return;
            }
        }
        throw std::runtime_error{"the standby does not start"};
    }
    ~PostgresServer() { kill(); }
    PostgresServer(const PostgresServer&) = delete;
    PostgresServer& operator=(const PostgresServer&) = delete;

    std::string connection_string() const { return "host=" + folder_.path + rest(); }
    std::string tcp_connection_string() const { return "host=127.0.0.1" + rest(); }
    int port() const noexcept { return port_; }
    const std::string& folder() const noexcept { return folder_.path; }

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
    std::string access_file() const { return data() + "/pg_hba.conf"; }

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
        explicit Session(const PostgresServer& server) : Session(server, server.connection_string()) {}
        Session(const PostgresServer&, const std::string& connection_string)
            : connection_(PQconnectdb((connection_string + " connect_timeout=2").c_str()), PQfinish) {}

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
    /// Root's stand-in, or null.
    static const passwd* account() {
        if (::getuid() != 0) return nullptr;
        for (const char* name : {"postgres", "nobody"}) {
            if (const passwd* const found = ::getpwnam(name)) return found;
        }
        throw std::runtime_error{"there is no account to run Postgres with"};
    }

    /// A temporary folder that the account may write to. Goes with the object.
    struct Folder {
        Folder() {
            if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error{"cannot make a temporary folder"};
            const passwd* const owner = account();
            if (owner != nullptr && ::chown(path.c_str(), owner->pw_uid, owner->pw_gid) != 0) {
                throw std::runtime_error{"cannot give Postgres its folder"};
            }
        }
        ~Folder() {
            std::error_code ignored;
            std::filesystem::remove_all(path, ignored);
        }
        Folder(const Folder&) = delete;
        Folder& operator=(const Folder&) = delete;

        std::string path = (std::filesystem::temp_directory_path() / "sluice-postgres-XXXXXX").string();
    };

    /// A folder with fresh data in it, for every server to copy: initdb takes several times as long.
    static const Folder& cluster() {
        struct Cluster : Folder {
            Cluster() {
                static_cast<void>(run({program("initdb"), "-D", path + "/data", "-U", "sluice", "-A", "trust",
                                       "--no-sync", "--no-locale", "-E", "UTF8"},
                                      path));
            }
        };
        static const Cluster made;
        return made;
    }

    std::string data() const { return folder_.path + "/data"; }
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
        std::vector<std::string> words{program("postgres"), "-D", data()};
        std::vector<std::string> all{"listen_addresses=127.0.0.1",
                                     "port=" + std::to_string(port_),
                                     "unix_socket_directories=" + folder_.path,
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
        pid_ = spawn(std::move(words), folder_.path);
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

    static pid_t spawn(std::vector<std::string> words, const std::string& folder) {
        const passwd* const user = account();
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        const std::string log = folder + "/log";
        const pid_t child = ::fork();
        if (child != 0) return child;
        if (user != nullptr && (::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) ::_exit(126);
        const int null = ::open("/dev/null", O_RDWR);
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(null, 0);
        ::dup2(out, 1);
        ::dup2(out, 2);
        if (::chdir(folder.c_str()) != 0) ::_exit(125);
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }

    /// Whether the command succeeds.
    static bool run(std::vector<std::string> words, const std::string& folder) {
        int status = -1;
        ::waitpid(spawn(std::move(words), folder), &status, 0);
        return status == 0;
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
    Folder folder_;
    int port_ = 0;
    pid_t pid_ = -1;
    std::vector<pid_t> frozen_;
};

#endif
