// A recorded step: the commands that the captured op calls would have queued, and the memory they point into.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "core/command_list.h"
#include "core/memory.h"

namespace warploop {

class Graph {
 public:
  /// What a device made of the commands at the first replay (a CUDA graph); plain lists need none.
  struct Compiled {
    virtual ~Compiled() = default;
  };

  CommandList commands;
  std::vector<MemoryRef> memory;
  uint64_t executor = 0;  // id of the one whose stream recorded it, the only one that may compile it
  std::unique_ptr<Compiled> compiled;  // touched by that stream's worker only
};

}  // namespace warploop
