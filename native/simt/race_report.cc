#include "simt/race_report.h"

#include <dlfcn.h>

#include <bit>
#include <cstdio>
#include <memory>

#include "core/error.h"
#include "simt/diagnostics.h"
#include "simt/scheduler.h"

namespace warploop::simt::race {
namespace {

/// "cuda/gemm/tiles.cuh:83": without what is in front of native/.
std::string shorten(std::string line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  if (const size_t note = line.find(" ("); note != std::string::npos) line.resize(note);
  const size_t native = line.rfind("native/");
  return native == std::string::npos ? line : line.substr(native + 7);
}

/// The line of an instruction, as binutils' addr2line tells, and the line of the kernel that it was called
/// from where it lies in a helper. Lines of the emulator are left out.
std::string line_of(uintptr_t address) {
  Dl_info module;
  if (!dladdr(reinterpret_cast<void*>(address), &module)) return "an unknown place";
  char command[1024];
  const uintptr_t offset = address - reinterpret_cast<uintptr_t>(module.dli_fbase) - 1;  // in the call
  std::snprintf(command, sizeof command, "addr2line -i -e '%s' %#zx 2>/dev/null", module.dli_fname, offset);
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command, "r"), pclose);
  std::string inner, outer;
  char line[1024];
  while (pipe && std::fgets(line, sizeof line, pipe.get())) {
    const std::string text = shorten(line);
    if (text.starts_with("simt/") || text.starts_with("??") || text.starts_with("/usr/")) continue;
    if (inner.empty()) {
      inner = text;
    } else if (outer.empty() && text.substr(0, text.find(':')) != inner.substr(0, inner.find(':'))) {
      outer = text;
    }
  }
  if (inner.empty()) return concat("instruction ", offset, " of ", module.dli_fname);
  return outer.empty() ? inner : concat(inner, " (called at ", outer, ')');
}

std::string place_text(const Access& access) {
  if (!access.is_site) return line_of(access.place);
  return simt::place(std::bit_cast<Site>(access.place));
}

std::string block_text(uint3 index) { return concat('(', index.x, ", ", index.y, ", ", index.z, ')'); }

/// Where block `rank` of a cluster is in the grid.
uint3 index_of(uint32_t cluster, uint32_t rank) {
  const Launch& launch = scheduler().launch();
  const dim3 dim = launch.cluster;
  const uint32_t columns = launch.grid.x / dim.x, rows = launch.grid.y / dim.y;
  return {cluster % columns * dim.x + rank % dim.x, cluster / columns % rows * dim.y + rank / dim.x % dim.y,
          cluster / columns / rows * dim.z + rank / (dim.x * dim.y)};
}

std::string agent_text(const Races& races, uint32_t cluster, uint16_t agent) {
  const auto thread_text = [&](size_t rank, int number) {
    if (cluster != races.cluster())
      return concat("thread ", number, " of block ",
                    block_text(index_of(cluster, static_cast<uint32_t>(rank))));
    const bool alone = races.threads() == races.threads_of_block();
    return alone ? concat("thread ", number)
                 : concat("thread ", number, " of block ", rank, " of the cluster");
  };
  if (agent < races.threads()) {
    return thread_text(agent / races.threads_of_block(), static_cast<int>(agent % races.threads_of_block()));
  }
  if (cluster != races.cluster()) return concat("a bulk copy of block ", block_text(index_of(cluster, 0)));
  const auto [kind, object] = races.name(agent);
  if (kind == AgentKind::load) return "a bulk load";
  if (kind == AgentKind::end)
    return concat("block ", static_cast<const Block*>(object)->rank, " of the cluster");
  if (kind == AgentKind::product) return concat("a wgmma of warp ", static_cast<const Warp*>(object)->number);
  const Thread& thread = *static_cast<const Thread*>(object);
  return concat("a bulk store of ",
                thread_text(static_cast<size_t>(thread.warp->block->rank), thread.number));
}

std::string access_text(const Races& races, const Access& access) {
  if (access.place == 0) return "end of " + agent_text(races, access.cluster, access.agent);
  const char* kind = access.atomic ? "atomic" : access.writes ? "write" : "read";
  return concat(kind, " at ", place_text(access), " by ", agent_text(races, access.cluster, access.agent));
}

}  // namespace

std::string describe(const Races& races, const Report& report) {
  const Conflict& c = report.conflict;
  std::string text = concat(access_text(races, c.now), ' ', c.text);
  if (c.earlier.step) text += concat(": ", access_text(races, c.earlier));
  if (!report.block) return text + concat(", global memory at ", hex(c.offset));
  return text + concat(", shared offset ", c.offset, " of block ", block_text(report.block->index));
}

}  // namespace warploop::simt::race
