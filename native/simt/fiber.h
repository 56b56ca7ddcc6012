// Stacks of their own and the switch between them, within one OS thread. A fiber never moves to another OS
// thread: compiled code keeps addresses of thread-local variables across a switch.
#pragma once
#include <cstddef>

namespace warploop::simt {

class Fiber {
 public:
  /// The calling OS thread's own stack, so that others can switch back to it.
  Fiber() = default;
  /// A new stack, on which `entry` starts with the first switch to it; it never returns. `color` (any number)
  /// shifts the top of the stack, so that the hot ends of many stacks do not compete for the same cache sets.
  Fiber(void (*entry)(), size_t color);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Whether `p` points into its stack.
  bool holds(const void* p) const { return p >= lowest_ && p < static_cast<const char*>(lowest_) + size_; }
  /// Forgets what the fiber was doing: its frames are not unwound. The next switch starts `entry` again.
  void reset();
  /// Leaves this fiber, which runs now, for `to`. Returns when somebody switches back.
  void switch_to(Fiber& to);
  /// To be called first by `entry`; `from` is the fiber that switched here.
  static void entered(Fiber& from);

 private:
  void* stack_pointer_ = nullptr;
  char* mapping_ = nullptr;  // guard page, then the stack
  const void* lowest_ =
      nullptr;  // of the stack; for the OS thread's own one known once it has been left (only ASan asks)
  size_t size_ = 0;
  void* fake_stack_ = nullptr;  // of ASan
  void (*entry_)() = nullptr;
  size_t color_ = 0;
};

}  // namespace warploop::simt
