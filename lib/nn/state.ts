/**
 * What a model keeps between steps: declared by its blocks as plain data, laid out in the blocks of one pool, and allocated
 * here and nowhere else.
 *
 * Layers whose state lives equally long are one cache group. A block of the pool holds one or more pages of one group, as many as
 * fit: [kernel page][layer][tensor][Ps tokens]. The pages of one tensor are therefore a strided view of the pool,
 * [P, Ps, ...], whose page stride is the page of all layers of the group; page ids are the same in all of them.
 * Jenga (arXiv 2503.18292) has the reasons for one pool.
 */
import { leastCommonMultiple } from "../arithmetic.js";
import { bytesOf, type Device } from "../device/device.js";
import { byteLength, type DType } from "../device/dtype.js";
import { packedStrides, Tensor } from "../device/tensor.js";

/** A tensor that a block keeps of every token. */
export interface StateTensor {
  readonly dtype: DType;
  /** Of one token: a page of it is [Ps, ...shape]. */
  readonly shape: readonly number[];
}

/** What one layer keeps. */
export interface StateSpec {
  /** Of a token: as long as the sequence, or while the window sees it, so many tokens, itself included. */
  readonly lifetime: "all" | { readonly window: number };
  /** By the names that its block reads them by. */
  readonly tensors: Readonly<Record<string, StateTensor>>;
}

/** Layers with one table of pages. */
export interface GroupLayout {
  /** Tokens that they see, from the last on; 0: all. */
  readonly window: number;
  /** Pages of the group in a block of the pool. */
  readonly pagesPerBlock: number;
  /** Share of a block that lies fallow, in [0, 1). */
  readonly waste: number;
}

/** Where the state of one layer lies. */
export interface LayerLayout {
  /** Index of its group. */
  readonly group: number;
  /** By name: bytes from the start of a page. */
  readonly offsets: Readonly<Record<string, number>>;
}

export interface StateLayout {
  /** Tokens of a page. */
  readonly pageSize: number;
  /** A multiple of `alignment` for each page in it. */
  readonly blockBytes: number;
  readonly groups: readonly GroupLayout[];
  readonly layers: readonly LayerLayout[];
}

/** The pages of one layer by name: [P, Ps, ...shape]. */
export type LayerState = Readonly<Record<string, Tensor>>;

/** The state of all layers; owned by whoever runs the model. */
export interface ModelState extends Disposable {
  readonly layers: readonly LayerState[];
  /** By layer: index of its group among those of a step. */
  readonly groups: readonly number[];
  /** All of it, [blocks, bytes] u8. */
  readonly pool: Tensor;
  /** Frees the pool once every stream has passed this point. Idempotent. */
  dispose(): void;
}

/** Bytes. What any kernel loads at once, and what a TMA descriptor asks of an address, is less. */
const alignment = 256;

/** The share of a block that may lie fallow before layers that live equally long are split into several groups. */
const mostWaste = 0.15;
const mostParts = 8;

/**
 * @param specs what each layer keeps
 * @param pageSize tokens of a page
 * @param longest tokens that a sequence may have: a window that is no shorter lets go of nothing
 */
export function stateLayout(
  specs: readonly StateSpec[],
  { pageSize, longest }: { readonly pageSize: number; readonly longest: number },
): StateLayout {
  const windows = specs.map(({ lifetime }) =>
    lifetime === "all" || lifetime.window >= longest ? 0 : lifetime.window,
  );
  const kinds = specs.length === 0 ? [0] : [...new Set(windows)];
  const byLifetime = kinds.map((window) => ({
    window,
    members: [...specs.keys()].filter((layer) => windows[layer] === window),
  }));
  const candidates = Array.from({ length: mostParts }, (_, i) => splitLargest(byLifetime, i + 1)).map(
    (groups) => placeGroups(specs, groups, pageSize),
  );
  const waste = ({ groups }: StateLayout) => Math.max(0, ...groups.map((group) => group.waste));
  const least = Math.min(...candidates.map(waste));
  return candidates.find((layout) => waste(layout) <= Math.max(least, mostWaste))!;
}

/**
 * Memory for so many blocks. What is in it is undefined.
 * @param specs those of the layout
 * @throws OutOfMemoryError
 */
export function allocateState(
  device: Device,
  specs: readonly StateSpec[],
  { layout, numBlocks }: { readonly layout: StateLayout; readonly numBlocks: number },
): ModelState {
  const { blockBytes, pageSize, groups, layers } = layout;
  const pool = device.empty("u8", [numBlocks, blockBytes]);
  const pages = ({ dtype, shape }: StateTensor, pagesPerBlock: number, offset: number): Tensor => {
    const page = [pageSize, ...shape];
    const strides = [blockBytes / pagesPerBlock / byteLength(dtype, 1), ...packedStrides(page)];
    return Tensor.strided(pool.memory, dtype, [numBlocks * pagesPerBlock, ...page], strides, offset);
  };
  const dispose = (): void => pool.dispose();
  return {
    layers: specs.map(({ tensors }, layer) => {
      const { group, offsets } = layers[layer]!;
      const { pagesPerBlock } = groups[group]!;
      return Object.fromEntries(
        Object.entries(tensors).map(([name, tensor]) => [name, pages(tensor, pagesPerBlock, offsets[name]!)]),
      );
    }),
    groups: layers.map(({ group }) => group),
    pool,
    dispose,
    [Symbol.dispose]: dispose,
  };
}

interface Members {
  readonly window: number;
  /** Indices of layers. */
  readonly members: readonly number[];
}

/** The group of most layers as so many groups of as many layers each, or one fewer. */
function splitLargest(groups: readonly Members[], parts: number): readonly Members[] {
  const size = Math.max(0, ...groups.map(({ members }) => members.length));
  const largest = groups.find(({ members }) => members.length === size);
  return groups.flatMap((group) => {
    if (group !== largest) return [group];
    const count = Math.max(1, Math.min(parts, size));
    const at = (part: number) => Math.round((part * size) / count);
    return Array.from({ length: count }, (_, part) => ({
      window: group.window,
      members: group.members.slice(at(part), at(part + 1)),
    }));
  });
}

function placeGroups(specs: readonly StateSpec[], groups: readonly Members[], pageSize: number): StateLayout {
  const layers: LayerLayout[] = new Array<LayerLayout>(specs.length);
  const sizes = groups.map(({ members }, group) => {
    let bytes = 0;
    for (const layer of members) {
      const offsets: Record<string, number> = {};
      for (const [name, { dtype, shape }] of Object.entries(specs[layer]!.tensors)) {
        offsets[name] = bytes;
        bytes += roundUp(bytesOf(dtype, [pageSize, ...shape]), alignment);
      }
      layers[layer] = { group, offsets };
    }
    return bytes;
  });
  const largest = Math.max(0, ...sizes);
  const counts = sizes.map((bytes) => (bytes === 0 ? 1 : Math.floor(largest / bytes)));
  // Every page of a block begins aligned.
  const blockBytes = roundUp(
    largest,
    counts.map((count) => count * alignment).reduce(leastCommonMultiple, 1),
  );
  return {
    ...{ pageSize, blockBytes, layers },
    groups: groups.map(({ window }, group) => {
      const [pagesPerBlock, bytes] = [counts[group]!, sizes[group]!];
      const waste = blockBytes === 0 ? 0 : 1 - (pagesPerBlock * bytes) / blockBytes;
      return { window, pagesPerBlock, waste };
    }),
  };
}

function roundUp(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit;
}
