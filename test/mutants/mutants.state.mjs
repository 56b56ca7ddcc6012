// Planted bugs in ops that keep the state of a sequence, read it and write it anew; see mutants.mjs.

const conv = "native/ops/causal_conv1d/causal_conv1d.cu";
const table = "test/ops/causalConv1d.test.ts";

/** @type {import("./mutants.mjs").TableMutant[]} */
export const stateMutants = [
  {
    name: "conv-begins-from-state",
    bug: "causalConv1d: the state is read although the sequence begins",
    file: conv,
    edits: [["place == -1 || length == count, true}", "place == -1, true}"]],
    table,
    cases: "sequences of all kinds",
  },
  {
    name: "conv-state-first",
    bug: "causalConv1d: the state is written before the outputs have read it",
    file: conv,
    edits: [
      [
        "  launch<causal_conv1d_kernel<kVector, W>>(",
        "  launch<keep_last_kernel<kVector>>(context, launch_shape(p.B * p.columns), p);\n  launch<causal_conv1d_kernel<kVector, W>>(",
      ],
    ],
    table,
    cases: "sequences of all kinds",
  },
  {
    name: "conv-run-keeps-inputs",
    bug: "causalConv1d: a thread goes on with the inputs of the sequence before",
    file: conv,
    edits: [["    if (t >= s.end) {  // 2.", "    if (t == begin) {  // 2."]],
    table,
    cases: "several tokens to a thread",
  },
  {
    name: "conv-state-int",
    bug: "causalConv1d: place in the state",
    file: conv,
    edits: [
      [
        "  const int64_t row = s.place * p.state.strides[1] + (t",
        "  const int row = s.place * p.state.strides[1] + (t",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "causalConv1d",
  },
];
