// Who accessed which bytes last, of a block's shared memory or of a page of global memory, and which of two
// accesses conflict.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "simt/race_clock.h"

namespace warploop::simt::race {

/// Where in the kernel: what a std::source_location points to, or the address of an instruction.
struct Place {
  uintptr_t value = 0;
  bool is_site = false;
};

enum class Kind : uint8_t { read, write, atomic };

/// One access to a cell.
struct Access {
  uintptr_t place = 0;
  uint32_t step = 0;  // of the agent; 0: there was no access
  uint32_t cluster = 0;
  uint16_t agent = 0;
  uint8_t bytes : 2 = 0;  // of the cell, as bits
  uint8_t is_site : 1 = 0;
  uint8_t async : 1 = 0;  // by the copy engine or the tensor cores
  uint8_t atomic : 1 = 0;
  uint8_t writes : 1 = 0;
};

struct Conflict {
  const char* text;
  size_t offset;  // in the memory; of global memory the address
  Access now;
  Access earlier;  // step 0: none
};

class Memory {
 public:
  /// Forgets everything. `initialised`: all of it has contents.
  void open(size_t bytes, bool initialised);

  /// `me` accesses [offset, offset + bytes). `async`: it is the copy engine or the tensor cores.
  std::optional<Conflict> access(const View& me, Kind kind, bool async, size_t offset, size_t bytes,
                                 Place place);
  /// Until copy_ended nobody may touch the bytes.
  std::optional<Conflict> copy_started(const View& me, size_t offset, size_t bytes, Place place);
  void copy_ended(const View& me, size_t offset, size_t bytes);

 private:
  static constexpr size_t kCellBytes = 2;

  /// Reads of several agents. Some may be kept that a later one stands for: looking for them at each read is
  /// what a check would mostly do.
  struct Reads {
    std::vector<Access> all;
    size_t next = 0;   // the one that probably gives way to the next read: threads read in turns
    size_t room = 16;  // when there are so many, those that give way go
  };

  struct Cell {
    Access write;                 // the last one
    Access read;                  // since then
    std::unique_ptr<Reads> more;  // of others
    uint8_t initialised = 0;      // bytes, as bits
    bool copying = false;         // `write` is a copy under way
  };

  static const char* touch(Cell& cell, const View& me, const Access& now, Access& earlier);
  static const char* touch_for_write(Cell& cell, const View& me, const Access& now, Access& earlier);
  static void note_read(Cell& cell, const View& me, const Access& now);
  static void thin(std::vector<Access>& reads);

  std::vector<Cell> cells_;
};

}  // namespace warploop::simt::race
