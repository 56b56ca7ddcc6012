// What one thread works on, and with what: an item of attention and its scratch.
#pragma once
#include "core/attention_limits.h"
#include "cpu/attention.h"
#include "cpu/attention_tile.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int kSpanKeys = 4 * kTileKeys;
inline constexpr int kItemRows = 128;  // rows times KV heads of an item; amortises the packing of a tile

struct AttentionItem {
  AttentionSequence sequence;
  int64_t first_head, num_heads;  // KV heads
  int64_t first_row, num_rows;    // per KV head; row = query * G + head of the group, G = Hq / Hkv
  int64_t first_key, last_key;    // [first_key, last_key)
  float* partial;  // where the sums of a single span go, part_floats(Dv) for each row of each head; null:
                   // finish `out`
};

/// Scratch of one thread for one item. A state row is a row of a head: head * num_rows + row.
struct AttentionWorkspace {
  alignas(64) uint32_t queries[kItemRows * kMaxLatentWidth];  // [state rows][Dh / kPerUnit]
  alignas(64) uint32_t keys[kMaxLatentWidth * kTileKeys];     // [Dh / kPerUnit][kTileKeys]
  alignas(64) uint32_t values[kTileKeys * kMaxHeadWidth];     // [kTileKeys / kPerUnit][Dv]
  alignas(64) float out[kItemRows * kMaxHeadWidth];           // [state rows][Dv], of the span
  alignas(64) float sum[kItemRows * kLanes];                  // [state rows][kLanes], of the span
  alignas(64) float max[kItemRows];                           // [state rows], of the span
  alignas(64) float total_out[kItemRows * kMaxHeadWidth];     // the spans so far
  alignas(64) float total_sum[kItemRows];
  alignas(64) float total_max[kItemRows];
  alignas(64) float decay[kItemRows];                      // [state rows]
  alignas(64) float scores[kItemRows * kTileKeys];         // [state rows][kTileKeys]
  alignas(64) uint32_t weights[kItemRows * kTileKeys];     // [state rows][kTileKeys / kPerUnit]
  alignas(64) float latents[kTileKeys * kMaxLatentWidth];  // [kTileKeys][Dh] of the dtype that is multiplied
  alignas(64) float key_scales[kTileKeys];                 // of the head at hand, of codes
  alignas(64) float value_scales[kTileKeys];
  int64_t begin[kItemRows];  // row r sees the keys [begin, end)
  int64_t end[kItemRows];
};

}  // namespace warploop::cpu::WARPLOOP_ISA
