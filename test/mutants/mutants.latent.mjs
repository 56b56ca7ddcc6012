// Planted bugs in attention over latents: what the two consumers of the Hopper kernel hand each other, and where the values lie; see
// mutants.mjs.

const file = "native/cuda/attention/latent.cuh";
const common = {
  file,
  table: "test/ops/mlaAttention.hopper.test.ts",
  kernels: ["native/cuda/attention/latent_bf16.sm90.cu"],
};

const small = {
  file: "native/cuda/attention/latent_tiles.cuh",
  table: "test/ops/mlaAttention.latents.test.ts",
  kernels: ["native/cuda/attention/instances/bf16_latents.cu"],
};

const chosen = {
  table: "test/ops/mlaAttention.chosen.test.ts",
  kernels: ["native/cuda/attention/attention.cu"],
};

const codes = {
  file: "native/cuda/attention/any.cuh",
  table: "test/ops/mlaAttention.codes.test.ts",
  kernels: ["native/cuda/attention/attention.cu"],
};

/** @type {import("./mutants.mjs").TableMutant[]} */
export const latentMutants = [
  {
    name: "latent-weights-early",
    bug: "latents: P is written while other warps still multiply the columns that it replaces",
    edits: [["    await_scores();\n", ""]],
    cases: "pages of 64",
    ...common,
  },
  {
    name: "latent-own-maximum",
    bug: "latents: the sums of a consumer's own tiles stay relative to the maximum of its last tile but one",
    edits: [
      [
        "sum_[half] = fmaf(sum_[half], kept, weigh_scores",
        "sum_[half] = fmaf(sum_[half], decay[half], weigh_scores",
      ],
    ],
    cases: "pages of 64",
    ...common,
  },
  {
    name: "latent-one-half",
    bug: "latents: both consumers add the first half of the columns",
    edits: [
      [
        "shared_address(shared_.latents[index]) + consumer_ * S::kColumns * S::kKeys * 2;",
        "shared_address(shared_.latents[index]);",
      ],
    ],
    cases: "pages of 64",
    ...common,
  },
  {
    name: "latent-decay-of-other",
    bug: "latents: a consumer does not rescale its sums for tiles of the other",
    edits: [["      rescale(first + 1);\n", "      float decay[2];\n      receive(first + 1, decay);\n"]],
    cases: "pages of 64",
    ...common,
  },
  {
    name: "latent-mend-columns",
    bug: "latents: the second half of the columns of a spoilt row stays",
    edits: [["const int begin = consumer_ * S::kColumns,", "const int begin = 0,"]],
    cases: "a NaN that some queries see: the middle",
    ...common,
  },
  {
    name: "latent-heads-of-box",
    bug: "latents: every tile has the first 64 of 128 heads",
    ...common,
    file: "native/cuda/attention/hopper_copies.cuh",
    edits: [["of_group = item.first_row % plan_.group;", "of_group = 0;"]],
    cases: "128 heads",
  },
  {
    name: "small-latent-spans-in-registers",
    bug: "small tiles of latents: room for the sums of spans of many-row tiles alone",
    edits: [[".keeps_narrow_spans = true", ".keeps_narrow_spans = false"]],
    ...small,
    file: "native/cuda/attention/launch_latent_tiles.cuh",
    cases: "1200 latents, 16 heads",
  },
  {
    name: "small-latent-kept-rows",
    bug: "small tiles of latents: the sums of both blocks of 16 rows wait in the same place",
    edits: [["head_, r * 16, kept_ + r * S::Sums::kKept,", "head_, r * 16, kept_,"]],
    cases: "1400 latents, 17 heads",
    ...small,
  },
  {
    name: "small-latent-mend-columns",
    bug: "small tiles of latents: all warps mend the first columns of a spoilt row",
    edits: [["const int begin = warp_ * S::kColumns,", "const int begin = 0,"]],
    cases: "a NaN that some queries see, 16 heads",
    ...small,
  },
  {
    name: "small-latent-weights-early",
    bug: "small tiles of latents: P is multiplied before all warps have written their rows of it",
    edits: [["    weigh(first, masked, none);\n    sync_block();\n", "    weigh(first, masked, none);\n"]],
    cases: "pages of 32",
    ...small,
  },
  {
    name: "small-latent-none-counts",
    bug: "small tiles of latents: none is a token of zeros",
    edits: [["uint32_t hidden = none >> column;", "uint32_t hidden = 0 * none;"]],
    ...small,
    table: chosen.table,
    cases: "gaps of the tokens",
  },
  {
    name: "small-latent-rows-of-next",
    bug: "small tiles of latents: the rows of a tile are those of the next one",
    edits: [
      [
        "    publish(i + 1);\n    sync_block();",
        "    look_up(i + 2);\n    publish(i + 1);\n    sync_block();",
      ],
      ["    issue(i + 1);\n    look_up(i + 2);\n", "    issue(i + 1);\n"],
    ],
    ...small,
    file: "native/cuda/attention/latent_ring.cuh",
    cases: "pages of 32",
  },
  {
    name: "chosen-none-counts",
    bug: "chosen tokens: none is a token of zeros",
    edits: [["token >= seen.end || is_none ||", "token >= seen.end ||"]],
    ...chosen,
    file: "native/cuda/attention/any.cuh",
    cases: "gaps, f32",
  },
  {
    name: "chosen-of-all",
    bug: "chosen tokens: columns of a query that sees fewer tokens are read to the end",
    edits: [["std::min<int64_t>(seen, p.indices.sizes[1])", "p.indices.sizes[1]"]],
    ...chosen,
    file: "native/cuda/attention/sequences.cuh",
    cases: "some of the tokens",
  },
  {
    name: "latent-codes-one-factor",
    bug: "latents as codes: all numbers have the factor of the first group",
    edits: [["scales[beside.scales + d / kLatentGroup]", "scales[beside.scales]"]],
    ...codes,
    cases: "R 144",
  },
  {
    name: "latent-codes-rotated-of-first",
    bug: "latents as codes: rotated keys are those of the tile's first token",
    edits: [
      [
        "const LatentRow beside = shared_.latents[r];",
        "const LatentRow beside{shared_.latents[r].scales, shared_.latents[0].rotated};",
      ],
    ],
    ...codes,
    cases: "decodes, prompts, chunks.*f32",
  },
  {
    name: "heads-without-gaps",
    bug: "headLinear on Hopper: heads that lie apart are written side by side",
    file: "native/cuda/gemm/tile_store.cuh",
    edits: [["  return e.together > 0 ? column / e.together * e.gap : 0;", "  return 0;"]],
    table: "test/ops/headLinear.test.ts",
    cases: "which lie apart, shared",
    kernels: ["native/ops/linear/linear.sm90.cu"],
  },
  {
    name: "heads-of-first-span",
    bug: "headLinear on Hopper: a tile's heads are all where its first one is",
    file: "native/ops/linear/linear.sm90.cu",
    edits: [["gaps_before(p.epilogue, span.column)", "gaps_before(p.epilogue, column)"]],
    table: "test/ops/headLinear.test.ts",
    cases: "tiles of several heads, which lie apart, shared",
  },
];
