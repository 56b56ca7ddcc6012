#include "simt/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define WARPLOOP_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WARPLOOP_ASAN 1
#endif
#endif
#ifdef WARPLOOP_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// void warploop_simt_switch(void** save, void* to): pushes the registers that a call preserves, stores the
// stack pointer in *save, takes `to` as stack pointer and pops the registers that were pushed there.
// Floating-point modes are not saved: kernels do not change them. System V AMD64 ABI 3.2.1; AAPCS64 6.1.
extern "C" void warploop_simt_switch(void** save, void* to);

#if defined(__x86_64__)
asm(R"(
.text
.globl warploop_simt_switch
.hidden warploop_simt_switch
.type warploop_simt_switch, @function
warploop_simt_switch:
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
  popq %rcx
  jmpq *%rcx
.size warploop_simt_switch, .-warploop_simt_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl warploop_simt_switch
.hidden warploop_simt_switch
.type warploop_simt_switch, %function
warploop_simt_switch:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size warploop_simt_switch, .-warploop_simt_switch
)");
#else
#error "simt: the context switch is written for x86-64 and aarch64"
#endif

namespace warploop::simt {
namespace {

#ifdef WARPLOOP_ASAN
constexpr size_t kStackBytes = 1 << 20;  // red zones make frames several times larger
#else
constexpr size_t kStackBytes = 256 << 10;
#endif
constexpr size_t kPageBytes = 4 << 10;
constexpr size_t kGuardBytes = 64 << 10;  // a page, of any usual size

}  // namespace

Fiber::Fiber(void (*entry)(), size_t color) : size_(kStackBytes), entry_(entry), color_(color) {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<char*>(memory);
  if (mprotect(mapping_, kGuardBytes, PROT_NONE) != 0) {
    munmap(mapping_, kGuardBytes + kStackBytes);
    throw std::bad_alloc();
  }
  lowest_ = mapping_ + kGuardBytes;
  reset();
}

Fiber::~Fiber() {
  if (!mapping_) return;
#ifdef WARPLOOP_ASAN
  __asan_unpoison_memory_region(lowest_, size_);  // the addresses will belong to others
#endif
  munmap(mapping_, kGuardBytes + kStackBytes);
}

void Fiber::reset() {
  char* top = mapping_ + kGuardBytes + kStackBytes;
#ifdef WARPLOOP_ASAN
  __asan_unpoison_memory_region(lowest_, size_);  // abandoned frames leave their red zones behind
  fake_stack_ = nullptr;
#endif
  void** words = reinterpret_cast<void**>(top - kPageBytes * (color_ % 16) - 64 * (color_ % 61));
#if defined(__x86_64__)
  // Six registers and the address to go to; `entry` finds the stack as after a call: 8 bytes off a multiple
  // of 16, with a null return address, where debuggers stop.
  words -= 8;
  for (int i = 0; i < 8; i++) words[i] = nullptr;
  words[6] = reinterpret_cast<void*>(entry_);
#else
  words -= 20;
  for (int i = 0; i < 20; i++) words[i] = nullptr;
  words[11] = reinterpret_cast<void*>(entry_);  // x30
#endif
  stack_pointer_ = words;
}

void Fiber::switch_to(Fiber& to) {
#ifdef WARPLOOP_ASAN
  __sanitizer_start_switch_fiber(&fake_stack_, to.lowest_, to.size_);
#endif
  warploop_simt_switch(&stack_pointer_, to.stack_pointer_);
#ifdef WARPLOOP_ASAN
  __sanitizer_finish_switch_fiber(fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::entered([[maybe_unused]] Fiber& from) {
#ifdef WARPLOOP_ASAN
  const void* lowest;
  size_t size;
  __sanitizer_finish_switch_fiber(nullptr, &lowest, &size);
  if (!from.mapping_) {
    from.lowest_ = lowest;
    from.size_ = size;
  }
#endif
}

}  // namespace warploop::simt
