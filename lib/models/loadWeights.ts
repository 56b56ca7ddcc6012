/**
 * Brings the planned weights of a checkpoint to the device, in the form that each op reads. The bytes are read to
 * device memory on the stream's thread; at most about `flushBytes` and one tensor are on their way at a time.
 */
import { byteLength, type DType, type FloatDType } from "../dtype.js";
import { CheckpointError, ExecutionError } from "../errors.js";
import { cast } from "../ops/cast.js";
import { emptyGroupedWeight, packExpert, packLinear } from "../ops/packLinear.js";
import type { Stream } from "../stream.js";
import type { Tensor } from "../tensor.js";
import type { Checkpoint, TensorEntry } from "../weights/safetensors.js";
import { WeightFile } from "../weights/weightFile.js";
import type { PlannedWeight } from "../weights/weightMap.js";
import { matrixDtype } from "./activationDtype.js";
import { ModelWeights, type WeightForm } from "./modelWeights.js";

/** Bytes of the checkpoint; `loaded` never falls and ends at `total`. */
export interface LoadProgress {
  readonly phase: "load";
  readonly loaded: number;
  readonly total: number;
}

export interface LoadWeightsOptions {
  /** Open, with the tensors of the plan. */
  readonly checkpoint: Checkpoint;
  readonly stream: Stream;
  /** Activation dtype; decides the dtype of the matrices. */
  readonly dtype: FloatDType;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Stops between tensors; the load rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}

/** How many bytes are queued before the loader waits, so that temporaries are freed and progress is true. */
const flushBytes = 256 << 20;

/**
 * Loads all weights of a plan.
 *
 * @param forms of each slot
 * @throws CheckpointError ERR_CHECKPOINT_FORMAT if a file has become shorter since its header was read; OutOfMemoryError;
 * `signal.reason`. Nothing stays allocated then.
 */
export async function loadWeights(
  plan: readonly PlannedWeight[],
  forms: ReadonlyMap<string, WeightForm>,
  options: LoadWeightsOptions,
): Promise<ModelWeights> {
  const total = plan.reduce((sum, { parts }) => sum + parts.reduce((s, part) => s + part.byteLength, 0), 0);
  using loader = new Loader(options, total);
  try {
    for (const weight of plan) await loader.load(weight, forms.get(weight.slot)!);
    await loader.flush();
    return loader.weights;
  } catch (error) {
    loader.weights.dispose();
    if (!(error instanceof ExecutionError)) throw error;
    // Only copies from files depend on anything that was not checked before.
    throw new CheckpointError("ERR_CHECKPOINT_FORMAT", error.message, {}, { cause: error });
  }
}

class Loader implements Disposable {
  readonly weights = new ModelWeights();
  readonly #options: LoadWeightsOptions;
  readonly #total: number;
  readonly #files = new Map<string, WeightFile>();
  #loaded = 0;
  #queued = 0;

  constructor(options: LoadWeightsOptions, total: number) {
    this.#options = options;
    this.#total = total;
  }

