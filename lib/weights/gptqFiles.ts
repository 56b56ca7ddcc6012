/**
 * What files of GPTQ say otherwise than their config: which version of zero points they hold, and biases that the model does not have. Both are
 * looked at before weights are loaded.
 *
 * Sources: AutoGPTQ pull request 640 (version 2), AutoGPTQ before 0.3 (biases of zeros for every matrix).
 */
import type { Checkpoint } from "../checkpoint/tensorFiles.js";
import { type FloatDType, hostArray, toFloat32 } from "../device/dtype.js";
import { CheckpointError } from "../errors.js";
import { isBesideCodes, isFloat } from "./codedMatrix.js";
import type { PlannedPart, PlannedWeight } from "./weightMap.js";

/** Eight zero points of 8, the middle of 4 bits: as version 2 stores them; version 1 stores sevens. */
const middleInVersion2 = 0x88888888;

/**
 * Symmetric files that say version 1 and hold version 2 show it by their zero points.
 *
 * @returns the plan to load
 * @throws CheckpointError ERR_CHECKPOINT_TENSOR for a bias that is not in the plan and is not zero
 */
export async function settleGptqFiles(
  plan: readonly PlannedWeight[],
  checkpoint: Checkpoint,
): Promise<readonly PlannedWeight[]> {
  const parts = plan.flatMap((weight) => weight.parts);
  const first = parts.find(({ coded }) => coded?.format === "gptq4");
  if (!first) return plan;
  await checkBiases(parts, checkpoint);
  const zeros = first.coded!.zeros!;
  const word = new Uint8Array(4);
  if (zeros.entry.byteLength >= word.length) await checkpoint.read(zeros.entry, word, zeros.start);
  const isVersion2 = new DataView(word.buffer).getUint32(0, true) === middleInVersion2;
  if (!isVersion2) return plan;
  const settle = (part: PlannedPart): PlannedPart =>
    part.coded?.symmetric ? { ...part, coded: { ...part.coded, addToZeros: 0 } } : part;
  return plan.map((weight) => ({ ...weight, parts: weight.parts.map(settle) }));
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
