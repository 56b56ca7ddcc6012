// Planted bugs between the blocks of a launch, and between the lanes of a warp that wait for a parity; see mutants.mjs.

const arrival = "native/cuda/device/last_block.cuh";
const argmax = "native/ops/argmax/argmax.cu";
const ring = "test/mutants/ring.cu";
const ordered = "is_last = atomic_add_acq_rel(&counter, 1u) == blocks - 1;";
const relaxed = "is_last = atomic_add(&counter, 1u) == blocks - 1;";

/** @type {import("./mutants.mjs").Mutant[]} */
export const blockMutants = [
  // ---- stores of a block that another one reads, and the counter between them
  {
    name: "splits-relaxed",
    bug: "the counter orders nothing",
    program: "splits",
    file: arrival,
    edits: [[ordered, relaxed]],
    foundBy: ["race"],
  },
  {
    name: "splits-no-acquire",
    bug: "the counter releases the partial sums, but does not acquire those of the others",
    program: "splits",
    file: arrival,
    edits: [[ordered, `fence_device();\n    ${relaxed}`]],
    foundBy: ["race"],
  },
  {
    name: "splits-no-release",
    bug: "the counter acquires, but does not release the partial sums",
    program: "splits",
    file: arrival,
    edits: [[ordered, `${relaxed}\n    fence_device();`]],
    foundBy: ["race"],
  },
  {
    name: "splits-order-of-another",
    bug: "the thread that orders is not the one that counts",
    program: "splits",
    file: arrival,
    edits: [
      [ordered, relaxed],
      [
        "  if (threads.index() == 0) {",
        "  if (threads.index() == 1) fence_device();\n  if (threads.index() == 0) {",
      ],
    ],
    foundBy: ["race"],
  },
  {
    name: "splits-counter-early",
    bug: "no barrier between the partial sums and the counter",
    program: "splits",
    file: arrival,
    edits: [["  threads.sync();\n  if (threads.index() == 0) {", "  if (threads.index() == 0) {"]],
    foundBy: ["race"],
  },
  {
    name: "splits-result-early",
    bug: "no barrier between the counter and the threads that go by it",
    program: "splits",
    file: arrival,
    edits: [["  threads.sync();\n  return is_last;", "  return is_last;"]],
    foundBy: ["naive", "adversarial", "race"],
  },
  {
    name: "slices-best-late",
    bug: "a slice's best is stored behind the counter",
    program: "splits",
    file: argmax,
    edits: [
      ["    if (threadIdx.x == 0) p.best[blockIdx.x] = best;\n", ""],
      [
        "    if (!arrive_last(p.arrivals[row], static_cast<uint32_t>(p.slices), plan.is_last)) return;\n",
        "    const bool last = arrive_last(p.arrivals[row], static_cast<uint32_t>(p.slices), plan.is_last);\n" +
          "    if (threadIdx.x == 0) p.best[blockIdx.x] = best;\n    if (!last) return;\n",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  // ---- lanes that leave a wait at different times
  {
    name: "ring-lanes-drift",
    bug: "no sync_warp between the wait and the release: a lane may miss the phase",
    program: "ring",
    file: ring,
    edits: [["    sync_warp();  // a lane that still waits must not see the stage come round again\n", ""]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "ring-half-warp",
    bug: "the sync_warp after the wait leaves out half of the warp",
    program: "ring",
    file: ring,
    edits: [["    sync_warp();  // a lane", "    if (lane < 16) sync_warp(0xffffu);  // a lane"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "ring-sync-before-wait",
    bug: "the sync_warp comes before the wait",
    program: "ring",
    file: ring,
    edits: [
      ["    sync_warp();  // a lane that still waits must not see the stage come round again\n", ""],
      [
        "    mbarrier_wait(plan.full[stage], static",
        "    sync_warp();\n    mbarrier_wait(plan.full[stage], static",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  // ---- rings of stages that come round, blocks that go on to another tile
  {
    name: "hopper-release-current",
    bug: "linear on Hopper: a stage is given back while its own product is under way",
    file: "native/cuda/gemm/hopper_pipeline.cuh",
    edits: [
      [
        "    if (k > 0) release_stage<kCluster>(ring, previous);\n    previous = at.stage;",
        "    release_stage<kCluster>(ring, at.stage);\n    previous = at.stage;",
      ],
      ["  register_fence(d);\n  release_stage<kCluster>(ring, previous);", "  register_fence(d);"],
    ],
    table: "test/ops/linear.test.ts",
    cases: "more steps than stages.*tile: h64x128",
    kernels: ["native/ops/linear/linear.sm90.cu"],
  },
  {
    name: "grouped-announce-sync",
    bug: "groupedLinear on Hopper: a lane announces a stage of which other lanes have not copied all",
    file: "native/ops/grouped_linear/grouped_linear.sm90.cuh",
    edits: [
      [
        "    fence_async_shared();\n    sync_warp();\n    if (lane",
        "    fence_async_shared();\n    if (lane",
      ],
    ],
    table: "test/ops/groupedLinear.test.ts",
    cases: "simt more steps than stages",
  },
  {
    name: "grouped-tile-before",
    bug: "groupedLinear on Hopper: sums of a tile are staged over those of the one before",
    file: "native/ops/grouped_linear/grouped_linear.stream.sm90.cu",
    edits: [["  sync_consumer(consumer);  // the tile before has been stored\n", ""]],
    table: "test/ops/groupedLinear.test.ts",
    cases: "simt more tiles than blocks, few rows",
  },
];
