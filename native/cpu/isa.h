// The instruction sets that this build contains, and the choice made at start-up. Every <op>.cpu.cc is
// compiled once per set in its own namespace; the tables below are the only way in, so no code of a wider set
// can run by accident.
#pragma once
#include <string>
#include <vector>

#include "core/op.h"

namespace warploop::cpu {

struct Isa {
  const char* name;
  bool (*supported)();
  const OpTable& (*ops)();
};

/// Compiled sets, widest first.
const std::vector<Isa>& compiled_isas();

/// The widest set that this processor runs; WARPLOOP_ISA (diagnostics) can force a narrower one. Null when
/// none fits.
const Isa* choose_isa();

}  // namespace warploop::cpu
