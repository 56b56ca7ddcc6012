/**
 * What a model keeps between steps: declared by its blocks as plain data, laid out in the blocks of one pool, and allocated
 * here and nowhere else.
 *
 * Layout of a block, which holds one page of `pageSize` tokens: [layer][tensor][Ps tokens]. The pages of one tensor are
 * therefore a strided view of the pool, [P, Ps, ...], whose page stride is the whole block; page ids are the same in all layers.
 */
import { bytesOf, type Device } from "../device/device.js";
import { byteLength, type DType } from "../device/dtype.js";
import { packedStrides, Tensor } from "../device/tensor.js";

/** A tensor that a block keeps of every token. */
export interface StateTensor {
  readonly dtype: DType;
  /** Of one token: a page of it is [Ps, ...shape]. */
  readonly shape: readonly number[];
}

/** What one layer keeps, by the names that its block reads it by. */
export type StateSpec = Readonly<Record<string, StateTensor>>;

/** Where it lies. */
export interface StateLayout {
  readonly pageSize: number;
  /** Of one page over all layers, a multiple of `alignment`. */
  readonly blockBytes: number;
  /** By layer and name: bytes from the start of a block. */
  readonly offsets: readonly Readonly<Record<string, number>>[];
}

/** The pages of one layer by name: [P, Ps, ...shape]. */
export type LayerState = Readonly<Record<string, Tensor>>;

/** The state of all layers; owned by whoever runs the model. */
export interface ModelState extends Disposable {
  readonly layers: readonly LayerState[];
  /** All of it, [P, block] u8. */
  readonly pool: Tensor;
  /** Frees the pool once every stream has passed this point. Idempotent. */
  dispose(): void;
}

/** Bytes. What any kernel loads at once, and what a TMA descriptor asks of an address, is less. */
const alignment = 256;

/** @param layers what each layer keeps @param pageSize tokens of a page */
export function stateLayout(layers: readonly StateSpec[], pageSize: number): StateLayout {
  let blockBytes = 0;
  const place = ({ dtype, shape }: StateTensor): number => {
    const at = blockBytes;
    const bytes = bytesOf(dtype, [pageSize, ...shape]);
    blockBytes += Math.ceil(bytes / alignment) * alignment;
    return at;
  };
  const offsets = layers.map((spec) =>
    Object.fromEntries(Object.entries(spec).map(([name, tensor]) => [name, place(tensor)])),
  );
  return { pageSize, blockBytes, offsets };
}

/**
 * Memory for so many pages in every layer. What is in it is undefined.
 * @throws OutOfMemoryError
 */
export function allocateState(
  device: Device,
  layers: readonly StateSpec[],
  { numPages, pageSize }: { readonly numPages: number; readonly pageSize: number },
): ModelState {
  const { blockBytes, offsets } = stateLayout(layers, pageSize);
  const pool = device.empty("u8", [numPages, blockBytes]);
  const pages = ({ dtype, shape }: StateTensor, offset: number): Tensor => {
    const page = [pageSize, ...shape];
    const strides = [blockBytes / byteLength(dtype, 1), ...packedStrides(page)];
    return Tensor.strided(pool.memory, dtype, [numPages, ...page], strides, offset);
  };
  const dispose = (): void => pool.dispose();
  return {
    layers: layers.map((spec, layer) =>
      Object.fromEntries(
        Object.entries(spec).map(([name, tensor]) => [name, pages(tensor, offsets[layer]![name]!)]),
      ),
    ),
    pool,
    dispose,
    [Symbol.dispose]: dispose,
  };
}
