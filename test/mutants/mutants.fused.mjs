// Planted bugs in ops that do what several did; see mutants.mjs.

const gated = "test/ops/linear.swiglu.test.ts";

const store = "native/ops/qk_norm_rope_store/qk_norm_rope_store.cu";
const table = "test/ops/qkNormRopeStore.test.ts";

/** @type {import("./mutants.mjs").TableMutant[]} */
export const fusedMutants = [
  {
    name: "prepare-unsynced",
    bug: "qkNormRopeStore: lanes turn pairs whose other halves have not been left yet",
    file: store,
    edits: [["  sync_warp();\n", ""]],
    table,
    cases: "the widest heads",
  },
  {
    name: "prepare-one-weight",
    bug: "qkNormRopeStore: keys are normalised with the weight of the queries",
    file: store,
    edits: [
      ["heads(p.k, p.k_weight, p.k_pages, p.k_scales)", "heads(p.k, p.q_weight, p.k_pages, p.k_scales)"],
    ],
    table,
    cases: "bf16",
  },
  {
    name: "prepare-rounded-once",
    bug: "qkNormRopeStore: f32 pages get keys that were never rounded to the dtype of q",
    file: store,
    edits: [["h[i][j] = rounded_to(heads.x.dtype, turned);", "h[i][j] = turned;"]],
    table,
    cases: "bf16 to f32 pages hold keys of bf16",
  },
  {
    name: "prepare-padding-writes",
    bug: "qkNormRopeStore: a token without a slot writes in front of the pages",
    file: store,
    edits: [["  if (slot == -1) return;\n", ""]],
    table,
    cases: "skipped tokens",
  },
  {
    name: "prepare-last-group",
    bug: "qkNormRopeStore: the last numbers of a latent, fewer than 128, are stored as if they were 128",
    file: store,
    edits: [["head == p.v.count - 1 ? p.v.last_vectors : p.v.vectors;", "p.v.vectors;"]],
    table: "test/ops/kvCodes.test.ts",
    cases: "latents as codes.*Dv: 144",
  },
  {
    name: "swiglu-bias-of-gate",
    bug: "linear: up gets the biases of gate",
    file: "native/cuda/gemm/finish.cuh",
    edits: [["add_bias_quad(e, bias + e.columns, column, up)", "add_bias_quad(e, bias, column, up)"]],
    table: gated,
    cases: "every tile.*8x64",
    kernels: ["native/ops/linear/linear.cu"],
  },
  {
    name: "swiglu-gate-clamped-below",
    bug: "siluMul: the gate is clamped from below, too",
    file: "native/cuda/device/activations.cuh",
    edits: [
      ["g = gate > limit ? limit : gate;", "g = gate > limit ? limit : gate < -limit ? -limit : gate;"],
    ],
    table: "test/ops/siluMul.test.ts",
    cases: "clamped, as gpt-oss",
    kernels: ["native/ops/silu_mul/silu_mul.cu"],
  },
  {
    name: "grouped-bias-of-first",
    bug: "groupedLinear: every expert has the biases of the first",
    file: "native/cuda/gemm/row_tiles.cuh",
    edits: [["return e.bias ? e.bias + group * e.bias_stride : nullptr;", "return e.bias;"]],
    table: "test/ops/groupedLinear.test.ts",
    cases: "biases, swiglu \\{",
    kernels: ["native/ops/grouped_linear/grouped_linear.cu"],
  },
  {
    name: "sm90-stream-bias-of-gate",
    bug: "groupedLinear on Hopper, few rows: up gets the biases of gate",
    file: "native/ops/grouped_linear/grouped_linear.stream.sm90.cu",
    edits: [["up += bias[e.columns + column + c];", "up += bias[column + c];"]],
    table: "test/ops/groupedLinear.test.ts",
    cases: "biases, clamped, whole pieces, few rows",
  },
  {
    name: "moe-count-padding",
    bug: "moeCount: padding counts",
    file: "native/ops/moe_count/moe_count.cu",
    edits: [["e == expert && (!p.slots || p.slots[pair / p.K] >= 0)", "e == expert"]],
    table: "test/ops/moeCount.test.ts",
    cases: "some padding",
  },
  {
    name: "swiglu-half-the-tiles",
    bug: "linear on Hopper: as many tiles as columns of out fill",
    file: "native/ops/linear/linear.sm90.cu",
    edits: [["pieces(p.weight_rows, Tile::kColumns)", "pieces(p.epilogue.columns, Tile::kColumns)"]],
    table: gated,
    cases: "every tile",
  },
  {
    name: "swiglu-next-panel",
    bug: "products on Hopper: gate is multiplied with the gate of eight columns on",
    file: "native/cuda/gemm/tile_store.cuh",
    edits: [["up[n] = d[gate + 8];", "up[n] = d[gate + 4];"]],
    table: gated,
    cases: "every tile",
    kernels: ["native/ops/linear/linear.sm90.cu"],
  },
  {
    name: "route-many-pairs",
    bug: "moeRoute: the last block groups more pairs than it has room for",
    file: "native/ops/moe_route/moe_route.cu",
    edits: [["p.experts.numel() <= kFewPairs;", "p.experts.numel() <= 2 * kFewPairs;"]],
    table: "test/ops/moeRoute.test.ts",
    cases: "one token more",
    kernels: ["native/ops/moe_route/moe_route.cu"],
  },
  {
    name: "route-permute-alone",
    bug: "moeRoute: the first block to end groups the pairs of all",
    file: "native/ops/moe_route/moe_route.cu",
    edits: [
      ["arrive_last(*p.arrivals, gridDim.x, plan.is_last)", "arrive_last(*p.arrivals, 1, plan.is_last)"],
      ["if (p.arrivals) permute(p);", "if (p.arrivals && blockIdx.x == 0) permute(p);"],
    ],
    table: "test/ops/moeRoute.test.ts",
    cases: "grouped by expert",
    kernels: ["native/ops/moe_route/moe_route.cu"],
  },
];
