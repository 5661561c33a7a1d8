// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <set>
#include <system_error>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sluice/detail/entropy.hpp>

#include "support/catch.hpp"
#include "support/process.hpp"

TEST_CASE("random words have all their bits and do not repeat") {
    std::set<std::uint64_t> words;
    std::uint64_t ones = 0;
    std::uint64_t zeros = 0;
    for (int i = 0; i != 100; ++i) {
        const std::uint64_t word = sluice::detail::random_word();
        words.insert(word);
        ones |= word;
        zeros |= ~word;
    }
    CHECK(words.size() == 100);
    CHECK(ones == ~std::uint64_t{0});
    CHECK(zeros == ~std::uint64_t{0});
}

namespace {

/// From now on the system call fails. False where that cannot be had, as in an emulator.
bool forbid(unsigned call, unsigned error) {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{4, code};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

}  // namespace

TEST_CASE("where a sandbox forbids getrandom, the device gives random words, and without that it is an error") {
    const pid_t child = ::fork();
    if (child == 0) {
        if (!forbid(SYS_getrandom, ENOSYS)) ::_exit(0);
        bool good = sluice::detail::random_word() != sluice::detail::random_word();
        if (!forbid(SYS_openat, EMFILE)) ::_exit(1);
        try {
            static_cast<void>(sluice::detail::random_word());
            good = false;
        } catch (const std::system_error& error) {
            good = good && error.code() == std::errc::too_many_files_open;
        }
        ::_exit(good ? 0 : 1);
    }
    CHECK(status_of(child) == 0);
}
