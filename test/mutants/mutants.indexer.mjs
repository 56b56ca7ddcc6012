// Planted bugs in the indexer of sparse attention: scores, and the choice among them; see mutants.mjs.

const kernel = "native/ops/indexer_top_k/indexer_top_k.cu";
const select = "native/ops/indexer_top_k/indexer_top_k.select.cuh";
const table = "test/ops/indexerTopK.test.ts";

/** @type {import("./mutants.mjs").TableMutant[]} */
export const indexerMutants = [
  {
    name: "indexer-no-relu",
    bug: "indexerTopK: negative products count",
    file: kernel,
    edits: [["fmaf(weight, x < 0 ? 0.0f : x, sum)", "fmaf(weight, x, sum)"]],
    table,
    cases: "integers",
  },
  {
    name: "indexer-relu-hides-nan",
    bug: "indexerTopK: max(0, NaN) is 0",
    file: kernel,
    edits: [["fmaf(weight, x < 0 ? 0.0f : x, sum)", "fmaf(weight, fmaxf(x, 0.0f), sum)"]],
    table,
    cases: "NaN comes first.*one key",
  },
  {
    name: "indexer-nan-last",
    bug: "indexerTopK: NaN is the least score",
    file: select,
    edits: [["order_key(score + 0.0f) : 0xffffffffu;", "order_key(score + 0.0f) : 1u;"]],
    table,
    cases: "NaN comes first.*one key",
  },
  {
    name: "indexer-missing-heads",
    bug: "indexerTopK: heads that do not exist are added, zeros times infinity",
    file: kernel,
    edits: [["        if (head >= heads) continue;", "        if (head >= kHeads) continue;"]],
    table,
    cases: "NaN comes first.*infinite keys.*bf16",
  },
  {
    name: "indexer-unseen-keys",
    bug: "indexerTopK: the zeros behind the last key of a tile are scores",
    file: kernel,
    edits: [["best.add(own < kTile && position < last, score", "best.add(own < kTile, score"]],
    table,
    cases: "511 keys in spans.*topK: 300",
  },
  {
    name: "indexer-early-keys",
    bug: "indexerTopK: a tile is multiplied before it has arrived",
    file: kernel,
    edits: [["    copy_async_wait<0>();\n", ""]],
    table,
    cases: "rows of a wider tensor.*bf16",
  },
  {
    name: "indexer-missing-count",
    bug: "indexerTopK: the entries of larger digits are not taken off",
    file: select,
    edits: [["      wanted -= plan_.above;\n", ""]],
    table,
    cases: "integers",
  },
  {
    name: "indexer-one-tie-short",
    bug: "indexerTopK: of the entries at the limit one too few is kept",
    file: select,
    edits: [["    return {prefix, wanted};", "    return {prefix, wanted - 1};"]],
    table,
    cases: "scores equal.*topK: 64",
  },
  {
    name: "indexer-no-barrier-before-places",
    bug: "indexerTopK: places are counted before all warps have said how many enter",
    file: select,
    edits: [["(std::popcount(lanes));\n    sync_block();\n", "(std::popcount(lanes));\n"]],
    table,
    cases: "sequences of all kinds",
  },
  {
    name: "indexer-span-of-another",
    bug: "indexerTopK: spans of a query are merged from the first one's place",
    file: kernel,
    edits: [["p.left + query.t * p.spans;", "p.left;"]],
    table,
    cases: "over spans",
  },
  {
    name: "indexer-page-int",
    bug: "indexerTopK: place of a page",
    file: kernel,
    edits: [["  return page * k.strides[0] +", "  return static_cast<int>(page * k.strides[0]) +"]],
    table: "test/ops/farOffsets.test.ts",
    cases: "indexerTopK",
  },
];
