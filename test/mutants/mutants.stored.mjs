// Planted bugs in what a GPU makes of stored codes; see mutants.mjs.

const common = { file: "native/ops/dequantize/dequantize.cu", table: "test/ops/dequantize.test.ts" };

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
    edits: [["element<Format>(p, row, vector * kVector + e)", "element<Format>(p, row, e)"]],
    cases: "one scale for each row",
    ...common,
  },
  {
    name: "stored-nan",
    bug: "NaN of e4m3 is decoded",
    edits: [["if (is_nan_code<Format::kCodes>(code)) {", "if (code < 0) {"]],
    cases: "NaN of e4m3",
    ...common,
  },
];
