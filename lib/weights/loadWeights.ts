/**
 * Brings the planned weights of a checkpoint to the device, in the form that each op reads. The bytes are read to
 * device memory on the stream's thread; at most about `flushBytes` and one tensor are on their way at a time.
 *
 * What a batch needs is allocated before any of it is read: while the stream's thread touches new memory, the system lets other
 * threads of the process wait for theirs, up to 200 ms on the event loop's.
 */
import type { Checkpoint, TensorEntry } from "../checkpoint/safetensors.js";
import { byteLength, type FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { CheckpointError, ExecutionError } from "../errors.js";
import { cast } from "../ops/cast.js";
import { type Allocate, emptyExperts, emptyLinearWeight, packRows } from "../ops/linearWeight.js";
import { matrixDtype } from "./activationDtype.js";
import { ModelWeights, type WeightForm } from "./modelWeights.js";
import { WeightFile } from "./weightFile.js";
import type { PlannedWeight } from "./weightMap.js";

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
    for (const batch of batches(plan)) {
      const fill = batch.map((weight) => loader.allocate(weight, forms.get(weight.slot)!));
      for (const each of fill) await each();
      await loader.flush();
    }
    return loader.weights;
  } catch (error) {
    loader.weights.dispose();
    if (!(error instanceof ExecutionError)) throw error;
    // Only copies from files depend on anything that was not checked before.
    throw new CheckpointError("ERR_CHECKPOINT_FORMAT", error.message, {}, { cause: error });
  }
}

/** Weights that are read together: of `flushBytes`, or a single larger one. */
function* batches(plan: readonly PlannedWeight[]): Generator<readonly PlannedWeight[]> {
  let [batch, bytes]: [PlannedWeight[], number] = [[], 0];
  for (const weight of plan) {
    batch.push(weight);
    bytes += bytesOf(weight);
    if (bytes < flushBytes) continue;
    yield batch;
    [batch, bytes] = [[], 0];
  }
  if (batch.length > 0) yield batch;
}

