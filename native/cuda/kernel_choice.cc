#include "cuda/kernel_choice.h"

#include <algorithm>
#include <map>

#include "core/error.h"

namespace warploop::cuda {

namespace {

struct KnownKernel {
  std::string_view name;
  bool hopper;
};
using Tables = std::map<OpId, std::vector<KnownKernel>>;

/// Of all ops that have several kernels.
Tables& tables() {
  static Tables known;
  return known;
}

const std::vector<KnownKernel>* find_table(std::string_view op) {
  for (const auto& [id, kernels] : tables())
    if (name_of(id) == op) return &kernels;
  return nullptr;
}

bool is_answered(const std::vector<KnownKernel>& kernels, std::string_view wish) {
  return std::any_of(kernels.begin(), kernels.end(), [wish](const KnownKernel& each) {
    return each.name == wish || wish == (each.hopper ? kHopperKernels : kPortableKernels);
  });
}

[[noreturn]] void refuse(std::string_view entry, const char* problem) {
  std::string ops;
  for (const auto& [op, kernels] : tables()) ops.append(ops.empty() ? "" : ", ").append(name_of(op));
  fail(ErrorKind::device, "WARPLOOP_KERNEL: \"", entry, "\": ", problem,
       "; expected op:kernel of one of the ops ", ops, ", or *:hopper or *:portable");
}

[[noreturn]] void refuse_kernel(std::string_view entry, const std::vector<KnownKernel>& kernels) {
  std::string names;
  bool has_hopper = false;
  for (const KnownKernel& each : kernels) {
    names.append(each.name).append(", ");
    has_hopper |= each.hopper;
  }
  fail(ErrorKind::device, "WARPLOOP_KERNEL: \"", entry, "\": no such kernel; expected one of ", names,
       "or for the best of a group ", has_hopper ? "hopper or " : "", kPortableKernels);
}

std::string_view trimmed(std::string_view text) {
  const size_t first = std::min(text.find_first_not_of(' '), text.size());
  return text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

}  // namespace

void make_known(OpId op, std::string_view kernel, bool hopper) { tables()[op].push_back({kernel, hopper}); }

KernelChoice::KernelChoice(std::string_view text) {
  if (trimmed(text).empty()) return;
  for (size_t start = 0, end; start <= text.size(); start = end + 1) {
    end = std::min(text.find(',', start), text.size());
    const std::string_view entry = trimmed(text.substr(start, end - start));
    const size_t colon = entry.find(':');
    if (colon == std::string_view::npos || colon + 1 == entry.size()) refuse(entry, "no kernel");
    const std::string_view op = trimmed(entry.substr(0, colon)), kernel = trimmed(entry.substr(colon + 1));
    const auto* kernels = find_table(op);
    if (op != "*" && !kernels) refuse(entry, "no op with a choice of kernels");
    if (op == "*" && kernel != kHopperKernels && kernel != kPortableKernels) refuse(entry, "no such group");
    if (kernels && !is_answered(*kernels, kernel)) refuse_kernel(entry, *kernels);
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
