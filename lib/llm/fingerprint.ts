/**
 * Which model a load has made: of the same config, the same weights and the same options, so that what one has computed another may
 * go on from. Weights are known by their names, shapes and samples of their bytes: reading all of them would take as long as the load.
 */
import { createHash } from "node:crypto";
import type { ModelConfigJson } from "../checkpoint/config.js";
import type { Checkpoint, TensorEntry } from "../checkpoint/tensorFiles.js";
import type { KvDType } from "../device/dtype.js";
import type { LoadPlan, WeightOptions } from "./planLoad.js";

/** Tensors that are looked into, evenly spread: whoever trains changes most of them. */
const maxSamples = 1024;
const sampleBytes = 256;
const together = 64;

/** Kinds of rope whose angles depend on the context that a model is loaded for. */
const lengthKinds = /"(longrope|su|dynamic)"/;

/** Of a `ModelDescription`. */
export interface DescribedModel {
  readonly config: ModelConfigJson;
  readonly architecture: string;
  readonly contextLength: number;
}

/** @returns 64 hexadecimal digits. @throws CheckpointError, if a file has become shorter */
export async function fingerprintOf(
  checkpoint: Checkpoint,
  { config: { reader }, architecture, contextLength }: DescribedModel,
  {
    dtype,
    int8Activations,
    kvDtype,
    quantize,
  }: Pick<LoadPlan, "dtype" | "int8Activations"> &
    Pick<WeightOptions, "quantize"> & { readonly kvDtype: KvDType },
): Promise<string> {
  const { json } = reader;
  const ropes = JSON.stringify([json["rope_scaling"], json["rope_parameters"]]);
  const length = lengthKinds.test(ropes) ? contextLength : null;
  const entries = [...checkpoint.tensors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  const told = entries.map(({ name, dtype: stored, shape }) => [name, stored, shape]);
  const options = [dtype, kvDtype, quantize ?? null, int8Activations, length];
  const hash = createHash("sha256").update(JSON.stringify([architecture, json, options, told]));
  const step = Math.max(1, entries.length / maxSamples);
  const chosen = Array.from(
    { length: Math.ceil(entries.length / step) },
    (_, i) => entries[Math.floor(i * step)]!,
  );
  for (let at = 0; at < chosen.length; at += together) {
    const samples = chosen.slice(at, at + together).map((entry) => sampleOf(checkpoint, entry));
    for (const sample of await Promise.all(samples)) hash.update(sample);
  }
  return hash.digest("hex");
}

/** From the middle. */
async function sampleOf(checkpoint: Checkpoint, entry: TensorEntry): Promise<Uint8Array> {
  const sample = new Uint8Array(Math.min(sampleBytes, entry.byteLength));
  await checkpoint.read(entry, sample, Math.floor((entry.byteLength - sample.length) / 2));
  return sample;
}
