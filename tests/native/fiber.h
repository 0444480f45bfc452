// Fibers: functions with stacks of their own that hand the processor to each other.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>

#if !defined(__x86_64__) || defined(TWEENRT_UCONTEXT)
#include <ucontext.h>
#define TWEENRT_FIBER_UCONTEXT
#endif

namespace simt {

constexpr size_t kStackBytes = 64 * 1024;  // the compiler refuses functions that come near: -Wframe-larger-than

#ifdef TWEENRT_FIBER_UCONTEXT
using Context = ucontext_t;
#else
using Context = void*;  // the stack pointer; everything else that a function must keep lies on the stack

// Keeps the registers that a call preserves, then takes up the other stack.
extern "C" void tweenrt_switch_stack(void** save, void* load);
asm(R"(
    .text
    .p2align 4
    .local tweenrt_switch_stack
    .type tweenrt_switch_stack, @function
tweenrt_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size tweenrt_switch_stack, .-tweenrt_switch_stack
)");
#endif

// A default-made fiber stands for the code that switches away from it; `start` gives it a stack and a function.
class Fiber {
  public:
    // `function` must never return.
    void start(void (*function)()) {
        if (!stack_) stack_ = make_stack();
#ifdef TWEENRT_FIBER_UCONTEXT
        getcontext(&context_);
        context_.uc_stack.ss_sp = stack_;
        context_.uc_stack.ss_size = kStackBytes;
        context_.uc_link = nullptr;
        makecontext(&context_, function, 0);
#else
        // As if the function had been called: no return address, then its own, then the six registers.
        auto** const top = reinterpret_cast<void**>(stack_ + kStackBytes);
        top[-1] = nullptr;
        top[-2] = reinterpret_cast<void*>(function);
        context_ = top - 8;
#endif
    }

    static void change(Fiber& from, Fiber& to) {
#ifdef TWEENRT_FIBER_UCONTEXT
        swapcontext(&from.context_, &to.context_);
#else
        tweenrt_switch_stack(&from.context_, to.context_);
#endif
    }

  private:
    static unsigned char* make_stack() {
        void* const stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED) throw std::bad_alloc();
        return static_cast<unsigned char*>(stack);
    }

    unsigned char* stack_ = nullptr;  // kept for the next fiber in this place, to the end of the process
    Context context_{};
};

}  // namespace simt
