#include "simt/diagnostics.h"

#include <map>
#include <vector>

#include "simt/scheduler.h"

namespace warploop::simt {
namespace {

std::string text_of(dim3 d) { return concat('(', d.x, ", ", d.y, ", ", d.z, ')'); }
std::string text_of(uint3 d) { return text_of(dim3(d.x, d.y, d.z)); }

constexpr int kMostRanges = 12, kMostBlocks = 8;  // of a message

/// "0-31, 64, 96-127" of increasing numbers.
std::string ranges(const std::vector<int>& numbers) {
  std::string text;
  int count = 0;
  for (size_t i = 0, end; i < numbers.size(); i = end) {
    if (++count > kMostRanges) return concat(text, " and more, ", numbers.size(), " in all");
    for (end = i + 1; end < numbers.size() && numbers[end] == numbers[end - 1] + 1; end++) {
    }
    text += concat(i ? ", " : "", numbers[i]);
    if (end - i > 1) text += concat('-', numbers[end - 1]);
  }
  return text;
}

std::string state_of(const Thread& thread) {
  if (thread.ended) return "ended";
  if (!thread.fiber) return "not started";
  if (thread.warp->ready >> thread.lane & 1) {
    return thread.waits_in ? concat("can run, last seen in ", thread.waits_in, " at ", place(thread.waits_at))
                           : "can run";
  }
  if (!thread.waits_in) return "runs";
  const auto& attachment = thread.warp->block->attachment;
  return concat("wait in ", thread.waits_in, " at ", place(thread.waits_at),
                attachment ? attachment->waits_for(thread) : std::string());
}

}  // namespace

std::string Scheduler::who_waits_where() const {
  std::string text;
  int blocks = 0;
  for (const auto& cluster : clusters_) {
    if (cluster->running == 0) continue;
    for (const auto& block : cluster->blocks) {
      if (++blocks > kMostBlocks) return text + "  and other blocks\n";
      std::map<std::string, std::vector<int>> groups;
      for (const Thread& thread : block->threads) groups[state_of(thread)].push_back(thread.number);
      for (const auto& [state, numbers] : groups) {
        text += concat("  block ", text_of(block->index), ", threads ", ranges(numbers), ": ", state, "\n");
      }
    }
  }
  return text;
}

void fail_launch(const char* operation, Site site, const std::string& text) {
  const Launch& launch = scheduler().launch();
  std::string message = concat("simt: ", launch.kernel->name);
  if (current_thread) {
    message += concat(", block ", text_of(self_block().index), ", thread ", self().number);
  }
  message += concat(": ", operation);
  if (site.line()) message += concat(" at ", place(site));
  message += concat(": ", text);
  if (message.ends_with('\n')) message.pop_back();
  message += concat(" [grid ", text_of(launch.grid), ", block ", text_of(launch.block), ", seed ",
                    options().seed, "]");
  throw Error(ErrorKind::execution, message);
}

}  // namespace warploop::simt
