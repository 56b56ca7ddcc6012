// Planted bugs in the scores of attention: softcap, sinks and tree masks; see mutants.mjs.

const folder = "native/cuda/attention";
const common = { table: "test/ops/attentionMasks.test.ts" };
const trees = { table: "test/ops/attentionTrees.test.ts" };
const hopper = [`${folder}/instances/bf16_64.sm90.cu`];
const portable = [`${folder}/instances/bf16_64.cu`];

/** @type {import("./mutants.mjs").TableMutant[]} */
export const scoreMutants = [
  {
    name: "scores-uncapped-hopper",
    bug: "Hopper: all tiles but the first of a span are not capped",
    file: `${folder}/hopper.cuh`,
    edits: [["      cap_scores(p_, s_);\n      mask(i);", "      mask(i);"]],
    cases: "paged.*softcap, bf16",
    kernels: hopper,
    ...common,
  },
  {
    name: "scores-uncapped-narrow",
    bug: "narrow: scores are not capped",
    file: `${folder}/narrow.cuh`,
    edits: [["    cap_scores(p_, reinterpret_cast<float(&)[8]>(s[0]));\n", ""]],
    cases: "paged.*softcap, bf16",
    kernels: portable,
    ...common,
  },
  {
    name: "scores-capped-hidden",
    bug: "wide: hidden scores are capped as well: -inf becomes a score of -1",
    file: `${folder}/wide.cuh`,
    edits: [
      ["      cap_scores(p_, reinterpret_cast<float(&)[S::kKeys / 2]>(s[r]));\n", ""],
      [
        "      soften<T>(s[r]",
        "      cap_scores(p_, reinterpret_cast<float(&)[S::kKeys / 2]>(s[r]));\n      soften<T>(s[r]",
      ],
    ],
    cases: "paged.*softcap, bf16.*tiles",
    kernels: portable,
    ...common,
  },
  {
    name: "scores-exact-uncapped",
    bug: "rows computed anew are not capped",
    file: `${folder}/exact.cuh`,
    edits: [
      [
        "fmaf(cap_score(p, dot_product(q, k, key_width)), score_unit(p), -base)",
        "fmaf(dot_product(q, k, key_width), score_unit(p), -base)",
      ],
    ],
    cases: "paged.*softcap, bf16",
    kernels: portable,
    ...common,
  },
  {
    name: "sinks-of-the-first-head",
    bug: "all heads of a group have the sink of the first",
    file: `${folder}/items.cuh`,
    edits: [["head * plan.group + (item.first_row + row) % plan.group", "head * plan.group"]],
    cases: "paged.*sinks, bf16",
    kernels: portable,
    ...common,
  },
  {
    name: "sinks-not-kept",
    bug: "a sink that is the largest score does not make the sums smaller",
    file: `${folder}/items.cuh`,
    edits: [
      ["kept = merge_states(total, {sink * kLog2e, 1}).kept;", "merge_states(total, {sink * kLog2e, 1});"],
    ],
    cases: "paged.*sinks, bf16",
    kernels: portable,
    ...common,
  },
  {
    name: "sinks-left-out-of-lse",
    bug: "lse has no sink in it",
    file: `${folder}/items.cuh`,
    edits: [["    finish_sums(p, plan, item, head, row, total);\n    p.lse", "    p.lse"]],
    cases: "flash.*sinks, f32",
    kernels: [`${folder}/attention.cu`],
    ...common,
  },
  {
    name: "tree-mask-first-rows-hopper",
    bug: "Hopper: the second rows of lanes are hidden from as the first ones",
    file: `${folder}/hopper_scores.cuh`,
    edits: [["hidden_keys(p, item, position[half], ", "hidden_keys(p, item, position[0], "]],
    cases: "paged.*trees and a prompt, bf16",
    kernels: hopper,
    ...trees,
  },
  {
    name: "tree-mask-tile-seen-whole",
    bug: "a tile of keys that the tree mask hides from some rows counts as seen by all",
    file: `${folder}/queue.cuh`,
    edits: [["std::min(top.end, first_maskable(p, item))", "top.end"]],
    cases: "paged.*last key of a tile.*tiles",
    kernels: portable,
    ...trees,
  },
  {
    name: "tree-mask-row-of-the-first-sequence",
    bug: "queries of all sequences have the rows of the first one's",
    file: `${folder}/items.cuh`,
    edits: [["(int64_t{item.first_query} + query) * p.tree_mask", "int64_t{query} * p.tree_mask"]],
    cases: "flash.*trees and a prompt, bf16.*tiles",
    kernels: portable,
    ...trees,
  },
  {
    name: "tree-mask-exact-value",
    bug: "rows computed anew take values that the tree mask hides",
    file: `${folder}/exact.cuh`,
    edits: [
      ["at >= 0 && !is_hidden(p_, item_, position_, j) ? p_.v", "at >= 0 ? p_.v"],
      ["at >= 0 && !is_hidden(p_, item_, position_, j) ? p_.k", "at >= 0 ? p_.k"],
    ],
    cases: "paged.*a NaN of another branch, bf16",
    kernels: portable,
    ...trees,
  },
];
