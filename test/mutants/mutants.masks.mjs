// Planted bugs in the masks of attention on any GPU; see mutants.mjs.

const folder = "native/cuda/attention";
/** @type {import("./mutants.mjs").Mode[]} */
const anyMode = ["naive", "adversarial"];

/** @type {import("./mutants.mjs").Mutant[]} */
export const maskMutants = [
  {
    name: "masks-added",
    bug: "tiles: the mask is added to the scores: a hidden NaN stays",
    program: "masks",
    file: `${folder}/tile.cuh`,
    edits: [
      [
        "if (column < from[e / 2] || column >= to[e / 2]) s[n][e] = -INFINITY;",
        "s[n][e] += column < from[e / 2] || column >= to[e / 2] ? -INFINITY : 0.0f;",
      ],
    ],
    foundBy: anyMode,
  },
  {
    name: "masks-any-added",
    bug: "any: the mask is added to the scores: a hidden NaN stays",
    program: "masks",
    file: `${folder}/any.cuh`,
    edits: [["if (hidden) scores[j] = -INFINITY;", "scores[j] += hidden ? -INFINITY : 0.0f;"]],
    foundBy: anyMode,
  },
  {
    name: "masks-any-hidden-values",
    bug: "any: hidden values are multiplied by a probability of 0",
    program: "masks",
    file: `${folder}/any.cuh`,
    edits: [["alike ? add_values", "true ? add_values"]],
    foundBy: anyMode,
  },
  {
    name: "masks-narrow-hidden-values",
    bug: "narrow: hidden values times a probability of 0 stay in the sums",
    program: "masks",
    file: `${folder}/narrow.cuh`,
    edits: [["if (S::kCodes || !any_lane(spoilt_ != 0)) return;", "return;"]],
    foundBy: anyMode,
  },
  {
    name: "masks-wide-no-flag",
    bug: "wide: nobody is told of spoilt rows",
    program: "masks",
    file: `${folder}/wide.cuh`,
    edits: [["atomic_max(plan_.spoilt, 1u);", "continue;"]],
    foundBy: anyMode,
  },
  {
    name: "masks-wide-not-mended",
    bug: "narrow: does not look for the rows that other kernels have spoilt",
    program: "masks",
    file: `${folder}/narrow.cuh`,
    edits: [["kind < kKinds; kind++) mend_rows", "kind < kMiddle; kind++) mend_rows"]],
    foundBy: anyMode,
  },
  {
    name: "masks-mended-with-hidden-keys",
    bug: "rows are mended with the keys before their windows",
    program: "masks",
    file: `${folder}/exact.cuh`,
    edits: [["first_ = std::max(seen.begin, item.first_key)", "first_ = item.first_key"]],
    foundBy: anyMode,
  },
  {
    name: "merge-relaxed",
    bug: "split tiles: the counters order nothing",
    program: "masks",
    file: "native/cuda/device/last_block.cuh",
    edits: [
      [
        "is_last = atomic_add_acq_rel(&counter, 1u) == blocks - 1;",
        "is_last = atomic_add(&counter, 1u) == blocks - 1;",
      ],
    ],
    foundBy: ["race"],
  },
  {
    name: "merge-group-early",
    bug: "split tiles: the sums of all groups are read by whoever has finished one",
    program: "masks",
    file: `${folder}/merge.cuh`,
    edits: [
      [
        "  if (!arrive_last(arrivals[groups], static_cast<uint32_t>(groups), is_last, threads)) return;\n",
        "",
      ],
    ],
    foundBy: ["race"],
  },
  {
    name: "merge-span-early",
    bug: "split tiles: the sums of a group are read by whoever has finished a span",
    program: "masks",
    file: `${folder}/merge.cuh`,
    edits: [["static_cast<uint32_t>(end - first), is_last", "1u, is_last"]],
    foundBy: ["race"],
  },
];
