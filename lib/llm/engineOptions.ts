/** Options of `LLM.load`, their checks, and how much memory the KV pool takes. */
import os from "node:os";
import { checkBoolean, describe, readOptions } from "../arguments.js";
import { checkDeviceName, type Device, type DeviceName, maxThreads } from "../device/device.js";
import type { RunnerOptions } from "../engine/runner.js";
import { ArgumentTypeError, CapacityError } from "../errors.js";
import type { Model } from "../models/model.js";
import { type KvDTypeOption, kvDtypeOptions } from "../nn/kvDtype.js";
import { pageSizeOf, stateLayout } from "../nn/state.js";
import { type ActivationsOption, activationsOptions } from "../weights/activationDtype.js";
import { type QuantizeOption, quantizeOptions } from "../weights/quantizePlan.js";
import { CacheGroup, longestSequence, peakBlocks } from "../schedule/cacheGroup.js";
import type { SchedulerOptions } from "../schedule/schedulerOptions.js";
import { checkChoice, checkNumber, checkSignal } from "./validate.js";

/**
 * Progress of `LLM.load`; `loaded` and `total` are bytes and `loaded` never decreases within a phase and file. The phases
 * "device" and "cache" have none: the message of one says which device "auto" took, and why; that of the other how layers of several
 * lifetimes share the KV cache.
 */
export interface LoadProgress {
  readonly phase: "device" | "download" | "load" | "cache";
  readonly file?: string;
  readonly message?: string;
  readonly loaded: number;
  readonly total: number;
}

export interface LLMOptions {
  /** "cpu", "cuda" (the first GPU) or "cuda:N". "auto" takes a GPU where a driver and a GPU answer. Default "auto". */
  readonly device?: "auto" | DeviceName | undefined;
  /** Threads of the CPU device. Default: one per physical core. */
  readonly threads?: number | undefined;
  /** Dtype of activations. "auto": that of the checkpoint where the device is fast at it, else f32. */
  readonly dtype?: "auto" | "f32" | "bf16" | "f16" | undefined;
  /**
   * What products with weights in codes make of activations first. "int8": bytes, with a scale for each 32 or 128 of them, and sums of
   * integers; "float": they stay as they are. "auto": "int8" where the device has such products for the format. Default "auto".
   */
  readonly activations?: ActivationsOption | undefined;
  /**
   * Matrices of floats become codes while they are loaded: "int8" and "int4" with a scale for each 128 inputs, "fp8" (e4m3) with one for
   * each row. Embeddings, routers and norms stay as they are; heads become int8 (not with "fp8"). Default: none.
   */
  readonly quantize?: QuantizeOption | undefined;
  /**
   * Dtype of the KV cache. "auto": as activations. "int8" and "fp8" (e4m3) keep 8 bits of each element and a factor for each head of
   * each token, or of a latent for each 128 numbers: half the memory of 16 bits. Default "auto".
   */
  readonly kvDtype?: KvDTypeOption | undefined;
  /**
   * Longest context in tokens, prompt and generated. Default: that of the model, at most 32768, and no more than the KV cache
   * holds; one that is given and that it does not hold is refused.
   */
  readonly contextLength?: number | undefined;
  /** Most requests that run at once; others wait. Default 32. */
  readonly maxSequences?: number | undefined;
  /**
   * Most continuations that wait beside the maxSequences that may run: `generate` and `chat` refuse one more (QueueFullError), and
   * `generateAll` begins it when there is room. Default: any number.
   */
  readonly maxWaiting?: number | undefined;
  /** Most tokens in one step: what a long prompt may delay the others by. Default 512. */
  readonly maxStepTokens?: number | undefined;
  /**
   * Memory for the KV cache in bytes. Default: what maxSequences full contexts need, at most a quarter of free memory, or
   * 80 % of that of a GPU.
   */
  readonly kvCacheBytes?: number | undefined;
  /** Tokens per KV page. Default 16; 64 of a model that keeps latents. */
  readonly pageSize?: number | undefined;
  /** "optimistic" preempts when memory runs out; "reserve" admits only what fits to its end. Default "optimistic". */
  readonly admission?: "optimistic" | "reserve" | undefined;
  /** Reuse the KV of equal prompt beginnings. Default true. */
  readonly prefixCache?: boolean | undefined;
  /** Replay decode steps as captured graphs. Default true. */
  readonly graphs?: boolean | undefined;
  /** Count on the device which experts tokens go to, for `stats().experts` and `expertLoad()`. Default false. */
  readonly expertCounts?: boolean | undefined;
  /**
   * A device that finishes nothing of a step for that long ends the engine (ERR_STALLED), in milliseconds. The step itself may
   * take longer; on a GPU what is finished shows when a step ends. Time in which this process was busy or stopped does not
   * count. Default 300000.
   */
  readonly stepTimeoutMs?: number | undefined;
  /** Branch, tag or commit of a hub id. Default "main". */
  readonly revision?: string | undefined;
  /**
   * Called while downloading and loading; what it throws ends the load. Default: a download shows a progress bar when stderr
   * is a terminal; false: nothing is shown.
   */
  readonly onProgress?: ((progress: LoadProgress) => void) | false | undefined;
  /** Aborts the load. */
  readonly signal?: AbortSignal | undefined;
}

