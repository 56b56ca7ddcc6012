#include "cuda/kernel_choice.h"

#include <algorithm>

#include "core/error.h"

namespace warploop::cuda {

namespace {

/// Ops whose kernels are a table of cuda/choose.h.
constexpr OpId kOps[] = {OpId::linear,          OpId::grouped_linear, OpId::flash_attention,
                         OpId::paged_attention, OpId::mla_attention,  OpId::indexer_top_k};

bool has_table(std::string_view op) {
  return std::any_of(std::begin(kOps), std::end(kOps), [op](OpId each) { return name_of(each) == op; });
}

[[noreturn]] void refuse(std::string_view entry, const char* problem) {
  std::string ops;
  for (const OpId op : kOps) ops.append(ops.empty() ? "" : ", ").append(name_of(op));
  fail(ErrorKind::device, "WARPLOOP_KERNEL: \"", entry, "\": ", problem,
       "; expected op:kernel of one of the ops ", ops, ", or *:hopper or *:portable");
}

}  // namespace

KernelChoice::KernelChoice(std::string_view text) {
  if (text.empty()) return;
  for (size_t start = 0, end; start <= text.size(); start = end + 1) {
    end = std::min(text.find(',', start), text.size());
    const std::string_view entry = text.substr(start, end - start);
    const size_t colon = entry.find(':');
    if (colon == std::string_view::npos || colon + 1 == entry.size()) refuse(entry, "no kernel");
    const std::string_view op = entry.substr(0, colon), kernel = entry.substr(colon + 1);
    if (op != "*" && !has_table(op)) refuse(entry, "no op with a choice of kernels");
    if (op == "*" && kernel != kHopperKernels && kernel != kPortableKernels) refuse(entry, "no such group");
    if (std::any_of(entries_.begin(), entries_.end(), [op](const Entry& e) { return e.op == op; }))
      refuse(entry, "a second wish for the same op");
    entries_.push_back({std::string(op), std::string(kernel)});
  }
}

KernelChoice::Wish KernelChoice::of(OpId op) const {
  Wish wish;
  for (const Entry& entry : entries_) {
    if (entry.op == name_of(op)) return {entry.kernel, true};
    if (entry.op == "*") wish = {entry.kernel, false};
  }
  return wish;
}

}  // namespace warploop::cuda
