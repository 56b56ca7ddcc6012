// Planted bugs in ops that keep the state of a sequence, read it and write it anew; see mutants.mjs.

const conv = "native/ops/causal_conv1d/causal_conv1d.cu";
const table = "test/ops/causalConv1d.test.ts";
const scan = "native/ops/ssm_scan/ssm_scan.cu";
const sequences = "native/cuda/device/slot_sequences.cuh";
const scanTable = "test/ops/ssmScan.test.ts";

/** @type {import("./mutants.mjs").TableMutant[]} */
export const stateMutants = [
  {
    name: "conv-begins-from-state",
    bug: "causalConv1d: the state is read although the sequence begins",
    file: sequences,
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
        "  launch<keep_last_kernel<kVector>>(context, launch_shape(p.sequences.B * p.columns), p);\n  launch<causal_conv1d_kernel<kVector, W>>(",
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
  {
    name: "scan-begins-from-state",
    bug: "ssmScan: the state is read although the sequence begins",
    file: sequences,
    edits: [["place == -1 || length == count, true}", "place == -1, true}"]],
    table: scanTable,
    cases: "sequences of all kinds",
  },
  {
    name: "scan-no-barrier-before-sums",
    bug: "ssmScan: sums of warps are joined before all warps have them",
    file: scan,
    edits: [["  // 4.\n    sync_block();\n", "  // 4.\n"]],
    table: scanTable,
    cases: "tokens over tiles",
  },
  {
    name: "scan-tile-one-longer",
    bug: "ssmScan: the last tile runs a token that is another sequence's",
    file: scan,
    edits: [["s.end - t < kTokens ? s.end - t : kTokens)", "s.end - t < kTokens ? s.end - t + 1 : kTokens)"]],
    table: scanTable,
    cases: "sequences of all kinds",
  },
  {
    name: "scan-group-of-head",
    bug: "ssmScan: heads take the groups in turn, not neighbours one group",
    file: scan,
    edits: [["head / p.heads_per_group;", "head % (p.H / p.heads_per_group);"]],
    table: scanTable,
    cases: "groups",
  },
  {
    name: "scan-pairs-of-odd-rows",
    bug: "ssmScan: pairs of the state are loaded where rows have an odd number of channels",
    file: scan,
    edits: [["P % 2 == 0 && is_aligned(p.state, 2, 4),", "true,"]],
    table: scanTable,
    cases: "strided rows",
  },
  {
    name: "scan-padding-keeps",
    bug: "ssmScan: padding, which has no place, stores its state",
    file: scan,
    edits: [["  if (s.place >= 0) state.store(kept);  // 6.", "  state.store(kept);  // 6."]],
    table: scanTable,
    cases: "padding",
  },
  {
    name: "scan-state-int",
    bug: "ssmScan: place in the state",
    file: scan,
    edits: [
      [
        "reinterpret_cast<float*>(p.state.data) + place * p.state.strides[0] +",
        "reinterpret_cast<float*>(p.state.data) + static_cast<int>(place * p.state.strides[0]) +",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "ssmScan",
  },
];
