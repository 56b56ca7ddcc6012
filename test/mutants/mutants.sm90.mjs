// Planted bugs in what needs sm_90: bulk copies, mbarriers, wgmma; see mutants.mjs.

const pipeline = "native/cuda/gemm/hopper_pipeline.cuh";
const store = "native/cuda/gemm/tile_store.cuh";
const linear = "native/ops/linear/linear.sm90.cu";
const splitK = "native/ops/linear/linear.split.sm90.cu";
const attention = "native/ops/flash_attention/flash_attention.sm90.cu";
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
    edits: [
      [
        "mbarrier_wait(plan.ring.empty[at.stage], at.parity ^ 1u);",
        "mbarrier_wait(plan.ring.empty[at.stage], at.parity);",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "linear-no-empty-wait",
    bug: "the producer does not wait for an empty stage",
    program: "linear",
    file: linear,
    edits: [["      mbarrier_wait(plan.ring.empty[at.stage], at.parity ^ 1u);\n", ""]],
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
  // ---- distributed shared memory: blocks of a cluster that add up each other's sums
  {
    name: "split-k-no-cluster-barrier",
    bug: "the sums of the peers are read after a barrier of the own block alone",
    program: "split_k",
    file: splitK,
    edits: [["  cluster_sync();  // the sums of all blocks are there\n", "  sync_block();\n"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "split-k-barrier-early",
    bug: "the barrier of the cluster comes before the sums are in shared memory",
    program: "split_k",
    file: splitK,
    edits: [
      ["  cluster_sync();  // the sums of all blocks are there\n", ""],
      [
        "  const int row = warp * 16 + lane / 4, column = 2 * (lane % 4);\n",
        "  cluster_sync();\n  const int row = warp * 16 + lane / 4, column = 2 * (lane % 4);\n",
      ],
      ["        sync_warp();\n      },", "        sync_warp();\n        cluster_sync();\n      },"],
      ["        if (warp_index() != 0) return;\n", "        if (warp_index() != 0) return cluster_sync();\n"],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "split-k-ends-early",
    bug: "a block ends while its peers still read its sums",
    program: "split_k",
    file: splitK,
    edits: [
      ["  cluster_arrive();  // this block has read those of its peers\n", ""],
      ["  cluster_wait();  // and they those of this block, which may end\n", ""],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "split-k-arrives-early",
    bug: "a block says that it has read its peers' sums before it has",
    program: "split_k",
    file: splitK,
    edits: [
      ["  cluster_arrive();  // this block has read those of its peers\n", ""],
      ["  float v[kPasses][4], up", "  cluster_arrive();\n  float v[kPasses][4], up"],
    ],
    foundBy: ["race"], // nothing else runs between its barrier and its reads here
  },
  {
    name: "split-k-sums-early",
    bug: "sums overwrite stages that other warps still multiply",
    program: "split_k",
    file: splitK,
    edits: [["  barrier_sync<kMultiplied>(kWarpgroup * Tile::kConsumers);", "  sync_warp();"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "split-k-stage-in-flight",
    bug: "one stage more than is multiplied: it lands on the sums",
    program: "split_k",
    file: splitK,
    edits: [["k < at.k.begin + at.k.count; k++", "k <= at.k.begin + at.k.count; k++"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "split-k-other-part",
    bug: "a block finishes the rows of its neighbour's part",
    program: "split_k",
    file: splitK,
    edits: [
      [
        "const int first = at.rank * Tile::kPartRows;",
        "const int first = (at.rank ^ 1) * Tile::kPartRows + (at.rank ^ 1) % 2;",
      ],
    ],
    foundBy: ["naive", "adversarial"],
  },
  // ---- attention of sm_90
  {
    name: "attention-value-release-early",
    bug: "a stage of V is released before its product is done",
    program: "attention",
    file: attention,
    edits: [
      [
        `      finish_values();
      release(plan.v_empty[stage_of(i - 1).index]);
`,
        `      release(plan.v_empty[stage_of(i - 1).index]);
      finish_values();
`,
      ],
    ],
    foundBy: ["race"],
  },
  {
    name: "attention-value-not-waited",
    bug: "nobody waits for V",
    program: "attention",
    file: attention,
    edits: [
      [
        "    mbarrier_wait(plan.v_full[stage.index], stage.parity);\n    register_fence",
        "    register_fence",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "attention-tail-not-fenced",
    bug: "no fence_async_shared between plain stores and wgmma",
    program: "attention",
    file: attention,
    edits: [["    fence_async_shared();\n    barrier_sync", "    barrier_sync"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "attention-tail-no-barrier",
    bug: "no barrier between the zeroed rows and their readers",
    program: "attention",
    file: attention,
    edits: [["    barrier_sync<kTailZeroed>(kThreads);\n", ""]],
    foundBy: ["race"], // a NaN that is read too early spoils its row, and spoilt rows are mended
  },
  {
    name: "attention-other-tile",
    bug: "the result goes through the Q rows of the other warpgroup, which it may still read",
    program: "attention",
    file: attention,
    edits: [
      [
        "const uint32_t tile = shared_address(plan.q) + warp_row * kPieceBytes;",
        "const int staged = (warp_row + kWarpgroupRows) % S::kRows;\n    const uint32_t tile = shared_address(plan.q) + staged * kPieceBytes;",
      ],
      [
        "reinterpret_cast<const unsigned char*>(plan.q) + warp_row * kPieceBytes;",
        "reinterpret_cast<const unsigned char*>(plan.q) + staged * kPieceBytes;",
      ],
    ],
    foundBy: ["race"],
  },
  {
    name: "attention-output-early",
    bug: "no sync_warp between the staged result and its readers",
    program: "attention",
    file: attention,
    edits: [["    sync_warp();\n    const auto* from", "    const auto* from"]],
    foundBy: ["race"],
  },
  {
    name: "attention-mask-added",
    bug: "the mask is added to the scores: a hidden NaN stays",
    program: "attention",
    file: attention,
    edits: [
      [
        "s[at + e] = (j < high) & (j >= low) ? s[at + e] : -INFINITY;",
        "s[at + e] += (j < high) & (j >= low) ? 0.0f : -INFINITY;",
      ],
    ],
    foundBy: ["naive", "adversarial"],
  },
  {
    name: "attention-hidden-values",
    bug: "hidden values times a probability of 0 stay in the sums",
    program: "attention",
    file: attention,
    edits: [["    if ((spoilt[0] | spoilt[1]) != 0) mend(head, spoilt, scale);\n", ""]],
    foundBy: ["naive", "adversarial"],
  },
  {
    name: "attention-tail-not-zeroed",
    bug: "values beyond the sequence are not zeroed, and rows are not mended",
    program: "attention",
    file: attention,
    edits: [
      ["    if ((spoilt[0] | spoilt[1]) != 0) mend(head, spoilt, scale);\n", ""],
      ["    zero_tail();\n", ""],
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
