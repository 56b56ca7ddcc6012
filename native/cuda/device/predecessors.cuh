// Programmatic dependent launch, the device's side: a kernel may start while the one before it on the stream
// still runs, and waits for it here. PTX ISA 9.7.13.13 (griddepcontrol).
//
// The rule, for every kernel: each of its threads calls wait_for_predecessors() once, on every path, before
// it reads or writes global memory, workspace and counters included: the kernel before may write what it
// reads and still read what it writes. Weights are no exception, since packLinear or a copy may have written
// them just before: until then they are prefetched into L2, which gives nobody a value. Arguments, tensor
// maps, shared memory and barriers may be prepared.
//
// The wait is over when the kernel before has ended and what it has written is visible. That one has ended
// only after its own waits (hence every path), so whatever came before it has ended, too.
//
// Only then are the dependents let go. Earlier would be legal, since they all wait, but then a queue of
// kernels that cannot run yet would fill the SMs; like this, one kernel overlaps the next and no other.
#pragma once
#include "cuda/device/platform.cuh"

#ifdef WARPLOOP_SIMT
#include "simt/predecessors.h"

namespace warploop::cuda {
using simt::wait_for_predecessors;
}
#else

namespace warploop::cuda {

WARPLOOP_DEVICE void wait_for_predecessors() {
#if __CUDA_ARCH__ >= 900  // before, launches overlap with nothing
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;");
#endif
}

}  // namespace warploop::cuda
#endif
