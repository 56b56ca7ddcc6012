/**
 * What only the numbers of a file say of its codes, looked at before weights are loaded: in which order groups of inputs are neighbours, which version of
 * zero points a file of GPTQ holds, and that biases which the model does not have are zero.
 *
 * Sources: AutoGPTQ pull request 640 (version 2), AutoGPTQ before 0.3 (biases of zeros for every matrix).
 */
import { createHash } from "node:crypto";
import type { Checkpoint } from "../checkpoint/tensorFiles.js";
import { type FloatDType, hostArray, toFloat32 } from "../device/dtype.js";
import { CheckpointError } from "../errors.js";
import type { StoredFormat } from "../ops/storedRows.js";
import { type CodedMatrix, type CodedTensor, isBesideCodes, isFloat } from "./codedMatrix.js";
import type { PlannedPart, PlannedWeight } from "./weightMap.js";

/** A word of zero points in the middle of the bits, as version 2 stores them; version 1 stores them less 1. */
const middleInVersion2: Partial<Readonly<Record<StoredFormat, number>>> = {
  gptq4: 0x88888888,
  gptq8: 0x80808080,
};

/**
 * @returns the plan to load
 * @throws CheckpointError ERR_CHECKPOINT_TENSOR for a bias that is not in the plan and is not zero; as Checkpoint.read; `signal.reason`
 */
export async function settleCodes(
  plan: readonly PlannedWeight[],
  checkpoint: Checkpoint,
  signal?: AbortSignal,
): Promise<readonly PlannedWeight[]> {
  const parts = plan.flatMap((weight) => weight.parts);
  const gptq = parts.find(({ coded }) => coded && middleInVersion2[coded.format])?.coded;
  if (gptq) await checkBiases(parts, checkpoint);
  const isVersion2 = gptq !== undefined && (await holdsVersion2(gptq, checkpoint));
  const orders = await inputOrders(parts, checkpoint, signal);
  const settle = (part: PlannedPart): PlannedPart => {
    const { coded } = part;
    if (!coded) return part;
    const addToZeros = isVersion2 && coded.symmetric ? 0 : coded.addToZeros;
    const inputOrder = orders.get(keyOf(coded.groupOfInput));
    if (inputOrder === "as they lie")
      return { ...part, coded: { ...coded, addToZeros, groupOfInput: undefined } };
    return { ...part, coded: { ...coded, addToZeros, inputOrder } };
  };
  return plan.map((weight) => ({ ...weight, parts: weight.parts.map(settle) }));
}

const keyOf = (tensor: CodedTensor | undefined): string => `${tensor?.entry.name}@${tensor?.start}`;

/**
 * Inputs in an order in which groups are neighbours, by `keyOf`, equal ones as one object. "as they lie": they are, whatever the config
 * says; undefined: groups are of other sizes than their matrix has.
 */
async function inputOrders(
  parts: readonly PlannedPart[],
  checkpoint: Checkpoint,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, Int32Array | "as they lie" | undefined>> {
  const orders = new Map<string, Int32Array | "as they lie" | undefined>();
  const known = new Map<string, Int32Array>();
  for (const { coded } of parts) {
    const tensor = coded?.groupOfInput;
    const key = keyOf(tensor);
    if (!tensor || orders.has(key)) continue;
    signal?.throwIfAborted();
    const bytes = new Uint8Array(tensor.bytes);
    await checkpoint.read(tensor.entry, bytes, tensor.start);
    const order = sortedByGroup(new Int32Array(bytes.buffer), coded.group || coded.inputs);
    if (!order || order.every((from, to) => from === to)) {
      orders.set(key, order && "as they lie");
      continue;
    }
    const hash = createHash("sha256").update(order).digest("base64");
    known.set(hash, known.get(hash) ?? order);
    orders.set(key, known.get(hash));
  }
  return orders;
}

/** The inputs group by group, as they lie within one; undefined: a group has more or fewer than `size`. */
function sortedByGroup(groupOf: Int32Array, size: number): Int32Array | undefined {
  const order = new Int32Array(groupOf.length);
  const next = Array.from({ length: Math.ceil(order.length / size) }, (_, group) => group * size);
  for (const [input, group] of groupOf.entries()) {
    const at = next[group];
    if (at === undefined || at >= Math.min((group + 1) * size, order.length)) return undefined;
    order[at] = input;
    next[group] = at + 1;
  }
  return order;
}

/** Symmetric files that say version 1 and hold version 2 show it by their zero points. */
async function holdsVersion2({ format, zeros }: CodedMatrix, checkpoint: Checkpoint): Promise<boolean> {
  const word = new Uint8Array(4);
  if (!zeros || zeros.bytes < word.length) return false;
  await checkpoint.read(zeros.entry, word, zeros.start);
  return new DataView(word.buffer).getUint32(0, true) === middleInVersion2[format];
}

async function checkBiases(parts: readonly PlannedPart[], checkpoint: Checkpoint): Promise<void> {
  const used = new Set(parts.map(({ entry }) => entry.name));
  for (const entry of checkpoint.tensors.values()) {
    const { name, file } = entry;
    if (used.has(name) || !isBesideCodes(checkpoint.tensors, name)) continue;
    if (isFloat(entry)) {
      const bytes = new Uint8Array(entry.byteLength);
      await checkpoint.read(entry, bytes);
      const dtype = entry.dtype as FloatDType;
      if (toFloat32(dtype, hostArray(dtype, bytes.buffer)).every((value) => value === 0)) continue;
    }
    const message = `${file}: tensor ${name}: the model has no bias there, and this one is not zero`;
    throw new CheckpointError("ERR_CHECKPOINT_TENSOR", message, { file, tensor: name });
  }
}
