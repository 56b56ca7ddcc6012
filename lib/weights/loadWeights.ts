/**
 * Brings the planned weights of a checkpoint to the device, in the form that each op reads. The bytes are read on the stream's
 * thread. What has to be converted or packed goes through one staging buffer, rows at a time: besides the weights, a load needs
 * `stagingBytes`, or twice the largest matrix that is stored transposed.
 *
 * The memory of all weights is one allocation, made before any of it is read: while the stream's thread touches new memory, the
 * system lets other threads of the process wait for theirs, up to 200 ms on the event loop's.
 */
import type { Checkpoint, TensorEntry } from "../checkpoint/tensorFiles.js";
import { type FloatDType, hostArray, toFloat32 } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import { type Memory, Tensor } from "../device/tensor.js";
import { CheckpointError, ExecutionError } from "../errors.js";
import { cast } from "../ops/cast.js";
import {
  bytesRead,
  type CodedRead,
  type CodedTarget,
  planCoded,
  storedStrip,
  stripValues,
} from "./codedRows.js";
import { madeBytes, makeCodes } from "./madeRows.js";
import { ModelWeights, type WeightForm } from "./modelWeights.js";
import { viewRows } from "./rowView.js";
import { roomBytes, WeightArena } from "./weightArena.js";
import { WeightFile } from "./weightFile.js";
import { type FormedWeight, type FormedWeights, formPlan, type PlacedWeight } from "./weightForms.js";
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
  /** Products with weights in codes make bytes of activations first, where they can. Default false. */
  readonly int8Activations?: boolean | undefined;
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
    // Only copies from files and codes that stand for no number depend on anything that was not checked before.
    throw new CheckpointError("ERR_CHECKPOINT_FORMAT", loader.where(error.message), {}, { cause: error });
  }
}

/** Rows of a part, as they are stored, that are read or converted together. */
interface Chunk {
  readonly part: PlannedPart;
  /** Of the part. */
  readonly first: number;
  readonly rows: number;
  /** Of the stored numbers. */
  readonly shape: readonly number[];
}

class Loader implements Disposable {
  readonly weights = new ModelWeights();
  readonly #options: LoadWeightsOptions;
  readonly #works: readonly FormedWeights[];
  readonly #arena: WeightArena;
  readonly #staging: Memory;
  readonly #files = new Map<string, WeightFile>();
  readonly #total: number;
  #loaded = 0;
  #queued = 0;
  /** What is on its way in codes, or becomes codes. */
  readonly #coded = new Set<TensorEntry>();

