/**
 * Brings the planned weights of a checkpoint to the device, in the form that each op reads. The bytes are read on the stream's
 * thread. What has to be converted or packed goes through one staging buffer, rows at a time: besides the weights, a load needs
 * `stagingBytes`, or twice the largest matrix that is stored transposed.
 *
 * The memory of all weights is one allocation, made before any of it is read: while the stream's thread touches new memory, the
 * system lets other threads of the process wait for theirs, up to 200 ms on the event loop's.
 */
import type { Checkpoint } from "../checkpoint/safetensors.js";
import type { FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import { type Memory, Tensor } from "../device/tensor.js";
import { CheckpointError, ExecutionError } from "../errors.js";
import { cast } from "../ops/cast.js";
import { ModelWeights, type WeightForm } from "./modelWeights.js";
import { roomBytes, WeightArena } from "./weightArena.js";
import { WeightFile } from "./weightFile.js";
import { type FormedWeight, formWeight, type PlacedWeight } from "./weightForms.js";
import type { PlannedPart, PlannedWeight } from "./weightMap.js";

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

/** How many bytes are queued before the loader waits, so that progress is true and an abort is seen. */
const flushBytes = 256 << 20;

/** Bytes that are read before they are packed: of a tensor with more, some rows at a time. */
const stagingBytes = 8 << 20;

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
  using loader = new Loader(plan, forms, options);
  try {
    await loader.run();
    return loader.weights;
  } catch (error) {
    loader.weights.dispose();
    if (!(error instanceof ExecutionError)) throw error;
    // Only copies from files depend on anything that was not checked before.
    throw new CheckpointError("ERR_CHECKPOINT_FORMAT", error.message, {}, { cause: error });
  }
}

/** A weight of the plan on its way. */
interface Work {
  readonly weight: PlannedWeight;
  readonly formed: FormedWeight;
}

/** Rows of a part that are read or converted together. */
interface Chunk {
  readonly part: PlannedPart;
  /** Of the part. */
  readonly first: number;
  readonly rows: number;
}

class Loader implements Disposable {
  readonly weights = new ModelWeights();
  readonly #options: LoadWeightsOptions;
  /** Those that share others' values last. */
  readonly #works: readonly Work[];
  readonly #arena: WeightArena;
  readonly #staging: Memory;
  readonly #files = new Map<string, WeightFile>();
  readonly #total: number;
  #loaded = 0;
  #queued = 0;

