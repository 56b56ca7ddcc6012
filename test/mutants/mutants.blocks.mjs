// Planted bugs between the blocks of a launch, and between the lanes of a warp that wait for a parity; see mutants.mjs.

const finish = "native/cuda/gemm/finish.cuh";
const argmax = "native/ops/argmax/argmax.cu";
const ring = "test/mutants/ring.cu";
const arrival = `  fence_device();
  sync_block();
  if (threadIdx.x == 0) {
    is_last = atomic_add(`;

/** @type {import("./mutants.mjs").Mutant[]} */
export const blockMutants = [
  // ---- stores of a block that another one reads, and the counter between them
  {
    name: "splits-no-release",
    bug: "no fence between the partial sums and the counter",
    program: "splits",
    file: finish,
    edits: [[arrival, arrival.replace("  fence_device();\n", "")]],
    foundBy: ["race"],
  },
  {
    name: "splits-no-acquire",
    bug: "no fence between the counter and the partial sums of the others",
    program: "splits",
    file: finish,
    edits: [["  sync_block();\n  fence_device();\n  return is_last;", "  sync_block();\n  return is_last;"]],
    foundBy: ["race"],
  },
  {
    name: "splits-release-of-one",
    bug: "before the barrier one thread fences, for its own sums only",
    program: "splits",
    file: finish,
    edits: [[arrival, arrival.replace("  fence_device", "  if (threadIdx.x == 0) fence_device")]],
    foundBy: ["race"],
  },
  {
    name: "splits-release-late",
    bug: "the fence comes after the counter",
    program: "splits",
    file: finish,
    edits: [
      [arrival, arrival.replace("  fence_device();\n", "")],
      ["if (is_last) counter = 0;", "fence_device();\n    if (is_last) counter = 0;"],
    ],
    foundBy: ["race"],
  },
  {
    name: "splits-counter-early",
    bug: "no barrier between the partial sums and the counter",
    program: "splits",
    file: finish,
    edits: [[arrival, arrival.replace("  sync_block();\n", "")]],
    foundBy: ["race"],
  },
  {
    name: "slices-no-release",
    bug: "no fence between a slice's best and the counter",
    program: "splits",
    file: argmax,
    edits: [["      fence_device();\n      plan.is_last", "      plan.is_last"]],
    foundBy: ["race"],
  },
  {
    name: "slices-no-acquire",
    bug: "no fence between the counter and the best of other slices",
    program: "splits",
    file: argmax,
    edits: [["p.slices;\n      fence_device();\n", "p.slices;\n"]],
    foundBy: ["race"],
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
];
