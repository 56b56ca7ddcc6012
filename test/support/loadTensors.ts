/** Weights from tensors that a test has made, through a file as a model's are. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import type { FloatDType } from "../../lib/device/dtype.js";
import { loadWeights, type LoadWeightsOptions } from "../../lib/weights/loadWeights.js";
import { formsOf, type ModelWeights, type ModelWeightTable } from "../../lib/weights/modelWeights.js";
import type { Shard } from "../../lib/weights/shard.js";
import { resolveWeights } from "../../lib/weights/weightMap.js";
import { encodeSafetensors, type TensorToWrite } from "./safetensors.js";

export interface Stored {
  readonly dtype: FloatDType;
  readonly shape: readonly number[];
  readonly values: Uint16Array | Float32Array;
}

export async function loadTensors(
  table: ModelWeightTable,
  tensors: Readonly<Record<string, Stored>>,
  { shard, ...options }: Omit<LoadWeightsOptions, "checkpoint"> & { readonly shard?: Shard },
): Promise<ModelWeights> {
  const folder = await mkdtemp(path.join(tmpdir(), "warploop-weights-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const encoded = Object.entries(tensors).map(([name, { dtype: stored, shape, values }]) => {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return [name, { dtype: stored.toUpperCase(), shape, data } satisfies TensorToWrite] as const;
  });
  await writeFile(path.join(folder, "model.safetensors"), encodeSafetensors(Object.fromEntries(encoded)));
  await using checkpoint = await openCheckpoint(folder);
  const plan = resolveWeights(table, checkpoint, shard);
  return await loadWeights(plan, formsOf(table), { checkpoint, ...options });
}
