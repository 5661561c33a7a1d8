// SPDX-License-Identifier: MIT
#ifndef SLUICE_TESTS_SUPPORT_PROCESS_HPP
#define SLUICE_TESTS_SUPPORT_PROCESS_HPP

#include <cerrno>
#include <csignal>
#include <system_error>

#include <sys/resource.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>

// What tests do to a process as a whole.

/// Throws unless a call of the system's succeeded.
inline void must(int result) {
    if (result != 0) throw std::system_error{errno, std::generic_category()};
}

/// Waits until a child ends; 0 if it exited with 0.
inline int status_of(pid_t child) {
    int status = -1;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/// Interrupts system calls every 5 ms, from start() on.
class SignalStorm {
public:
    SignalStorm() {
        struct sigaction action {};
        action.sa_handler = [](int) {};  // without SA_RESTART
        must(::sigaction(SIGALRM, &action, &before_));
    }
    SignalStorm(const SignalStorm&) = delete;
    SignalStorm& operator=(const SignalStorm&) = delete;
    ~SignalStorm() {
        static_cast<void>(every(0));
        ::sigaction(SIGALRM, &before_, nullptr);
    }
    void start() { must(every(5'000)); }

private:
    static int every(suseconds_t us) {
        const itimerval timer{{0, us}, {0, us}};
        return ::setitimer(ITIMER_REAL, &timer, nullptr);
    }

    struct sigaction before_ {};
};

/// Calls `body` where the process can open no descriptor more.
template <class Body>
void without_descriptors(Body body) {
    rlimit before{};
    must(::getrlimit(RLIMIT_NOFILE, &before));
    const rlimit none{0, before.rlim_max};
    must(::setrlimit(RLIMIT_NOFILE, &none));
    body();
    must(::setrlimit(RLIMIT_NOFILE, &before));
}

#endif
