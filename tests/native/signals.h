// While a kernel runs, its crashes and endless loops become errors of the launch.
#pragma once

#include <sys/time.h>

#include <csignal>
#include <cstddef>

namespace simt {

class Signals {
  public:
    using Handler = void (*)(int, siginfo_t*, void*);

    Signals(Handler handler, int milliseconds) {
        struct sigaction action{};
        action.sa_sigaction = handler;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;  // the handler leaves through another stack
        for (size_t i = 0; i < kCount; ++i) sigaction(kNumbers[i], &action, &before_[i]);
        set_timer(milliseconds);
    }
    ~Signals() {
        set_timer(0);
        for (size_t i = 0; i < kCount; ++i) sigaction(kNumbers[i], &before_[i], nullptr);
    }
    Signals(Signals const&) = delete;
    Signals& operator=(Signals const&) = delete;

    // Of processor time; 0: no limit.
    static void set_timer(int milliseconds) {
        itimerval const limit{{0, 0}, {milliseconds / 1000, milliseconds % 1000 * 1000}};
        setitimer(ITIMER_VIRTUAL, &limit, nullptr);
    }

  private:
#ifdef __SANITIZE_ADDRESS__
    static constexpr int kNumbers[] = {SIGVTALRM};  // the sanitizer itself tells of the others, in more detail
#else
    static constexpr int kNumbers[] = {SIGVTALRM, SIGSEGV, SIGBUS, SIGFPE};
#endif
    static constexpr size_t kCount = sizeof kNumbers / sizeof kNumbers[0];

    struct sigaction before_[kCount];
};

}  // namespace simt