export const loadOptionNames = [
  "device",
  "threads",
  "dtype",
  "kvDtype",
  "activations",
  "quantize",
  "contextLength",
  "maxSequences",
  "maxWaiting",
  "maxStepTokens",
  "kvCacheBytes",
  "pageSize",
  "admission",
  "prefixCache",
  "graphs",
  "expertCounts",
  "stepTimeoutMs",
  "revision",
  "onProgress",
  "signal",
] as const;

/** Those whose default depends on the model, or is none. */
type OpenOption =
  | "quantize"
  | "maxWaiting"
  | "threads"
  | "contextLength"
  | "kvCacheBytes"
  | "pageSize"
  | "revision"
  | "signal";

export type ResolvedOptions = Readonly<
  Required<Omit<LLMOptions, OpenOption | "onProgress">> &
    Pick<LLMOptions, OpenOption> & {
      readonly onProgress?: (progress: LoadProgress) => void;
    }
>;

/** @throws ArgumentTypeError, ArgumentRangeError naming the option */
export function resolveOptions(given: LLMOptions): ResolvedOptions {
  const options = readOptions("LLM.load", given, loadOptionNames);
  const integer = (name: keyof LLMOptions, fallback: number, min: number, max = 0x7fffffff) =>
    checkNumber(name, options[name], fallback, { min, max, integer: true });
  const maxSequences = integer("maxSequences", 32, 1, 4096);
  integer("threads", 1, 1, maxThreads);
  integer("contextLength", 2, 2); // a token of prompt and one to generate
  integer("kvCacheBytes", 1, 1, Number.MAX_SAFE_INTEGER);
  const { onProgress, revision } = options;
  if (onProgress !== undefined && onProgress !== false && typeof onProgress !== "function")
    throw new ArgumentTypeError(`onProgress: expected a function or false, got ${describe(onProgress)}`);
  if (revision !== undefined && typeof revision !== "string")
    throw new ArgumentTypeError(`revision: expected a string, got ${describe(revision)}`);
  return {
    device: checkDeviceName(options.device ?? "auto"),
    dtype: checkChoice("dtype", options.dtype, "auto", ["auto", "f32", "bf16", "f16"]),
    kvDtype: checkChoice("kvDtype", options.kvDtype, "auto", kvDtypeOptions),
    activations: checkChoice("activations", options.activations, "auto", activationsOptions),
    ...(options.quantize !== undefined && {
      quantize: checkChoice("quantize", options.quantize, "int8", quantizeOptions),
    }),
    maxSequences,
    maxStepTokens: integer("maxStepTokens", Math.max(512, maxSequences), maxSequences),
    ...(options.pageSize !== undefined && { pageSize: integer("pageSize", 16, 1, 1024) }),
    admission: checkChoice("admission", options.admission, "optimistic", ["optimistic", "reserve"]),
    prefixCache: checkBoolean("prefixCache", options.prefixCache, true),
    graphs: checkBoolean("graphs", options.graphs, true),
    expertCounts: checkBoolean("expertCounts", options.expertCounts, false),
    stepTimeoutMs: integer("stepTimeoutMs", 300_000, 1000),
    ...(options.maxWaiting !== undefined && { maxWaiting: integer("maxWaiting", 0, 0) }),
    ...(options.threads !== undefined && { threads: options.threads }),
    ...(options.contextLength !== undefined && { contextLength: options.contextLength }),
    ...(options.kvCacheBytes !== undefined && { kvCacheBytes: options.kvCacheBytes }),
    ...(revision !== undefined && { revision }),
    ...(onProgress !== undefined && { onProgress: onProgress || (() => undefined) }),
    ...(options.signal !== undefined && { signal: checkSignal(options.signal)! }),
  };
}

