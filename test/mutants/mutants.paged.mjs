// Planted bugs in the Hopper kernel of attention: how its tiles come into shared memory, and in which order; see
// mutants.mjs.

const folder = "native/cuda/attention";
const common = {
  table: "test/ops/pagedAttention.hopper.test.ts",
  kernels: [`${folder}/instances/bf16_64.sm90.cu`],
};

/** @type {import("./mutants.mjs").TableMutant[]} */
export const pagedMutants = [
  {
    name: "hopper-stale-page",
    bug: "attention: pages in front of a window are looked up and loaded",
    file: `${folder}/hopper_copies.cuh`,
    edits: [["std::max(token, s.keys.first) >= std::min(", "token >= std::min("]],
    cases: "pages: .*Ps: 16, window: 50",
    ...common,
  },
  {
    name: "hopper-tail-not-zeroed",
    bug: "attention: values beyond the sequence stay: rows with them are mended, and have other bits than with other pages",
    file: `${folder}/hopper_copies.cuh`,
    edits: [["        zero_rows<S::kKeys, S::kDv>(to, keys.first - tile, keys.last - tile);\n", ""]],
    cases: "the same bits however",
    ...common,
  },
  {
    name: "hopper-expect-bytes",
    bug: "attention: half of the bytes of a tile are expected",
    file: `${folder}/hopper_copies.cuh`,
    edits: [["kKeys * kWidth * sizeof(T));\n  sync_warp();", "kKeys * kWidth);\n  sync_warp();"]],
    cases: "pages: .*Ps: 16, window: (\\+)?0",
    ...common,
  },
  {
    name: "hopper-group-order",
    bug: "attention: the queries of a group are those of the heads after the KV head's number",
    file: `${folder}/launch_hopper.cuh`,
    edits: [["{q.stride(1), group * q.stride(1), q.stride(0)}", "{q.stride(1), q.stride(1), q.stride(0)}"]],
    cases: "groups: .*Hkv: 2, G: 4",
    ...common,
  },
  {
    name: "hopper-scale-sign",
    bug: "attention: the sign of the scale is lost",
    file: `${folder}/hopper.cuh`,
    edits: [["    if (negates(p_)) negate_queries();\n", ""]],
    cases: "a scale of -0.2",
    ...common,
  },
  {
    name: "hopper-q-released-by-one",
    bug: "attention: a consumer without rows does not give the queries back: the next item never comes",
    file: `${folder}/hopper.cuh`,
    edits: [["come round again\n    release(shared_.q_empty);\n", "come round again\n"]],
    cases: "blocks with several items",
    ...common,
  },
  {
    name: "hopper-sequence-start",
    bug: "attention: without pages each sequence has the keys of the first one",
    file: `${folder}/hopper_copies.cuh`,
    edits: [["return {s.item.pages + token, 0};", "return {token, 0};"]],
    ...common,
    table: "test/ops/flashAttention.hopper.test.ts",
    cases: "masks: .*causal: true, window: \\+?0",
  },
];
