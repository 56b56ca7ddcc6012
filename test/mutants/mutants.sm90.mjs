// Planted bugs in what needs sm_90: bulk copies, mbarriers, wgmma; see mutants.mjs.

const pipeline = "native/cuda/gemm/hopper_pipeline.cuh";
const store = "native/cuda/gemm/tile_store.cuh";
const linear = "native/ops/linear/linear.sm90.cu";
const staged = "native/cuda/gemm/staged_residual.cuh";
const attention = "native/cuda/attention/hopper.cuh";
const copies = "native/cuda/attention/hopper_copies.cuh";
const storeProgram = "test/mutants/store.cu";

/** @type {import("./mutants.mjs").Mutant[]} */
export const hopperMutants = [
  // ---- TMA, mbarriers, wgmma: the matrix product of sm_90
  {
    name: "linear-release-early",
    bug: "a stage is released while wgmma still reads it",
    program: "linear",
    file: pipeline,
    edits: [["    wgmma_wait<1>();\n", "    wgmma_wait<2>();\n"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-expect-bytes",
    bug: "mbarrier_expect_bytes leaves out the weight",
    program: "linear",
    file: linear,
    edits: [["Tile::kXBytes + Tile::kWeightBytes);\n      tma_load", "Tile::kXBytes);\n      tma_load"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-producer-parity",
    bug: "the producer waits for the wrong parity",
    program: "linear",
    file: linear,
    edits: [["at.parity ^ 1u);\n      mbarrier_expect_bytes", "at.parity);\n      mbarrier_expect_bytes"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-no-empty-wait",
    bug: "the producer does not wait for an empty stage",
    program: "linear",
    file: linear,
    edits: [
      [
        "      mbarrier_wait(plan.ring.empty[at.stage], at.parity ^ 1u);\n      mbarrier_expect",
        "      mbarrier_expect",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-descriptor-sbo",
    bug: "wrong stride in the descriptor of the weight",
    program: "linear",
    file: pipeline,
    edits: [["matrix_descriptor(b, 16, kEightRows, ", "matrix_descriptor(b, 16, kEightRows / 2, "]],
    foundBy: ["adversarial"],
  },
  {
    name: "linear-sums-early",
    bug: "accumulators are read before wgmma_wait",
    program: "linear",
    file: pipeline,
    edits: [["  wgmma_wait<0>();\n  register_fence(d);", "  register_fence(d);"]],
    foundBy: ["adversarial"],
  },
  {
    name: "linear-no-wgmma-fence",
    bug: "no wgmma_fence before the first product",
    program: "linear",
    file: pipeline,
    edits: [["    wgmma_fence();\n", ""]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-misaligned-stage",
    bug: "the stages are not aligned to 1024 bytes",
    program: "linear",
    file: linear,
    edits: [
      [
        "alignas(1024) unsigned char x[kStages][kXBytes];",
        "alignas(1024) unsigned char front[128];\n    unsigned char x[kStages][kXBytes];",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-no-full-wait",
    bug: "the consumers do not wait for a full stage",
    program: "linear",
    file: pipeline,
    edits: [["    mbarrier_wait(ring.full[at.stage], at.parity);\n", ""]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-no-barrier-fence",
    bug: "mbarriers are used without fence_mbarrier_init",
    program: "linear",
    file: pipeline,
    edits: [["    fence_mbarrier_init();\n", ""]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-release-own-block",
    bug: "a stage of a cluster is released to one producer only",
    program: "linear",
    file: pipeline,
    edits: [["if (lane < kCluster) mbarrier_release_cluster", "if (lane < 1) mbarrier_release_cluster"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-cluster-ends-early",
    bug: "a block of a cluster ends while its peers still write into it",
    program: "linear",
    file: linear,
    edits: [["  wait_for_peers<Tile::kCluster>();\n", ""]],
    foundBy: ["adversarial"],
  },
  {
    name: "linear-staging-read-early",
    bug: "no sync_warp between the staged rows and their readers",
    program: "linear",
    file: store,
    edits: [["  sync_warp();\n  const bool whole", "  const bool whole"]],
    foundBy: ["race"],
  },
  {
    name: "linear-staging-reused-early",
    bug: "no sync_warp before the staging rows are written again",
    program: "linear",
    file: store,
    edits: [["  sync_warp();  // the span before has been read\n", ""]],
    foundBy: ["race"],
  },
  {
    name: "linear-residual-no-wait",
    bug: "the residual is read before it is in its stage",
    program: "linear",
    file: linear,
    edits: [
      ["      mbarrier_wait(plan.ring.full[at.stage], at.parity);\n      add_staged", "      add_staged"],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-residual-no-empty-wait",
    bug: "the residual is loaded into a stage that is still multiplied",
    program: "linear",
    file: linear,
    edits: [
      [
        "      mbarrier_wait(plan.ring.empty[at.stage], at.parity ^ 1u);\n      load_residual",
        "      load_residual",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-residual-release-early",
    bug: "a stage of the residual is given back while other lanes still read it",
    program: "linear",
    file: staged,
    edits: [["  const int lane = lane_index();\n  sync_warp();\n", "  const int lane = lane_index();\n"]],
    foundBy: ["race"],
  },
  {
    name: "linear-residual-not-released",
    bug: "a stage of the residual is given back to the own producer alone",
    program: "linear",
    file: staged,
    edits: [["if (lane < kCluster) mbarrier_arrive_cluster", "if (lane < 1) mbarrier_arrive_cluster"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-residual-half",
    bug: "linear on Hopper: half of a residual of f32 is waited for",
    file: staged,
    edits: [["wide ? 2 * box_bytes : box_bytes", "box_bytes"]],
    table: "test/ops/linear.test.ts",
    cases: "copy engine.*more steps than stages.*h128x128, residual: f32",
  },
  {
    name: "linear-residual-swizzle",
    bug: "linear on Hopper: pieces of a residual of f32 are not swizzled back",
    file: staged,
    edits: [["((byte / 16 ^ g) * 16 + byte % 16)", "(byte / 16 * 16 + byte % 16)"]],
    table: "test/ops/linear.test.ts",
    cases: "copy engine.*one step.*h64x128",
  },
  // ---- attention of sm_90
  {
    name: "attention-value-release-early",
    bug: "a stage of V is released before its product is done",
    program: "attention",
    file: attention,
    edits: [
      ["    wgmma_wait<0>();\n    register_fence(o_);", "    register_fence(o_);"],
      [
        "    release(shared_.v_empty[stage_of(n).index]);\n  }\n\n  /// -inf",
        "    release(shared_.v_empty[stage_of(n).index]);\n    wgmma_wait<0>();\n    register_fence(o_);\n  }\n\n  /// -inf",
      ],
    ],
    foundBy: ["race"],
  },
  {
    name: "attention-value-not-waited",
    bug: "nobody waits for V",
    program: "attention",
    file: attention,
    edits: [["    mbarrier_wait(shared_.v_full[index], parity);\n    register_fence", "    register_fence"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "attention-queries-early",
    bug: "the queries are given back before their last product",
    program: "attention",
    file: attention,
    edits: [
      [
        "    if (tile_ >= keys_.last) release(shared_.q_empty);\n    multiply_values(n_);",
        "    multiply_values(n_);",
      ],
      [
        "    multiply_keys(n_);\n    finish_keys<0>(n_);",
        "    if (end == keys_.last) release(shared_.q_empty);\n    multiply_keys(n_);\n    finish_keys<0>(n_);",
      ],
    ],
    foundBy: ["race"],
  },
  {
    name: "attention-negated-early",
    bug: "no barrier between the negated queries and their readers",
    program: "attention",
    file: attention,
    edits: [
      ["      barrier_sync<kNegated>(kWarpgroup);\n", ""],
      ["      barrier_sync<kNegated + 1>(kWarpgroup);\n", ""],
    ],
    foundBy: ["race"],
  },
  {
    name: "attention-negated-not-fenced",
    bug: "no fence_async_shared between negated queries and wgmma",
    program: "attention",
    file: attention,
    edits: [["    fence_async_shared();\n    if (consumer_ == 0) {", "    if (consumer_ == 0) {"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "attention-tail-not-fenced",
    bug: "no fence_async_shared between zeroed values and wgmma",
    program: "attention",
    file: copies,
    edits: [["        fence_async_shared();\n        sync_warp();", "        sync_warp();"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "attention-tail-no-barrier",
    bug: "no sync_warp between the zeroed rows and their readers",
    program: "attention",
    file: copies,
    edits: [["        fence_async_shared();\n        sync_warp();", "        fence_async_shared();"]],
    foundBy: ["race"], // a NaN that is read too early spoils its row, and spoilt rows are mended
  },
  {
    name: "attention-item-release-early",
    bug: "an item is given back while other lanes still read it",
    program: "attention",
    file: "native/cuda/attention/item_ring.cuh",
    edits: [
      [
        "    sync_warp();\n    if (lane_index() == 0) mbarrier_arrive(ring_",
        "    if (lane_index() == 0) mbarrier_arrive(ring_",
      ],
    ],
    foundBy: ["race"],
  },
  {
    name: "attention-mask-added",
    bug: "the mask is added to the scores: a hidden NaN stays",
    program: "attention",
    file: "native/cuda/attention/hopper_scores.cuh",
    edits: [
      [
        "s[at + e] = (j < high) & (j >= low) ? s[at + e] : -INFINITY;",
        "s[at + e] += (j < high) & (j >= low) ? 0.0f : -INFINITY;",
      ],
    ],
    foundBy: ["naive", "adversarial"],
  },
  // ---- a tile handed to the copy engine
  {
    name: "store-not-fenced",
    bug: "no fence_async_shared before tma_store",
    program: "store",
    file: storeProgram,
    edits: [["    fence_async_shared();\n", ""]],
    foundBy: ["race"],
  },
  {
    name: "store-fence-of-one",
    bug: "only one thread has a fence_async_shared, before the barrier",
    program: "store",
    file: storeProgram,
    edits: [["    fence_async_shared();\n", "    if (thread == 0) fence_async_shared();\n"]],
    foundBy: ["race"],
  },
  {
    name: "store-no-barrier",
    bug: "no barrier before tma_store",
    program: "store",
    file: storeProgram,
    edits: [["    fence_async_shared();\n    sync_block();\n", "    fence_async_shared();\n"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "store-reused-early",
    bug: "the tile is written again while the copy engine still reads it",
    program: "store",
    file: storeProgram,
    edits: [["      tma_store_wait_read<0>();\n", ""]],
    foundBy: ["race"],
  },
];
