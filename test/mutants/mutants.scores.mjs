// Planted bugs in the scores of attention: softcap, sinks, tree masks and block masks; see mutants.mjs.

const folder = "native/cuda/attention";
const common = { table: "test/ops/attentionMasks.test.ts" };
const trees = { table: "test/ops/attentionTrees.test.ts" };
const blocks = { table: "test/ops/attentionBlocks.test.ts" };
const hopper = [`${folder}/instances/bf16_64.sm90.cu`];
const portable = [`${folder}/instances/bf16_64.cu`];

/** @type {import("./mutants.mjs").TableMutant[]} */
export const scoreMutants = [
  {
    name: "scores-uncapped-hopper",
    bug: "Hopper: all tiles but the first of a span are not capped",
    file: `${folder}/hopper.cuh`,
    edits: [["      cap_scores(p_, s_);\n      mask(now);", "      mask(now);"]],
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
    edits: [[" && !is_hidden(p_, item_, position_, j);", ";"]],
    cases: "paged.*a NaN of another branch, bf16",
    kernels: portable,
    ...trees,
  },
  {
    name: "block-mask-exact-value",
    bug: "rows computed anew take values of hidden blocks",
    file: `${folder}/exact.cuh`,
    edits: [["sees_block(p_, source_.keys, position_, j) && ", ""]],
    cases: "paged.*NaN in hidden blocks, bf16.*tiles",
    kernels: portable,
    ...blocks,
  },
  {
    name: "block-mask-first-block-hopper",
    bug: "Hopper: both blocks of a tile of 128 keys are seen as the first one is",
    file: `${folder}/queue.cuh`,
    edits: [["!sees_block(p, keys, position, middle)", "!sees_block(p, keys, position, tile)"]],
    cases: "paged.*sequences of all kinds, bf16",
    kernels: hopper,
    ...blocks,
  },
  {
    name: "block-mask-first-query",
    bug: "tiles that other queries of an item than the first see are left out",
    file: `${folder}/queue.cuh`,
    edits: [["query < keys.num_queries; query++)", "query < 1; query++)"]],
    cases: "flash.*several tiles of rows.*tiles",
    kernels: portable,
    ...blocks,
  },
  {
    name: "block-mask-nothing-left-out",
    bug: "tiles that no row sees are read",
    file: `${folder}/queue.cuh`,
    edits: [["if (!p.block_mask || tile >= keys.last) return tile;", "if (tile >= 0) return tile;"]],
    cases: "paged.*tiles that are gone, bf16.*tiles",
    kernels: portable,
    ...blocks,
  },
  {
    name: "block-mask-sums-of-a-group-before",
    bug: "spans without blocks count as sums that wait",
    file: `${folder}/queue.cuh`,
    edits: [["next_tile<kKeys>(p, keys, blocks, std::max(begin, group))", "std::max(begin, group)"]],
    cases: "spans without blocks.*hopper",
    kernels: hopper,
    ...blocks,
  },
];
