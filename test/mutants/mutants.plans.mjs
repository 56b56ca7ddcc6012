// Planted bugs in plans of attention that many calls share: lists that end too early, calls that write to the plan or leave a
// counter behind, plans of other calls; and in what cache groups rely on, pages behind a window that are anybody's; see mutants.mjs.

const folder = "native/cuda/attention";
const tiles = `${folder}/instances/bf16_64.cu`;

/** @type {import("./mutants.mjs").TableMutant[]} */
export const planMutants = [
  {
    name: "plan-queue-left",
    bug: "attention: the last take of an item does not give the counter back: the next call finds no items",
    file: `${folder}/queue.cuh`,
    edits: [["      if (taken == slot_.count - 1) atomic_add(plan_.next[kind_], 0u - slot_.count);\n", ""]],
    table: "test/ops/attentionPlan.test.ts",
    cases: "decodes, bf16",
    kernels: [tiles],
  },
  {
    name: "plan-emptied",
    bug: "attention: the block that takes the last item empties the list, of the plan that other layers read",
    file: `${folder}/queue.cuh`,
    edits: [
      [
        "if (taken == slot_.count - 1) atomic_add(plan_.next[kind_], 0u - slot_.count);",
        "if (taken == slot_.count - 1) atomic_add(plan_.next[kind_], 0u - slot_.count), const_cast<AttentionPlanHeader*>(plan_.header)->queues[kind_].num_items = 0;",
      ],
    ],
    table: "test/ops/attentionPlan.test.ts",
    cases: "decodes, bf16",
    kernels: [tiles],
  },
  {
    name: "plan-of-another",
    bug: "attention: a plan of another call is taken for one of this",
    file: `${folder}/items.cuh`,
    edits: [
      [
        "  if (all_lanes(lane >= kPlanWords || found[lane] == wanted[lane])) return true;",
        "  if (lane >= 0) return true;",
      ],
    ],
    table: "test/ops/attentionPlan.errors.test.ts",
    cases: "a plan of another kernel",
    kernels: [tiles, `${folder}/attention.cu`],
  },
  {
    name: "plan-written-over",
    bug: "attention: items of a plan that has been written over are believed",
    file: `${folder}/items.cuh`,
    edits: [["    if (is_usable(p, plan, kind, item)) return item;", "    return item;"]],
    table: "test/ops/attentionPlan.errors.test.ts",
    cases: "written over",
    kernels: [tiles, `${folder}/attention.cu`],
  },
  {
    name: "plan-flag-left",
    bug: "attention: the flag of spoilt rows stays",
    file: `${folder}/narrow.cuh`,
    edits: [["    end_mending(plan);\n", ""]],
    table: "test/ops/attentionMasks.test.ts",
    cases: "pagedAttention.*simt many queries, bf16",
    kernels: [tiles],
  },
  {
    name: "plan-few-counters",
    bug: "attention: more tiles are split than there are counters for",
    file: `${folder}/plan.cuh`,
    edits: [["split_at + s.tiles <= plan.split_capacity[s.kind];", "split_at >= 0;"]],
    table: "test/ops/scratch.test.ts",
    cases: "edges.*counters",
    kernels: [`${folder}/attention.cu`],
  },
  {
    name: "merge-counter-left",
    bug: "the last block does not give the counter back: the next call merges too early, or never",
    file: "native/cuda/device/last_block.cuh",
    edits: [["    if (is_last) counter = 0;\n", ""]],
    table: "test/ops/pagedAttention.test.ts",
    cases: "decode, several spans",
    kernels: [tiles, `${folder}/attention.cu`],
  },
  {
    name: "plan-split-share",
    bug: "attention: more tiles are split than their list has room for",
    file: `${folder}/plan.cuh`,
    edits: [
      ["kSplitShare * static_cast<long long>(", "4 * kSplitShare * static_cast<long long>("],
      ["split_at + s.tiles <= plan.split_capacity[s.kind];", "split_at >= 0;"],
    ],
    table: "test/ops/attentionPlan.test.ts",
    cases: "full lists",
    kernels: [`${folder}/attention.cu`],
  },
  {
    name: "plan-whole-list",
    bug: "attention: lists of items have half the room",
    file: `${folder}/attention.cu`,
    edits: [["static_cast<int32_t>(lists.items[kind]);", "static_cast<int32_t>(lists.items[kind] / 2);"]],
    table: "test/ops/attentionPlan.test.ts",
    cases: "more sequences than the plan has threads",
  },
  {
    name: "window-stale-page",
    bug: "attention: pages behind a window are read, and their keys hidden afterwards",
    file: `${folder}/key_ring.cuh`,
    edits: [["  if (token < s.keys.first || ", "  if (token < 0 || "]],
    table: "test/engine/windows.test.ts",
    cases: "free blocks",
    kernels: [tiles],
  },
];
