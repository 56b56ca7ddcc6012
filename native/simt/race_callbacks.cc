// What -fsanitize=thread calls before the accesses of kernels. The names and signatures are those of the
// compilers' contract with the sanitizer's library, which is not linked: LLVM
// compiler-rt/lib/tsan/rtl/tsan_interface.h and tsan_interface_atomic.h.
#include <cstddef>
#include <cstdint>

#include "simt/race_state.h"

namespace {

namespace race = warploop::simt::race;

void note(const volatile void* p, size_t bytes, race::Kind kind, void* from) {
  warploop::simt::Thread* thread = warploop::simt::current_thread;
  if (!thread) return;  // host code
  race::access(*thread, const_cast<const void*>(p), bytes, kind, {reinterpret_cast<uintptr_t>(from), false});
}

}  // namespace

#define WARPLOOP_HERE __builtin_return_address(0)
#define WARPLOOP_ACCESS(name, bytes, kind) \
  void __tsan_##name(void* p) { note(p, bytes, race::Kind::kind, WARPLOOP_HERE); }
#define WARPLOOP_ACCESSES(bytes)                        \
  WARPLOOP_ACCESS(read##bytes, bytes, read)             \
  WARPLOOP_ACCESS(write##bytes, bytes, write)           \
  WARPLOOP_ACCESS(unaligned_read##bytes, bytes, read)   \
  WARPLOOP_ACCESS(unaligned_write##bytes, bytes, write) \
  WARPLOOP_ACCESS(volatile_read##bytes, bytes, read)    \
  WARPLOOP_ACCESS(volatile_write##bytes, bytes, write)  \
  WARPLOOP_ACCESS(read_write##bytes, bytes, write)      \
  WARPLOOP_ACCESS(unaligned_read_write##bytes, bytes, write)

#define WARPLOOP_FETCH(bits, T, name)                                 \
  T __tsan_atomic##bits##_fetch_##name(volatile T* p, T value, int) { \
    note(p, sizeof(T), race::Kind::atomic, WARPLOOP_HERE);            \
    return __atomic_fetch_##name(p, value, __ATOMIC_SEQ_CST);         \
  }
#define WARPLOOP_EXCHANGE(bits, T, strength, weak)                                                       \
  int __tsan_atomic##bits##_compare_exchange_##strength(volatile T* p, T* expected, T value, int, int) { \
    note(p, sizeof(T), race::Kind::atomic, WARPLOOP_HERE);                                               \
    return __atomic_compare_exchange_n(p, expected, value, weak, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);    \
  }
#define WARPLOOP_ATOMICS(bits, T)                                 \
  T __tsan_atomic##bits##_load(const volatile T* p, int) {        \
    note(p, sizeof(T), race::Kind::atomic, WARPLOOP_HERE);        \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                  \
  }                                                               \
  void __tsan_atomic##bits##_store(volatile T* p, T value, int) { \
    note(p, sizeof(T), race::Kind::atomic, WARPLOOP_HERE);        \
    __atomic_store_n(p, value, __ATOMIC_SEQ_CST);                 \
  }                                                               \
  T __tsan_atomic##bits##_exchange(volatile T* p, T value, int) { \
    note(p, sizeof(T), race::Kind::atomic, WARPLOOP_HERE);        \
    return __atomic_exchange_n(p, value, __ATOMIC_SEQ_CST);       \
  }                                                               \
  WARPLOOP_FETCH(bits, T, add)                                    \
  WARPLOOP_FETCH(bits, T, sub)                                    \
  WARPLOOP_FETCH(bits, T, and)                                    \
  WARPLOOP_FETCH(bits, T, or)                                     \
  WARPLOOP_FETCH(bits, T, xor)                                    \
  WARPLOOP_EXCHANGE(bits, T, strong, false)                       \
  WARPLOOP_EXCHANGE(bits, T, weak, true)

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) {}
void __tsan_read_range(void* p, size_t bytes) { note(p, bytes, race::Kind::read, WARPLOOP_HERE); }
void __tsan_write_range(void* p, size_t bytes) { note(p, bytes, race::Kind::write, WARPLOOP_HERE); }
WARPLOOP_ACCESSES(1)
WARPLOOP_ACCESSES(2)
WARPLOOP_ACCESSES(4)
WARPLOOP_ACCESSES(8)
WARPLOOP_ACCESSES(16)
WARPLOOP_ATOMICS(8, unsigned char)
WARPLOOP_ATOMICS(16, unsigned short)
WARPLOOP_ATOMICS(32, unsigned int)
WARPLOOP_ATOMICS(64, unsigned long)
}
