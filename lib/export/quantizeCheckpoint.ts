/** Writes a checkpoint whose matrices are codes, in the format of compressed-tensors, which vLLM, transformers and warploop read. */
import { rename } from "node:fs/promises";
import path from "node:path";
import { describe, readOptions } from "../arguments.js";
import { resolveModel } from "../checkpoint/hub.js";
import { openCheckpoint } from "../checkpoint/safetensors.js";
import { ArgumentTypeError, CheckpointError } from "../errors.js";
import { isGguf } from "../gguf/source.js";
import { describeModel, type ModelDescription } from "../llm/loadModel.js";
import { createProgressBar } from "../llm/terminal.js";
import { checkChoice, checkSignal } from "../llm/validate.js";
import { type QuantizeOption, quantizeOptions } from "../weights/quantizePlan.js";
import { quantizationConfig } from "./compressedTensors.js";
import { exportFiles } from "./exportFiles.js";
import { planExport } from "./exportPlan.js";
import { claimFolder, copyOthers, releaseFolder, writeConfig } from "./exportFolder.js";

export interface QuantizeCheckpointOptions {
  /** "int8" and "int4": codes with a scale for each 128 inputs (64 or 32 where these divide a row); "fp8": e4m3 with one for each row. */
  readonly format: QuantizeOption;
  /**
   * Bytes, of a file that is fetched from the hub, then of all tensors that are read. Default: bars, if stderr is a terminal; false: nothing
   * is shown.
   */
  readonly onProgress?: ((progress: QuantizeProgress) => void) | false | undefined;
  /** Nothing stays of what was written. */
  readonly signal?: AbortSignal | undefined;
}

export interface QuantizeProgress {
  readonly phase: "download" | "quantize";
  /** That is fetched, or the folder that is read. */
  readonly file: string;
  readonly loaded: number;
  readonly total: number;
}

/** What was written. */
export interface QuantizedCheckpoint {
  readonly folder: string;
  /** Matrices in codes, and their numbers. */
  readonly matrices: number;
  readonly parameters: number;
  /** Of all tensors, before and after. */
  readonly bytesRead: number;
  readonly bytesWritten: number;
}

/**
 * Quantises a checkpoint to another folder, strip by strip: memory stays small, whatever the size. int4 takes the best of 13 scales for each group,
 * none below 0. Embeddings, heads, routers, norms and stacked or transposed matrices stay as they are. Other files of the folder are copied.
 *
 * @param pathOrId a folder in Hugging Face layout with weights in floats, or "org/name" of the hub, which is fetched into its cache
 * @param to a folder that is not there yet, or is empty; also "~/name"
 * @throws CheckpointError for a checkpoint that cannot be loaded, is quantised already or has no matrix to quantise; ArgumentTypeError,
 * ArgumentRangeError, HubError; `signal.reason`. Nothing stays of what was written then.
 */
export async function quantizeCheckpoint(
  pathOrId: string,
  to: string,
  options: QuantizeCheckpointOptions,
): Promise<QuantizedCheckpoint> {
  if (typeof to !== "string" || to === "")
    throw new ArgumentTypeError(`to: expected a folder, got ${describe(to)}`);
  const given = readOptions("quantizeCheckpoint", options, ["format", "onProgress", "signal"]);
  if (given.format === undefined)
    throw new ArgumentTypeError(`format: expected one of ${quantizeOptions.join(", ")}`);
  const format = checkChoice("format", given.format, "int4", quantizeOptions);
  const signal = checkSignal(given.signal);
  if (given.onProgress !== undefined && given.onProgress !== false && typeof given.onProgress !== "function")
    throw new ArgumentTypeError(
      `onProgress: expected a function or false, got ${describe(given.onProgress)}`,
    );
  const bar = createProgressBar();
  const onProgress = given.onProgress === false ? () => undefined : (given.onProgress ?? bar.onProgress);
  try {
    return await write(pathOrId, to, { format, signal, onProgress });
  } finally {
    bar.stop();
  }
}

interface WriteOptions {
  readonly format: QuantizeOption;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: QuantizeProgress) => void;
}

async function write(
  pathOrId: string,
  to: string,
  { format, signal, onProgress }: WriteOptions,
): Promise<QuantizedCheckpoint> {
  let description: ModelDescription | undefined;
  const folder = await resolveModel(pathOrId, {
    ...(signal && { signal }),
    onProgress: (progress) => onProgress({ ...progress, phase: "download" }),
    checkGguf: () => {
      throw refused(pathOrId, ggufProblem);
    },
    beforeWeights: async (small) => {
      if (await isGguf(small)) throw refused(pathOrId, ggufProblem);
      description = await describeModel(small);
      const { quantization, config } = description;
      if (quantization)
        throw refused(config.file, `the weights are quantised already (${quantization.method})`);
    },
  });
  const { definition, config } = description!;
  await using checkpoint = await openCheckpoint(folder);
  const plan = planExport(definition.weights, checkpoint, format);
  if (plan.matrices.size === 0) {
    const why = "rows are no multiple of 32, or stored transposed, or as stacks of experts";
    throw refused(pathOrId, `no matrix of it can be written as ${format}: ${why}`);
  }
  const claimed = await claimFolder(to);
  const { final, partial } = claimed;
  try {
    const report = (progress: { loaded: number; total: number }) =>
      onProgress({ phase: "quantize", file: folder, ...progress });
    const bytes = await exportFiles(checkpoint, plan, { folder: partial, signal, onProgress: report });
    await writeConfig(config.reader.json, partial, quantizationConfig(format, plan));
    await copyOthers(folder, partial);
    signal?.throwIfAborted();
    await rename(partial, final);
    const matrices = [...plan.matrices.values()];
    const parameters = matrices.reduce((sum, { outputs, inputs }) => sum + outputs * inputs, 0);
    return { folder: final, matrices: matrices.length, parameters, ...bytes };
  } catch (error) {
    await releaseFolder(claimed);
    throw error;
  }
}

const ggufProblem =
  "expected a folder in Hugging Face layout, got a GGUF file, which llama-quantize of llama.cpp quantises";

function refused(file: string, why: string): CheckpointError {
  return new CheckpointError("ERR_CHECKPOINT_FORMAT", `${path.resolve(file)}: ${why}`, { file });
}
