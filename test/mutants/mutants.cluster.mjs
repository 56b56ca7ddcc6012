// Planted bugs in distributed shared memory: blocks of a cluster that add up each other's sums; see mutants.mjs.

const splitK = "native/ops/linear/linear.split.sm90.cu";

/** @type {import("./mutants.mjs").Mutant[]} */
export const clusterMutants = [
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
];