  constructor(
    plan: readonly PlannedWeight[],
    forms: ReadonlyMap<string, WeightForm>,
    options: LoadWeightsOptions,
  ) {
    const { device } = options.stream;
    this.#options = options;
    const inOrder = [...plan].sort((a, b) => Number(a.tiedTo !== undefined) - Number(b.tiedTo !== undefined));
    this.#works = inOrder.map((declared) => {
      const weight = withSharedParts(declared, plan);
      return { weight, formed: formWeight(weight, forms.get(weight.slot)!, options.dtype) };
    });
    this.#total = plan.reduce((sum, { parts }) => sum + bytesOf(parts), 0);
    this.#arena = new WeightArena(
      device,
      this.#works.flatMap(({ formed }) => formed.rooms),
    );
    this.weights.ownMemory(this.#arena.memory);
    try {
      this.#staging = device.allocate(
        this.#works.reduce((most, work) => Math.max(most, stagingBytesOf(work)), 0),
      );
    } catch (error) {
      this.weights.dispose();
      throw error;
    }
  }

  async run(): Promise<void> {
    for (const { weight, formed } of this.#works) {
      const tensors = formed.rooms.map((room) => this.#arena.take(room));
      const placed = formed.place(tensors, this.weights);
      for (const part of weight.parts) {
        this.#options.signal?.throwIfAborted();
        for (const chunk of chunksOf(part)) {
          if (weight.tiedTo === undefined) this.#read(chunk, formed, placed);
          else this.#convert(chunk, this.weights.table(weight.tiedTo), formed, placed);
          if (this.#queued >= flushBytes) await this.#flush();
        }
      }
    }
    await this.#flush();
  }

  [Symbol.dispose](): void {
    this.#staging.dispose();
    for (const file of this.#files.values()) file.close();
  }

  /** Waits for what is queued, then reports it. */
  async #flush(): Promise<void> {
    const { stream, onProgress, signal } = this.#options;
    await stream.synchronize();
    signal?.throwIfAborted();
    this.#loaded += this.#queued;
    this.#queued = 0;
    onProgress?.({ phase: "load", loaded: this.#loaded, total: this.#total });
  }

  /** From the file to where it stays, or through the staging buffer. */
  #read(chunk: Chunk, formed: FormedWeight, placed: PlacedWeight): void {
    const { part, first, rows } = chunk;
    const { entry } = part;
    const rowBytes = entry.byteLength / part.rows;
    const [offset, bytes] = [entry.byteOffset + first * rowBytes, rows * rowBytes];
    const direct = placed.direct?.(part);
    const to = direct ?? Tensor.packed(this.#staging, part.dtype, shapeOf(chunk));
    this.#file(entry.file).copyTo(this.#options.stream, to, offset, bytes, direct ? first * rowBytes : 0);
    this.#queued += bytes;
    if (!direct) this.#put(chunk, to, roomBytes(part.dtype, to.shape), formed, placed);
  }

  /** From the weight that another one shares, which is on the device already. */
  #convert(chunk: Chunk, table: Tensor, formed: FormedWeight, placed: PlacedWeight): void {
    const { first, rows } = chunk;
    this.#put(chunk, table.slice(0, first, first + rows), 0, formed, placed);
  }

  /** @param at where the staging buffer is free */
  #put({ part, first }: Chunk, stored: Tensor, at: number, formed: FormedWeight, placed: PlacedWeight): void {
    const { stream } = this.#options;
    const dtype = formed.wants(part.dtype);
    let values = stored;
    if (dtype !== part.dtype) {
      values = Tensor.packed(this.#staging, dtype, stored.shape, at);
      cast(stream, stored, dtype, { out: values });
    }
    placed.put(stream, { values, first: part.firstRow + first, part });
  }

  #file(name: string): WeightFile {
    const known = this.#files.get(name);
    if (known) return known;
    const file = new WeightFile(this.#options.checkpoint.descriptor(name), name);
    this.#files.set(name, file);
    return file;
  }
}

/** Of a tensor that is stored transposed all rows, because each of them is spread over all of it. */
function* chunksOf(part: PlannedPart): Generator<Chunk> {
  const { rows, entry, transpose } = part;
  const each = transpose ? rows : Math.max(1, Math.floor((stagingBytes * rows) / entry.byteLength));
  for (let first = 0; first < rows; first += each) yield { part, first, rows: Math.min(each, rows - first) };
}

/** As it is stored. */
function shapeOf({ part: { entry, transpose }, rows }: Chunk): readonly number[] {
  return transpose ? entry.shape : [rows, ...entry.shape.slice(1)];
}

/** What a weight takes of the staging buffer: rows as they are stored, and converted. */
function stagingBytesOf({ weight, formed }: Work): number {
  const bytes = weight.parts.flatMap((part) => {
    const [chunk] = chunksOf(part); // none is larger
    if (!chunk) return [];
    const dtypes = new Set([part.dtype, formed.wants(part.dtype)]);
    return [[...dtypes].reduce((sum, dtype) => sum + roomBytes(dtype, shapeOf(chunk)), 0)];
  });
  return Math.max(0, ...bytes);
}

/** A tied weight with the values that it shares as its one part. */
function withSharedParts(weight: PlannedWeight, plan: readonly PlannedWeight[]): PlannedWeight {
  const shared = plan.find(({ slot }) => slot === weight.tiedTo)?.parts[0];
  const rows = weight.shape[0]!;
  return shared ? { ...weight, parts: [{ ...shared, firstRow: 0, rows }] } : weight;
}

function bytesOf(parts: readonly PlannedPart[]): number {
  return parts.reduce((sum, { entry }) => sum + entry.byteLength, 0);
}

/** Dtype of most bytes of the matrices: what the checkpoint is said to be in. */
export function storedDtype(
  plan: readonly PlannedWeight[],
  forms: ReadonlyMap<string, WeightForm>,
): FloatDType {
  const bytes = { f32: 0, bf16: 0, f16: 0 };
  for (const { slot, parts } of plan) {
    if (forms.get(slot) === "vector") continue;
    for (const { dtype, entry } of parts) bytes[dtype] += entry.byteLength;
  }
  return (Object.keys(bytes) as FloatDType[]).reduce((most, dtype) =>
    bytes[dtype] > bytes[most] ? dtype : most,
  );
}
