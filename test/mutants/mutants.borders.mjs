// Planted bugs at the borders of tiles, of work lists and of scratch memory; see mutants.mjs.

/** @type {import("./mutants.mjs").TableMutant[]} */
export const borderMutants = [
  {
    name: "sm90-first-block",
    bug: "flashAttention on Hopper: a window that begins with a block loses its first key",
    file: "native/ops/flash_attention/flash_attention.sm90.cu",
    edits: [
      ["std::max(0, tile.position - p.window + 1) : 0;", "std::max(0, tile.position - p.window + 2) : 0;"],
    ],
    table: "test/ops/tileBorders.test.ts",
    cases: "flashAttention.*windows.*sm90, Dh: 64",
  },
  {
    name: "sm90-beyond",
    bug: "flashAttention on Hopper: a tile that ends one key after a block loses that key",
    file: "native/ops/flash_attention/flash_attention.sm90.cu",
    edits: [
      [
        "std::min(tile.Lk, tile.position + tile.rows) : tile.Lk;",
        "std::min(tile.Lk, tile.position + tile.rows - 1) : tile.Lk;",
      ],
    ],
    table: "test/ops/tileBorders.test.ts",
    cases: "flashAttention.*Lk - Lq.*sm90, Dh: 64",
  },
  {
    name: "ring-count",
    bug: "attention: the last tile of one key is left out",
    file: "native/cuda/attention/key_ring.cuh",
    edits: [
      [
        "std::max(source.keys.last - tile + kKeys - 1, 0) / kKeys)",
        "std::max(source.keys.last - tile + kKeys - 2, 0) / kKeys)",
      ],
    ],
    table: "test/ops/tileBorders.test.ts",
    cases: "pagedAttention.* keys ",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "merge-many-spans",
    bug: "attention: the merge knows as many spans as it has threads",
    file: "native/cuda/attention/merge.cuh",
    edits: [["constexpr int kOwn = kMaxSpans / kMergeThreads;", "constexpr int kOwn = 1;"]],
    table: "test/ops/pagedAttention.test.ts",
    cases: "more spans than the merge",
    kernels: ["native/cuda/attention/attention.cu"],
  },
  {
    name: "cursor-second-block",
    bug: "groupedLinear on Hopper: the second block of a cluster has the rows of the first",
    file: "native/ops/grouped_linear/grouped_linear.sm90.cu",
    edits: [
      ["shuffle(rows.first, owner) + row};", "shuffle(rows.first, owner) + index.row * kClusterRows};"],
    ],
    table: "test/ops/tileBordersProducts.test.ts",
    cases: "the second block of a cluster",
  },
  {
    name: "wgmma-columns",
    bug: "groupedLinear on Hopper: one row more than wgmma has columns",
    file: "native/ops/grouped_linear/grouped_linear.sm90.cu",
    edits: [["rows <= 16 ? 16 : rows <= 32 ? 32 : 64; }", "rows <= 17 ? 16 : rows <= 32 ? 32 : 64; }"]],
    table: "test/ops/tileBordersProducts.test.ts",
    cases: "hopper, few rows",
  },
  {
    name: "find-rows-end",
    bug: "groupedLinear: the tile behind an expert's last is his, too",
    file: "native/cuda/gemm/row_tiles.cuh",
    edits: [["index >= begin && index < begin + tiles;", "index >= begin && index <= begin + tiles;"]],
    table: "test/ops/tileBordersProducts.test.ts",
    cases: "portable, tiles of (8|16) rows",
    kernels: ["native/ops/grouped_linear/grouped_linear.cu"],
  },
  {
    name: "stream-panels",
    bug: "linear: weights behind the last panel are read",
    file: "native/cuda/gemm/streaming.cuh",
    edits: [["k < p.K && i / 2 < panels_left);", "k < p.K && i / 2 <= panels_left);"]],
    table: "test/ops/tileBordersProducts.test.ts",
    cases: "tile: 8x64",
    kernels: ["native/ops/linear/linear.cu"],
  },
  {
    name: "permute-threads",
    bug: "moePermute: the last pairs have no thread",
    file: "native/ops/moe_permute/moe_permute.cu",
    edits: [
      [
        "const int threads = static_cast<int>((wanted + kWarpSize - 1) / kWarpSize * kWarpSize);",
        "const int threads = static_cast<int>(std::max<int64_t>(wanted / kWarpSize, 1) * kWarpSize);",
      ],
    ],
    table: "test/ops/moePermute.test.ts",
    cases: "simt",
  },
  {
    name: "route-more-than-warp",
    bug: "moeRoute: more experts of a token than lanes",
    file: "native/ops/moe_route/moe_route.cu",
    edits: [["const float chosen = K <= kWarpSize ? last : weights[k];", "const float chosen = last;"]],
    table: "test/ops/moeRoute.test.ts",
    cases: "simt",
  },
  {
    name: "softmax-seen",
    bug: "softmax: causal rows are counted from the first column",
    file: "native/ops/softmax/softmax.cu",
    edits: [["std::clamp<int64_t>(group.row + D - T + 1, 0, D)", "std::clamp<int64_t>(group.row + 1, 0, D)"]],
    table: "test/ops/softmax.test.ts",
    cases: "causal",
  },
  {
    name: "splits-room",
    bug: "linear: sums of splits behind the workspace",
    file: "native/cuda/gemm/schedule.h",
    edits: [
      [
        "const int64_t room = context.workspace_bytes / (tiles * tile_bytes);",
        "const int64_t room = context.workspace_bytes / tiles / (tile_bytes / 4);",
      ],
    ],
    table: "test/ops/scratch.test.ts",
    cases: "linear",
    kernels: ["native/ops/linear/linear.cu"],
  },
  {
    name: "logprobs-status-row",
    bug: "logprobs: statuses of a further launch in the rows of the first",
    file: "native/ops/logprobs/logprobs.cu",
    edits: [["p.status[p.first_row + blockIdx.x] =", "p.status[blockIdx.x] ="]],
    table: "test/ops/scratch.test.ts",
    cases: "logprobs",
  },
  {
    name: "plan-pool-edge",
    bug: "attention: a split sequence that begins in the pool ends behind it",
    file: "native/cuda/attention/plan.cuh",
    edits: [["part + parts <= plan.pool_rows;", "part <= plan.pool_rows;"]],
    table: "test/ops/scratch.test.ts",
    cases: "Attention",
    kernels: ["native/cuda/attention/attention.cu"],
  },
  {
    name: "plan-window",
    bug: "attention: a window that begins with a span loses its first key",
    file: "native/cuda/attention/plan.cuh",
    edits: [
      [
        "std::max(s.num_keys - s.num_queries - p.window + 1, 0)",
        "std::max(s.num_keys - s.num_queries - p.window + 2, 0)",
      ],
    ],
    table: "test/ops/tileBorders.test.ts",
    cases: "windows that begin with a span",
    kernels: ["native/cuda/attention/attention.cu"],
  },
  {
    name: "wide-sees",
    bug: "attention: row blocks leave out the first key of a tile",
    file: "native/cuda/attention/wide.cuh",
    edits: [
      [
        "visible_keys(p_, item_.num_keys, shared_.position[bottom]).end > first &&",
        "visible_keys(p_, item_.num_keys, shared_.position[bottom]).end > first + 1 &&",
      ],
    ],
    table: "test/ops/tileBorders.test.ts",
    cases: "pagedAttention.* keys ",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "argmax-room",
    bug: "argmax: slices behind the workspace",
    file: "native/ops/argmax/argmax.cu",
    edits: [
      [
        "static_cast<int64_t>(sizeof(uint64_t)) / grid.slices;",
        "static_cast<int64_t>(sizeof(uint32_t)) / grid.slices;",
      ],
    ],
    table: "test/ops/scratch.test.ts",
    cases: "argmax",
  },
  {
    name: "splits-counters",
    bug: "linear: more tiles than counters",
    file: "native/cuda/gemm/schedule.h",
    edits: [["if (tiles == 0 || tiles > context.num_counters) return 1;", "if (tiles == 0) return 1;"]],
    table: "test/ops/scratch.test.ts",
    cases: "linear, 2 rows",
    kernels: ["native/ops/linear/linear.cu"],
  },
  {
    name: "permute-room",
    bug: "moePermute: totals behind the workspace",
    file: "native/ops/moe_permute/moe_permute.cu",
    edits: [["words / E - 1);", "words / E);"]],
    table: "test/ops/scratch.test.ts",
    cases: "moePermute, 40",
  },
  {
    name: "kv-value-grid",
    bug: "kvStore: as many blocks as the keys need",
    file: "native/ops/kv_store/kv_store.cu",
    edits: [
      [
        "launch_shape<kBatch>(std::max(params.sides[0].grid.total, params.sides[1].grid.total));",
        "launch_shape<kBatch>(params.sides[0].grid.total);",
      ],
    ],
    table: "test/ops/kvStore.test.ts",
    cases: "far wider values",
  },
  {
    name: "rope-k-grid",
    bug: "rope: as many blocks as q needs",
    file: "native/ops/rope/rope.cu",
    edits: [
      [
        "launch_shape<1>(std::max(params.sides[0].grid.total, params.sides[1].grid.total));",
        "launch_shape<1>(params.sides[0].grid.total);",
      ],
    ],
    table: "test/ops/rope.test.ts",
    cases: "far more k than q",
  },
  {
    name: "plan-reserved",
    bug: "attention: no room for the ends of the workspace's pieces: more of it is too little",
    file: "native/cuda/attention/attention.cu",
    edits: [
      [
        "static_cast<int64_t>(sizeof(AttentionItem)) + 8 * 256;",
        "static_cast<int64_t>(sizeof(AttentionItem));",
      ],
    ],
    table: "test/ops/scratch.test.ts",
    cases: "edges.*flashAttention, bf16",
  },
  {
    name: "plan-split-list",
    bug: "attention: the list of split tiles is as long as if each had four rows in the pool",
    file: "native/cuda/attention/attention.cu",
    edits: [
      [
        "plan.split[kind] = pieces.take<AttentionItem>(split[kind]);",
        "plan.split[kind] = pieces.take<AttentionItem>(split[kind] / 4);",
      ],
    ],
    table: "test/ops/scratch.test.ts",
    cases: "edges.*flashAttention, bf16",
  },
  {
    name: "splits-counters-edge",
    bug: "linear: one tile more than counters",
    file: "native/cuda/gemm/schedule.h",
    edits: [["tiles > context.num_counters) return 1;", "tiles > context.num_counters + 1) return 1;"]],
    table: "test/ops/scratch.test.ts",
    cases: "edges.*linear",
    kernels: ["native/ops/linear/linear.cu"],
  },
];
