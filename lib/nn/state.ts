/**
 * What a model keeps between steps: declared by its blocks as plain data, laid out in the blocks of one pool, and allocated
 * here and nowhere else.
 *
 * Layers whose state lives equally long are one cache group. A block of the pool holds one or more pages of one group, as many as
 * fit: [kernel page][layer][tensor][Ps tokens]. The pages of one tensor are therefore a strided view of the pool,
 * [P, Ps, ...], whose page stride is the page of all layers of the group; page ids are the same in all of them. What a layer
 * keeps of a whole sequence (a slot) has a block for itself, which a table of the sequences finds.
 * Jenga (arXiv 2503.18292) has the reasons for one pool.
 */
import { leastCommonMultiple } from "../arithmetic.js";
import { bytesOf, type Device } from "../device/device.js";
import { byteLength, type DType } from "../device/dtype.js";
import { packedStrides, Tensor } from "../device/tensor.js";

/** A tensor that a block keeps of every token, or of every sequence. */
export interface StateTensor {
  readonly dtype: DType;
  /** Of one token, of which a page is [Ps, ...shape], or of one sequence. */
  readonly shape: readonly number[];
}

/** What one layer keeps. */
export interface StateSpec {
  /**
   * Of every token: as long as the sequence ("all"), or while the window sees it, so many tokens, itself included. Of the sequence
   * as a whole, and overwritten by its steps: "slot".
   */
  readonly lifetime: "all" | { readonly window: number } | "slot";
  /** Tokens of a page that suit the kernels which read it. Default 16. */
  readonly pageSize?: number;
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

/** Which table leads to the state of a layer: the pages of a cache group, or a column of the slots. */
export type LayerPlace = { readonly group: number } | { readonly column: number };

/** Where the state of one layer lies. */
export interface LayerLayout {
  readonly place: LayerPlace;
  /** By name: bytes from the start of a page, or of a block. */
  readonly offsets: Readonly<Record<string, number>>;
}

export interface StateLayout {
  /** Tokens of a page. */
  readonly pageSize: number;
  /** A multiple of `alignment` for each page in it. */
  readonly blockBytes: number;
  readonly groups: readonly GroupLayout[];
  /** Layers that keep a slot: a sequence has so many blocks for them. */
  readonly slotLayers: number;
  readonly layers: readonly LayerLayout[];
}

/** The pages of one layer by name: [P, Ps, ...shape]; or its slots: [blocks, ...shape]. */
export type LayerState = Readonly<Record<string, Tensor>>;

/** The state of all layers; owned by whoever runs the model. */
export interface ModelState extends Disposable {
  readonly layers: readonly LayerState[];
  /** By layer. */
  readonly places: readonly LayerPlace[];
  /** All of it, [blocks, bytes] u8. */
  readonly pool: Tensor;
  /** Frees the pool once every stream has passed this point. Idempotent. */
  dispose(): void;
}

/** The page of a model: what suits all of its layers, which share one size. */
export function pageSizeOf(specs: readonly StateSpec[]): number {
  return Math.max(...specs.map(({ pageSize = defaultPageSize }) => pageSize), defaultPageSize);
}

const defaultPageSize = 16;

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
  const windowOf = ({ lifetime }: StateSpec): number => {
    if (lifetime === "all" || lifetime === "slot") return 0;
    return lifetime.window >= longest ? 0 : lifetime.window;
  };
  const paged = [...specs.keys()].filter((layer) => specs[layer]!.lifetime !== "slot");
  const windows = new Set(paged.map((layer) => windowOf(specs[layer]!)));
  const byLifetime = [...windows].map((window) => ({
    window,
    members: paged.filter((layer) => windowOf(specs[layer]!) === window),
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
  const view = ({ dtype, shape }: StateTensor, place: LayerPlace, offset: number): Tensor => {
    const perBlock = "group" in place ? groups[place.group]!.pagesPerBlock : 1;
    const one = "group" in place ? [pageSize, ...shape] : shape;
    const strides = [blockBytes / perBlock / byteLength(dtype, 1), ...packedStrides(one)];
    return Tensor.strided(pool.memory, dtype, [numBlocks * perBlock, ...one], strides, offset);
  };
  const dispose = (): void => pool.dispose();
  return {
    layers: specs.map(({ tensors }, layer) => {
      const { place, offsets } = layers[layer]!;
      const named = Object.entries(tensors).map(([name, tensor]) => {
        return [name, view(tensor, place, offsets[name]!)] as const;
      });
      return Object.fromEntries(named);
    }),
    places: layers.map(({ place }) => place),
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
    const count = Math.min(parts, size);
    const at = (part: number) => Math.round((part * size) / count);
    return Array.from({ length: count }, (_, part) => ({
      window: group.window,
      members: group.members.slice(at(part), at(part + 1)),
    }));
  });
}

function placeGroups(specs: readonly StateSpec[], groups: readonly Members[], pageSize: number): StateLayout {
  const layers: LayerLayout[] = new Array<LayerLayout>(specs.length);
  /** @returns the bytes up to the end of what the layer keeps, of so many tokens */
  const place = (layer: number, at: LayerPlace, start: number, tokens: readonly number[]): number => {
    let bytes = start;
    const offsets: Record<string, number> = {};
    for (const [name, { dtype, shape }] of Object.entries(specs[layer]!.tensors)) {
      offsets[name] = bytes;
      bytes += roundUp(bytesOf(dtype, [...tokens, ...shape]), alignment);
    }
    layers[layer] = { place: at, offsets };
    return bytes;
  };
  const sizes = groups.map(({ members }, group) =>
    members.reduce((bytes, layer) => place(layer, { group }, bytes, [pageSize]), 0),
  );
  const slots = [...specs.keys()].filter((layer) => specs[layer]!.lifetime === "slot");
  const slotSizes = slots.map((layer, column) => place(layer, { column }, 0, []));
  const largest = Math.max(0, ...sizes, ...slotSizes);
  const counts = sizes.map((bytes) => (bytes === 0 ? 1 : Math.floor(largest / bytes)));
  // Every page of a block begins aligned.
  const blockBytes = roundUp(
    largest,
    counts.map((count) => count * alignment).reduce(leastCommonMultiple, 1),
  );
  return {
    ...{ pageSize, blockBytes, slotLayers: slots.length, layers },
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
