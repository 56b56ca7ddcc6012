// Planted bugs in what runs on any GPU; see mutants.mjs.

const tiles = "native/cuda/gemm/tiles.cuh";
const finish = "native/cuda/gemm/finish.cuh";
const block = "native/cuda/device/block.cuh";

/** @type {import("./mutants.mjs").Mutant[]} */
export const portableMutants = [
  // ---- cp.async, ldmatrix, mma.sync: the matrix product of sm_80
  {
    name: "tiles-refill-early",
    bug: "a stage is filled again before the barrier that ends its use",
    program: "tiles",
    file: tiles,
    edits: [
      [
        `    copy_async_wait<Shape::kStages - 2>();
    sync_block();  // stage \`step\` is there, and all are done with the one before, which is filled next
    const int next = step + Shape::kStages - 1;
    if (next < steps.count) loader.load(plan.stages[next % Shape::kStages], p, steps.begin + next);
    copy_async_commit();
`,
        `    const int next = step + Shape::kStages - 1;
    if (next < steps.count) loader.load(plan.stages[next % Shape::kStages], p, steps.begin + next);
    copy_async_commit();
    copy_async_wait<Shape::kStages - 1>();
    sync_block();
`,
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "tiles-barrier-before-wait",
    bug: "the barrier comes before the wait for the copies, not after it",
    program: "tiles",
    file: tiles,
    edits: [
      [
        `    copy_async_wait<Shape::kStages - 2>();
    sync_block();`,
        `    sync_block();
    copy_async_wait<Shape::kStages - 2>();`,
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "tiles-weak-wait",
    bug: "cp.async.wait_group leaves one group too many",
    program: "tiles",
    file: tiles,
    edits: [["copy_async_wait<Shape::kStages - 2>();", "copy_async_wait<Shape::kStages - 1>();"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "tiles-no-swizzle",
    bug: "no swizzle: right, but every ldmatrix has bank conflicts",
    program: "tiles",
    file: tiles,
    edits: [["(piece ^ (row & 7))", "piece"]],
    foundBy: ["adversarial", "race"], // the program counts conflicts
  },
  {
    name: "tiles-tail-copy",
    bug: "cp.async beyond the end of a row is not masked",
    program: "tiles",
    file: tiles,
    edits: [["row + k, exists && k < K)", "row + k, exists)"]],
    foundBy: ["adversarial", "asan"],
  },
  {
    name: "tiles-sums-early",
    bug: "the sums overwrite stages that other warps still read",
    program: "tiles",
    file: tiles,
    edits: [
      [
        `  sync_block();

  // 3. the result`,
        "  // 3. the result",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "tiles-finish-early",
    bug: "no barrier between the sums in shared memory and their readers",
    program: "tiles",
    file: tiles,
    edits: [
      [
        `  product.store(plan.sums);
  sync_block();`,
        "  product.store(plan.sums);",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "tiles-store-beyond",
    bug: "global store beyond the last column",
    program: "tiles",
    file: finish,
    edits: [["return {count, e.quads && count == 4};", "return {count, e.quads};"]],
    foundBy: ["adversarial"],
  },
  {
    name: "tiles-store-below",
    bug: "global store beyond the last row",
    program: "tiles",
    file: finish,
    edits: [
      [
        "for (int i = thread; i < rows.count * quads; i += kThreads) {",
        "for (int i = thread; i < Layout::kRows * quads; i += kThreads) {",
      ],
    ],
    foundBy: ["race", "asan"],
  },
  // ---- barriers and collectives of a block
  {
    name: "block-no-barrier",
    bug: "no sync_block before the partial sums are read",
    program: "block",
    file: block,
    edits: [["threadIdx.x / kWarpSize] = value;\n  sync_block();", "threadIdx.x / kWarpSize] = value;"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "block-scratch-reused-early",
    bug: "no sync_block after the partial sums have been read",
    program: "block",
    file: block,
    edits: [["op);\n  sync_block();\n  return value;", "op);\n  return value;"]],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "block-divergent-collective",
    bug: "half of a warp takes part in a shuffle of the whole warp",
    program: "block",
    file: block,
    edits: [
      [
        "value = reduce_lanes(lane < warps ? scratch.lanes[lane] : neutral, op);",
        "value = neutral;\n  if (lane < warps) value = reduce_lanes(scratch.lanes[lane], op);",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "block-one-skips-barrier",
    bug: "one thread skips a sync_block",
    program: "block",
    file: block,
    edits: [
      [
        "op);\n  sync_block();\n  return value;",
        "op);\n  if (threadIdx.x != 5) sync_block();\n  return value;",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "block-two-barriers",
    bug: "the two halves of a block come to different barriers",
    program: "block",
    file: block,
    edits: [
      [
        "op);\n  sync_block();\n  return value;",
        "op);\n  if (threadIdx.x < 64) {\n    sync_block();\n  } else {\n    sync_block();\n  }\n  return value;",
      ],
    ],
    foundBy: ["adversarial", "race"],
  },
  {
    name: "block-shared-out-of-bounds",
    bug: "shared memory is written behind the plan",
    program: "block",
    file: block,
    edits: [
      [
        "scratch.lanes[threadIdx.x / kWarpSize] = value;",
        "scratch.lanes[threadIdx.x / kWarpSize] = value;\n  if (lane == 0) scratch.lanes[kWarpSize + threadIdx.x / kWarpSize] = value;",
      ],
    ],
    foundBy: ["adversarial", "asan"],
  },
];