  async load(weight: PlannedWeight, form: WeightForm): Promise<void> {
    const { slot, layer } = weight;
    this.#options.signal?.throwIfAborted();
    switch (form) {
      case "vector":
        this.weights.addVector(slot, layer, this.#read(weight.parts, "f32", weight.shape));
        break;
      case "table":
        this.weights.addTable(slot, this.#read(weight.parts, weight.dtype, weight.shape));
        break;
      case "linear":
        this.#loadLinear(weight);
        break;
      case "experts":
      case "gatedExperts":
        await this.#loadExperts(weight, form === "gatedExperts");
    }
    if (this.#queued >= flushBytes) await this.flush();
  }

  /** Waits for what is queued, then reports it. */
  async flush(): Promise<void> {
    const { stream, onProgress, signal } = this.#options;
    await stream.synchronize();
    signal?.throwIfAborted();
    this.#loaded += this.#queued;
    this.#queued = 0;
    onProgress?.({ phase: "load", loaded: this.#loaded, total: this.#total });
  }

  [Symbol.dispose](): void {
    for (const file of this.#files.values()) file.close();
  }

  #loadLinear(weight: PlannedWeight): void {
    const { stream, dtype } = this.#options;
    const { slot, layer, transpose, tiedTo, parts, shape } = weight;
    const packedDtype = matrixDtype(dtype, weight.dtype);
    // A tied head is packed in addition: the table stays as `embedding` reads it.
    using matrix =
      tiedTo === undefined
        ? this.#read(parts, packedDtype, transpose ? [...shape].reverse() : shape)
        : this.#convertedCopy(this.weights.table(tiedTo), packedDtype);
    const source = matrix ?? this.weights.table(tiedTo!);
    this.weights.addLinear(slot, layer, packLinear(stream, source, { transpose }));
  }

  /** One expert at a time, so that no second copy of all of them exists. */
  async #loadExperts(weight: PlannedWeight, swiglu: boolean): Promise<void> {
    const { stream, dtype, signal } = this.#options;
    const [experts, outputs, inputs] = weight.shape as readonly [number, number, number];
    const packedDtype = matrixDtype(dtype, weight.dtype);
    const group = emptyGroupedWeight(stream, { experts, outputs, inputs, dtype: packedDtype, swiglu });
    this.weights.addExperts(weight.slot, weight.layer, group);
    const perExpert = weight.parts.length / experts;
    for (let expert = 0; expert < experts; expert++) {
      signal?.throwIfAborted();
      const parts = weight.parts.slice(expert * perExpert, (expert + 1) * perExpert);
      using matrix = this.#read(parts, packedDtype, [outputs, inputs]);
      packExpert(stream, group, expert, matrix);
      if (this.#queued >= flushBytes) await this.flush();
    }
  }

  /** The parts one after another as one new tensor of a dtype. */
  #read(parts: readonly TensorEntry[], dtype: FloatDType, shape: readonly number[]): Tensor {
    const { stream } = this.#options;
    const stored = stream.device.empty(parts[0]!.dtype as DType, shape);
    try {
      let start = 0;
      for (const part of parts) {
        this.#file(part).copyTo(stream, stored, part.byteOffset, part.byteLength, start);
        start += part.byteLength;
        this.#queued += part.byteLength;
      }
      const converted = this.#convertedCopy(stored, dtype);
      if (converted) stored.dispose();
      return converted ?? stored;
    } catch (error) {
      stored.dispose();
      throw error;
    }
  }

  /** The same values in another dtype, or undefined if that is the dtype they have. */
  #convertedCopy(tensor: Tensor, dtype: FloatDType): Tensor | undefined {
    if (tensor.dtype === dtype) return undefined;
    const { stream } = this.#options;
    return cast(stream, tensor, dtype, { out: stream.device.empty(dtype, tensor.shape) });
  }

  #file(entry: TensorEntry): WeightFile {
    const known = this.#files.get(entry.file);
    if (known) return known;
    const file = new WeightFile(this.#options.checkpoint.descriptor(entry.file), entry.file);
    this.#files.set(entry.file, file);
    return file;
  }
}

/** Dtype of most bytes of the matrices: what the checkpoint is said to be in. */
export function storedDtype(
  plan: readonly PlannedWeight[],
  forms: ReadonlyMap<string, WeightForm>,
): FloatDType {
  const bytes = { f32: 0, bf16: 0, f16: 0 };
  for (const { slot, dtype, shape } of plan) {
    if (forms.get(slot) === "vector") continue;
    bytes[dtype] += byteLength(
      dtype,
      shape.reduce((product, size) => product * size, 1),
    );
  }
  return (Object.keys(bytes) as FloatDType[]).reduce((most, dtype) =>
    bytes[dtype] > bytes[most] ? dtype : most,
  );
}
