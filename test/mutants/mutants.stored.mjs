// Planted bugs in what a GPU makes of stored codes; see mutants.mjs.

const table = "test/ops/dequantize.test.ts";
const kernels = ["native/ops/dequantize/dequantize.cu"];
const common = { file: "native/cuda/device/stored.cuh", table, kernels };

/** @type {import("./mutants.mjs").TableMutant[]} */
export const storedMutants = [
  {
    name: "stored-inputs-as-they-lie",
    bug: "groups are those of the caller's inputs, not of the stored ones",
    edits: [["const int64_t g = s.group_of(k);", "const int64_t g = s.group_of(s.first_input + j);"]],
    cases: "some inputs in another order",
    ...common,
  },
  {
    name: "stored-vectors-of-the-first",
    bug: "every vector of a row holds its first elements",
    edits: [
      [
        "stored_element<Format>(p.source, row, vector * kVector + e)",
        "stored_element<Format>(p.source, row, e)",
      ],
    ],
    cases: "one scale for each row",
    ...common,
    file: "native/ops/dequantize/dequantize.cu",
  },
  {
    name: "stored-nan",
    bug: "NaN of e4m3 is decoded",
    edits: [["if (!is_nan_code<Format::kCodes>(code)) return code;", "if (code >= 0) return code;"]],
    cases: "NaN of e4m3",
    ...common,
  },
];
