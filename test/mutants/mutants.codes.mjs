// Planted bugs in what attention makes of keys and values in 8 bits; see mutants.mjs.

const folder = "native/cuda/attention";
const common = { table: "test/ops/pagedAttention.codes.test.ts" };
const portable = [`${folder}/instances/bf16_64_codes.cu`];

/** @type {import("./mutants.mjs").TableMutant[]} */
export const codeMutants = [
  {
    name: "codes-scales-of-the-first-warp",
    bug: "narrow: all warps take the scales of values of the first one's keys",
    file: `${folder}/narrow.cuh`,
    edits: [["factors = stage.value_scales + warp_ * 16;", "factors = stage.value_scales;"]],
    cases: "sequences of all kinds.*bf16.*i8",
    kernels: portable,
    ...common,
  },
  {
    name: "codes-unscaled-keys",
    bug: "wide: scores are those of codes",
    file: `${folder}/wide.cuh`,
    edits: [["        scale_scores(stage.key_scales, s[r]);\n", ""]],
    cases: "sequences of all kinds.*bf16.*i8",
    kernels: portable,
    ...common,
  },
  {
    name: "codes-scales-of-keys",
    bug: "values have the scales of their keys",
    file: `${folder}/code_ring.cuh`,
    edits: [["value_scales[threadIdx.x] = row.value_scale", "value_scales[threadIdx.x] = row.key_scale"]],
    cases: "sequences of all kinds.*bf16.*i8",
    kernels: portable,
    ...common,
  },
];