/**
 * Sizes the KV pool and the rest of the engine for a model that is loaded on a device.
 * @throws CapacityError when the budget does not hold the dummy block and the blocks of two tokens, or a context whose length was given
 */
export function planCapacity(
  options: ResolvedOptions,
  { shape, state }: Pick<Model, "shape" | "state">,
  device: Device,
): RunnerOptions & SchedulerOptions {
  const { maxSequences, maxStepTokens, admission, prefixCache, graphs, expertCounts } = options;
  const { pageSize = pageSizeOf(state) } = options;
  const layout = stateLayout(state, { pageSize, longest: shape.maxPositions });
  const { blockBytes, slotLayers } = layout;
  const groups = layout.groups.map((group, i) => new CacheGroup(i, group, pageSize, maxStepTokens));
  // Of a slot there is a copy for others to begin from; and there is the dummy block.
  const wanted = maxSequences * (peakBlocks(groups, shape.maxPositions) + 2 * slotLayers) + 1;
  const budget = options.kvCacheBytes ?? defaultKvBytes(device);
  const numBlocks = Math.min(wanted, Math.floor(budget / blockBytes));
  const leastBlocks = 1 + peakBlocks(groups, 2) + slotLayers;
  if (numBlocks < leastBlocks) {
    throw new CapacityError(
      `kvCacheBytes: ${Math.floor(budget)} bytes do not hold ${leastBlocks} KV pages of ${blockBytes} bytes; ` +
        "give more memory, or a smaller pageSize",
    );
  }
  // A context that the pool cannot hold would only be refused later.
  const maxModelLen = longestSequence(groups, numBlocks - 1 - slotLayers, shape.maxPositions);
  if (options.contextLength !== undefined && maxModelLen < shape.maxPositions) {
    const needed = (1 + peakBlocks(groups, shape.maxPositions) + slotLayers) * blockBytes;
    throw new CapacityError(
      `contextLength: ${shape.maxPositions} tokens need ${needed} bytes of KV cache; ` +
        `${options.kvCacheBytes === undefined ? "free memory allows" : "kvCacheBytes gives"} ${Math.floor(budget)}, ` +
        `which hold ${maxModelLen}; give more memory, or a smaller contextLength` +
        (groups.some(({ window }) => window > 0) ? " or maxStepTokens" : ""),
    );
  }
  return {
    ...{ maxSequences, maxStepTokens, maxModelLen, pageSize, numBlocks, admission, prefixCache, graphs },
    ...{ layout, groups: layout.groups, slotLayers, expertCounts },
  };
}

/** The rest of a GPU's memory is for activations; a machine has other work to do. */
function defaultKvBytes(device: Device): number {
  return device.kind === "cuda" ? 0.8 * device.memory.free : os.freemem() / 4;
}
