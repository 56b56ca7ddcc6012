// Planted bugs in ops that do what several did; see mutants.mjs.

const store = "native/ops/qk_norm_rope_store/qk_norm_rope_store.cu";
const table = "test/ops/qkNormRopeStore.test.ts";

/** @type {import("./mutants.mjs").TableMutant[]} */
export const fusedMutants = [
  {
    name: "prepare-unsynced",
    bug: "qkNormRopeStore: lanes turn pairs whose other halves have not been left yet",
    file: store,
    edits: [["  sync_warp();\n", ""]],
    table,
    cases: "the widest heads",
  },
  {
    name: "prepare-one-weight",
    bug: "qkNormRopeStore: keys are normalised with the weight of the queries",
    file: store,
    edits: [["heads(p.k, p.k_weight, p.k_pages)", "heads(p.k, p.q_weight, p.k_pages)"]],
    table,
    cases: "bf16",
  },
  {
    name: "prepare-rounded-once",
    bug: "qkNormRopeStore: f32 pages get keys that were never rounded to the dtype of q",
    file: store,
    edits: [["      round_to(heads.x.dtype, h[i]);\n    }\n    store_floats", "    }\n    store_floats"]],
    table,
    cases: "bf16 to f32 pages hold keys of bf16",
  },
  {
    name: "prepare-padding-writes",
    bug: "qkNormRopeStore: a token without a slot writes in front of the pages",
    file: store,
    edits: [["  if (slot == -1) return;\n", ""]],
    table,
    cases: "skipped tokens",
  },
];