function bytesOf({ parts }: PlannedWeight): number {
  return parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** Memory for the parts of a weight one after another, and for the same values in another dtype if one is wanted. */
interface Room {
  readonly stored: Tensor;
  readonly converted: Tensor | undefined;
}

class Loader implements Disposable {
  readonly weights = new ModelWeights();
  readonly #options: LoadWeightsOptions;
  readonly #total: number;
  readonly #files = new Map<string, WeightFile>();
  /** What is only needed while weights are read. */
  readonly #temporary = new Set<Tensor>();
  #loaded = 0;
  #queued = 0;

  constructor(options: LoadWeightsOptions, total: number) {
    this.#options = options;
    this.#total = total;
  }

  /** Makes room for a weight. @returns reads it */
  allocate(weight: PlannedWeight, form: WeightForm): () => void | Promise<void> {
    const { slot, layer, parts, dtype, shape } = weight;
    this.#options.signal?.throwIfAborted();
    switch (form) {
      case "vector": {
        const { room, tensor } = this.#kept(dtype, "f32", shape);
        this.weights.addVector(slot, layer, tensor);
        return () => this.#readToStay(parts, room);
      }
      case "table": {
        const { room, tensor } = this.#kept(dtype, dtype, shape);
        this.weights.addTable(slot, tensor);
        return () => this.#readToStay(parts, room);
      }
      case "linear":
        return this.#allocateLinear(weight);
      case "experts":
      case "gatedExperts":
        return this.#allocateExperts(weight, form === "gatedExperts");
    }
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
    for (const tensor of this.#temporary) tensor.dispose();
    for (const file of this.#files.values()) file.close();
  }

  #allocateLinear(weight: PlannedWeight): () => void {
    const { stream, dtype: activations } = this.#options;
    const { slot, layer, transpose, tiedTo, parts, dtype, shape } = weight;
    const packedDtype = matrixDtype(activations, dtype);
    const [outputs, inputs] = shape as readonly [number, number];
    const format = { format: "dense", dtype: packedDtype } as const;
    const packed = emptyLinearWeight(this.#allocate, inputs, [{ name: slot, outputs, format }]);
    this.weights.addLinear(slot, layer, packed);
    if (tiedTo === undefined) {
      const room = this.#room(dtype, packedDtype, transpose ? [...shape].reverse() : shape);
      return () => {
        packRows(stream, packed, { first: 0, matrix: this.#read(parts, room), transpose });
        this.#release(room.stored, room.converted);
      };
    }
    // A tied head is packed in addition: the table stays as `embedding` reads it.
    const table = this.weights.table(tiedTo);
    const converted = table.dtype === packedDtype ? undefined : this.#empty(packedDtype, table.shape);
    return () => {
      if (converted) cast(stream, table, packedDtype, { out: converted });
      packRows(stream, packed, { first: 0, matrix: converted ?? table, transpose });
      this.#release(converted);
    };
  }

  /** One expert at a time through the same room, so that no second copy of all of them exists. */
  #allocateExperts(weight: PlannedWeight, swiglu: boolean): () => Promise<void> {
    const { stream, dtype: activations, signal } = this.#options;
    const [experts, outputs, inputs] = weight.shape as readonly [number, number, number];
    const packedDtype = matrixDtype(activations, weight.dtype);
    const { slot } = weight;
    const format = { format: "dense", dtype: packedDtype } as const;
    const shape = { experts, inputs, swiglu };
    const group = emptyExperts(this.#allocate, shape, [{ name: slot, outputs, format }]);
    this.weights.addExperts(slot, weight.layer, group);
    const room = this.#room(weight.dtype, packedDtype, [outputs, inputs]);
    const perExpert = weight.parts.length / experts;
    return async () => {
      for (let expert = 0; expert < experts; expert++) {
        signal?.throwIfAborted();
        const parts = weight.parts.slice(expert * perExpert, (expert + 1) * perExpert);
        packRows(stream, group, { first: 0, matrix: this.#read(parts, room), expert });
        if (this.#queued >= flushBytes) await this.flush();
      }
      this.#release(room.stored, room.converted);
    };
  }

  /** Room of which the tensor of the wanted dtype stays. */
  #kept(
    from: FloatDType,
    to: FloatDType,
    shape: readonly number[],
  ): { readonly room: Room; readonly tensor: Tensor } {
    const room = this.#room(from, to, shape);
    const tensor = room.converted ?? room.stored;
    this.#temporary.delete(tensor);
    return { room, tensor };
  }

  #room(from: FloatDType, to: FloatDType, shape: readonly number[]): Room {
    const stored = this.#empty(from, shape);
    return { stored, converted: from === to ? undefined : this.#empty(to, shape) };
  }

  readonly #allocate: Allocate = (dtype, shape) => this.#options.stream.device.empty(dtype, shape);

  #empty(dtype: FloatDType, shape: readonly number[]): Tensor {
    const tensor = this.#options.stream.device.empty(dtype, shape);
    this.#temporary.add(tensor);
    return tensor;
  }

  /** Temporary memory is free once the stream has passed this point; what stays is left as it is. */
  #release(...tensors: readonly (Tensor | undefined)[]): void {
    for (const tensor of tensors) if (tensor && this.#temporary.delete(tensor)) tensor.dispose();
  }

  #readToStay(parts: readonly TensorEntry[], room: Room): void {
    this.#read(parts, room);
    this.#release(room.stored);
  }

  /** The parts one after another, in the room's last form. */
  #read(parts: readonly TensorEntry[], { stored, converted }: Room): Tensor {
    const { stream } = this.#options;
    let start = 0;
    for (const part of parts) {
      this.#file(part).copyTo(stream, stored, part.byteOffset, part.byteLength, start);
      start += part.byteLength;
      this.#queued += part.byteLength;
    }
    if (converted) cast(stream, stored, converted.dtype as FloatDType, { out: converted });
    return converted ?? stored;
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
