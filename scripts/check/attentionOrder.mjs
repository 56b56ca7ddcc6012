// Whether the softmax of the Hopper attention kernel still overlaps with its second product in the machine code. It
// issues S = Q K^T and O += P V, waits for S (wait<1>), takes the exponentials of S while O is under way, and waits for O
// (wait<0>). Nothing in the language ties the exponentials to the second wait, so ptxas may move it above them: the result
// is right and the overlap is gone, without a remark.
import { readKernels } from "./sass.mjs";

const kernelName = /attention_hopper/;
/** Dh, Dv and kKeys of a shape, in a name. */
const shapePattern = /HopperShapeI\w*?Li(\d+)ELi(\d+)ELi(\d+)E/;
const threadsOfWarpgroup = 128;
const rowsOfWarpgroup = 64;
const rowsOfThread = 2;

/**
 * @typedef {{ shape: string, sequence: string, problem?: string }} Order sequence: what the code does, runs counted
 * @param {Buffer} cubin of an instance of cuda/attention/hopper.cuh
 * @returns {Order[]} one for each shape and dtype
 */
export function attentionOrders(cubin) {
  return readKernels(cubin)
    .filter(({ name }) => kernelName.test(name))
    .map(({ name, events }) => {
      const [, Dh, Dv, keys] = shapePattern.exec(name) ?? [];
      const shape = `Dh ${Dh} Dv ${Dv} keys ${keys} ${name.includes("bfloat16") ? "bf16" : "f16"}`;
      const problem =
        keys === undefined
          ? `the name of the kernel has no shape: ${name}`
          : findProblem(events, Number(keys));
      return { shape, sequence: inWords(events), ...(problem && { problem }) };
    });
}

/**
 * A thread has its share of the S of a block, two exponentials each (that of a softcap is jumped over where there is none), and one more
 * for each of its rows: by how much the sums so far shrink.
 * @param {number} keys of a block
 */
export function exponentialsOfBlock(keys) {
  return (2 * rowsOfWarpgroup * keys) / threadsOfWarpgroup + rowsOfThread;
}

/** @param {readonly import("./sass.mjs").Event[]} events @param {number} keys @returns {string | undefined} */
function findProblem(events, keys) {
  const expected = exponentialsOfBlock(keys);
  const starts = events.flatMap((event, i) => (event === "wait<1>" ? [i] : []));
  if (starts.length === 0) return "it never waits for S alone (wait<1>)";
  for (const start of starts) {
    const rest = events.slice(start + 1);
    const end = rest.findIndex((event) => event !== "exp2");
    if (end !== expected || rest[end] !== "wait<0>")
      return `wait<1>, ${end} exponentials, ${rest[end]}; it has to be wait<1>, ${expected}, wait<0>`;
  }
  return undefined;
}

/** @param {readonly string[]} events */
function inWords(events) {
  /** @type {{ event: string, count: number }[]} */
  const runs = [];
  for (const event of events) {
    const last = runs.at(-1);
    if (last?.event === event) last.count += 1;
    else runs.push({ event, count: 1 });
  }
  return runs
    .map(({ event, count }) => (count > 1 || event === "exp2" ? `${count} ${event}` : event))
    .join(", ");
}