  constructor(
    plan: readonly PlannedWeight[],
    forms: ReadonlyMap<string, WeightForm>,
    options: LoadWeightsOptions,
  ) {
    const { device } = options.stream;
    this.#options = options;
    this.#works = formPlan(plan, forms, {
      activations: options.dtype,
      weightFormats: device.weightFormats,
      int8Activations: options.int8Activations ?? false,
    });
    this.#total = this.#works.reduce((sum, work) => sum + bytesOf(work), 0);
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
      const placed = formed.place(tensors, this.weights, this.#options.stream);
      for (const part of weight.parts) {
        this.#options.signal?.throwIfAborted();
        if (part.coded) await this.#readCoded(part, formed, placed);
        else
          for (const chunk of chunksOf(part)) {
            await this.#read(chunk, formed, placed);
            if (this.#queued >= flushBytes) await this.#flush();
          }
      }
    }
    await this.#flush();
  }

  /** A problem of codes, with the tensors that it may be of: ops do not know what they are called. */
  where(problem: string): string {
    const [first, last] = [[...this.#coded][0], [...this.#coded].at(-1)];
    if (!first || !/^(dequantize|packStored|quantize)/.test(problem)) return problem;
    const names = first === last ? first.name : `one from ${first.name} to ${last!.name}`;
    return `${first.file}: tensor ${names}: ${problem}`;
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
    this.#coded.clear();
    onProgress?.({ phase: "load", loaded: this.#loaded, total: this.#total });
  }

  /** From the file to where it stays, or through the staging buffer. */
  async #read(chunk: Chunk, formed: FormedWeight, placed: PlacedWeight): Promise<void> {
    const { part, first, rows, shape } = chunk;
    const { entry, stored } = part;
    const rowBytes = stored.bytes / part.rows;
    // Of a part that is read whole, rows may be fewer than those stored: their share of the bytes is no whole number then.
    const bytes = rows === part.rows ? stored.bytes : rows * rowBytes;
    const offset = stored.start + first * rowBytes;
    this.#queued += bytes;
    if (part.map) {
      const values = Tensor.packed(this.#staging, "f32", shape);
      values.write(this.#options.stream, await this.#mapped(part, part.map));
      return this.#put(chunk, values, 0, formed, placed);
    }
    const direct = placed.direct?.(part);
    const to = direct ?? Tensor.packed(this.#staging, part.dtype, shape);
    const at = direct ? first * rowBytes : 0;
    this.#file(entry.file).copyTo(this.#options.stream, to, entry.byteOffset + offset, bytes, at);
    if (!direct) this.#put(chunk, to, roomBytes(part.dtype, to.shape), formed, placed);
  }

  /** In strips, which become floats on the way where they do not stay as they are. */
  async #readCoded(part: PlannedPart, formed: FormedWeight, placed: PlacedWeight): Promise<void> {
    const { stream } = this.#options;
    const target = targetOf(part, formed);
    const plan = planCoded(part, target);
    this.#coded.add(part.entry);
    const copy = ({ tensor: { entry, start: own }, start, bytes, to }: CodedRead) => {
      const into = Tensor.packed(this.#staging, "u8", [bytes], to);
      this.#file(entry.file).copyTo(stream, into, entry.byteOffset + own + start, bytes);
      this.#queued += bytes;
    };
    plan.companions.forEach(copy);
    const list = (indices: Int32Array, at: number) =>
      Tensor.packed(this.#staging, "i32", [indices.length], at).write(stream, indices);
    const { order, inputOrder } = plan;
    if (order) list(order.rows, order.at);
    if (inputOrder) list(inputOrder.inputs, inputOrder.at);
    const { dtype } = target;
    for (const strip of plan.strips) {
      if (strip.read) copy(strip.read);
      const stored = storedStrip(this.#staging, part, plan, strip);
      const place = { first: part.firstRow + strip.first, expert: part.expert };
      if (dtype) {
        const values = stripValues(stream, this.#staging, part, { stored, dtype, plan });
        placed.put(stream, { values, ...place });
      } else {
        placed.putStored!(stream, { stored, ...place });
      }
      if (this.#queued >= flushBytes) await this.#flush();
    }
  }

  /** The numbers of a small tensor, on the host. */
  async #mapped(
    { entry, stored, dtype }: PlannedPart,
    map: (value: number) => number,
  ): Promise<Float32Array> {
    const bytes = Buffer.alloc(stored.bytes);
    await this.#options.checkpoint.read(entry, bytes, stored.start);
    return toFloat32(dtype, hostArray(dtype, new Uint8Array(bytes).buffer)).map(map);
  }

  /** @param at where the staging buffer is free */
  #put({ part, first }: Chunk, stored: Tensor, at: number, formed: FormedWeight, placed: PlacedWeight): void {
    const { stream } = this.#options;
    const { transpose, view, columns, expert } = part;
    const [dtype, place] = [formed.wants(part.dtype), { first: part.firstRow + first, expert }];
    if (part.made && placed.putStored) {
      this.#coded.add(part.entry);
      const rows = viewRows(stored, transpose, view, columns);
      const room = { staging: this.#staging, at };
      return placed.putStored(stream, { stored: makeCodes(stream, rows, part.made, room), ...place });
    }
    let values = stored;
    if (dtype !== stored.dtype) {
      values = Tensor.packed(this.#staging, dtype, stored.shape, at);
      cast(stream, stored, dtype, { out: values });
    }
    placed.put(stream, { values: viewRows(values, transpose, view, columns), ...place });
  }

  #file(name: string): WeightFile {
    const known = this.#files.get(name);
    if (known) return known;
    const file = new WeightFile(this.#options.checkpoint.descriptor(name), name);
    this.#files.set(name, file);
    return file;
  }
}

/** All rows at a time where they do not follow each other. */
function* chunksOf(part: PlannedPart): Generator<Chunk> {
  const { rows, stored, transpose, view, map } = part;
  const isWhole = transpose || view !== undefined || map !== undefined || stored.bytes <= stagingBytes;
  if (isWhole) return yield { part, first: 0, rows, shape: stored.shape };
  const each = Math.max(1, Math.floor((stagingBytes * rows) / stored.bytes));
  for (let first = 0; first < rows; first += each) {
    const count = Math.min(each, rows - first);
    yield { part, first, rows: count, shape: [count, ...stored.shape.slice(1)] };
  }
}

/** What becomes of a part in codes. */
function targetOf(part: PlannedPart, formed: FormedWeight): CodedTarget {
  return {
    dtype: formed.keeps?.(part) ? undefined : formed.wants(part.dtype),
    whole: formed.whole ?? false,
  };
}

/** What a weight takes of the staging buffer: rows as they are stored, and converted. */
function stagingBytesOf({ weight, formed }: FormedWeights): number {
  const bytes = weight.parts.flatMap((part) => {
    if (part.coded) return [planCoded(part, targetOf(part, formed)).bytes];
    const [chunk] = chunksOf(part); // none is larger
    const dtypes = new Set([part.dtype, formed.wants(part.dtype)]);
    const floats = [...dtypes].reduce((sum, dtype) => sum + roomBytes(dtype, chunk!.shape), 0);
    return [floats + (part.made ? madeBytes(part, part.made, chunk!.rows) : 0)];
  });
  return Math.max(0, ...bytes);
}

function bytesOf({ weight: { parts }, formed }: FormedWeights): number {
  const bytesOfPart = (part: PlannedPart) =>
    part.coded ? bytesRead(planCoded(part, targetOf(part, formed))) : part.stored.bytes;
  return parts.reduce((sum, part) => sum + bytesOfPart(part), 0);
}
