// The kernels of one op in order of preference, each with what keeps it from being used.
#pragma once
#include <initializer_list>

#include "core/error.h"
#include "cuda/cuda_context.h"
#include "cuda/kernel_choice.h"

namespace warploop::cuda {

/// One kernel of an op, or one shape of its tiles. One of a table at least runs whatever `check` lets pass;
/// each refuses what it cannot run, also the last: a name can force it.
template <class Params>
struct Candidate {
  using Ask = const char* (*)(const Params& params, const CudaContext& context);

  const char* name;
  bool hopper = false;
  /// Null, or why it cannot run `params` here ("Dh is not 64 or 128"). Left out: it can run all.
  Ask refuse = nullptr;
  /// Of one that can run: null, or why another one is expected to be faster. Left out: always the former.
  Ask slower = nullptr;
  void (*run)(const Params& params, CudaContext& context);

  bool answers(std::string_view kernel) const {
    return kernel == name || (kernel == kHopperKernels && hopper) || (kernel == kPortableKernels && !hopper);
  }
};

/// Makes the names of a table known to WARPLOOP_KERNEL: a static object beside the table.
struct KnownKernels {
  template <class Params, int n>
  KnownKernels(std::initializer_list<OpId> ops, const Candidate<Params> (&candidates)[n]) {
    for (const OpId op : ops)
      for (const Candidate<Params>& each : candidates) make_known(op, each.name, each.hopper);
  }
};

/// The first candidate that neither refuses nor is slower: for a part of an op that has noted its own.
template <class Params, int n>
const Candidate<Params>& choose_freely(const Candidate<Params> (&candidates)[n], const Params& params,
                                       const CudaContext& context) {
  const char* reason = nullptr;
  for (const Candidate<Params>& each : candidates) {
    reason = each.refuse ? each.refuse(params, context) : nullptr;
    if (!reason && each.slower) reason = each.slower(params, context);
    if (!reason) return each;
  }
  fail_execution("no kernel can run a part of this: ", reason);
}

/// The first candidate that neither refuses nor is slower, after the wishes of WARPLOOP_KERNEL for `op`: of
/// those whom a wish means, also one that is slower. What was passed over, and why, is noted for a trace.
template <class Params, int n>
const Candidate<Params>& choose(OpId op, const Candidate<Params> (&candidates)[n], const Params& params,
                                const CudaContext& context) {
  static_assert(n <= CommandNote::kMostRefusals);
  const KernelChoice::Wish wish = context.kernels->of(op);
  CommandNote& note = context.note;
  const auto search = [&](bool wished, bool fast) -> const Candidate<Params>* {
    note.num_refusals = 0;
    for (const Candidate<Params>& each : candidates) {
      const char* reason = wished && !each.answers(wish.kernel) ? "WARPLOOP_KERNEL names another" : nullptr;
      if (!reason && each.refuse) reason = each.refuse(params, context);
      if (!reason && fast && each.slower) reason = each.slower(params, context);
      if (!reason) {
        note.kernel = each.name;
        return &each;
      }
      note.refusals[note.num_refusals++] = {each.name, reason};
    }
    return nullptr;
  };
  if (!wish.kernel.empty()) {
    for (const bool fast : {true, false})
      if (const auto* found = search(true, fast)) return *found;
    for (const Candidate<Params>& each : candidates) {
      if (wish.required && each.answers(wish.kernel))
        fail_execution("WARPLOOP_KERNEL: the kernel ", each.name,
                       " cannot run this: ", each.refuse(params, context));
    }
  }
  if (const auto* found = search(false, true)) return *found;
  const auto& last = note.refusals[note.num_refusals - 1];
  fail_execution("no kernel can run this: ", last.kernel, ": ", last.reason);
}

}  // namespace warploop::cuda
