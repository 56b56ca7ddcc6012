// Op identities, generated from native/ops/list.h, and the table that says how a device runs each of them.
#pragma once
#include <array>
#include <cstdint>

namespace warploop {

class Executor;

enum class OpId : uint16_t {
#define WARPLOOP_OP(name, Name, js) name,
#include "ops/list.h"
#undef WARPLOOP_OP
  count
};
inline constexpr int kOpCount = static_cast<int>(OpId::count);

constexpr const char* name_of(OpId op) {
  constexpr const char* kNames[] = {
#define WARPLOOP_OP(name, Name, js) #js,
#include "ops/list.h"
#undef WARPLOOP_OP
    "host command"
  };
  return kNames[static_cast<int>(op)];
}

/// Runs one op on the stream's worker thread. `params` points to the op's Params struct.
using RunFn = void (*)(const void* params, Executor& executor);

/// One row per op; null: the op does not exist on this device.
using OpTable = std::array<RunFn, kOpCount>;

}  // namespace warploop
