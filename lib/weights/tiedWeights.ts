/**
 * Tied weights of which the checkpoint stores a copy as well. Exporters write such copies of equal values; finetunes that
 * trained the head by itself leave `tie_word_embeddings` standing, and then the stored values are the model.
 */
import type { Checkpoint } from "../checkpoint/tensorFiles.js";
import { warn } from "../warning.js";
import type { PlannedPart, PlannedWeight } from "./weightMap.js";

/** Bytes of each of the two tensors that are compared at a time. */
const chunkBytes = 8 << 20;

/**
 * Reads every stored copy of a tied weight and unties those that differ, with a warning. Of a checkpoint that is elsewhere they are
 * taken for equal: to compare them they would have to come here.
 *
 * @param plan of `resolveWeights`
 * @returns the plan to load
 * @throws CheckpointError as Checkpoint.read; `signal.reason`
 */
export async function untieDifferentCopies(
  plan: readonly PlannedWeight[],
  checkpoint: Checkpoint,
  signal?: AbortSignal,
): Promise<PlannedWeight[]> {
  if (!checkpoint.isLocal) return [...plan];
  const result: PlannedWeight[] = [];
  for (const weight of plan) {
    const { tiedTo, storedCopy } = weight;
    const shared = storedCopy && plan.find(({ slot }) => slot === tiedTo);
    if (!shared || (await areEqual(checkpoint, shared.parts, storedCopy, signal))) {
      result.push(weight);
    } else {
      const [copy, original] = [storedCopy[0]!.entry, shared.parts[0]!.entry];
      warn(
        "WARN_UNTIED_HEAD",
        `${copy.file}: ${copy.name} has other values than ${original.name}, to which the config ties it ` +
          "(tie_word_embeddings): the stored values are used",
      );
      result.push({ ...weight, parts: storedCopy, tiedTo: undefined });
    }
  }
  return result;
}

/** By their bytes, so values of another dtype count as different: the stored ones are right in any case. */
async function areEqual(
  checkpoint: Checkpoint,
  a: readonly PlannedPart[],
  b: readonly PlannedPart[],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (a.length !== b.length) return false;
  for (const [i, { entry }] of a.entries()) {
    const other = b[i]!.entry;
    if (entry.dtype !== other.dtype || entry.byteLength !== other.byteLength) return false;
    for (let start = 0; start < entry.byteLength; start += chunkBytes) {
      signal?.throwIfAborted();
      const length = Math.min(chunkBytes, entry.byteLength - start);
      const chunks = [Buffer.allocUnsafe(length), Buffer.allocUnsafe(length)] as const;
      await Promise.all([checkpoint.read(entry, chunks[0], start), checkpoint.read(other, chunks[1], start)]);
      if (!chunks[0].equals(chunks[1])) return false;
    }
  }
  return true;
}
