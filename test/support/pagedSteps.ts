/**
 * Steps made by hand, for tests that run models and blocks without a scheduler: a page table whose pages are scattered, pages
 * full of NaN, so that whoever reads a wrong one gives NaN, and the device arrays of a step.
 */
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import type { Device } from "../../lib/device/device.js";
import { allocateState, type ModelState, stateLayout, type StateSpec } from "../../lib/nn/state.js";
import type { StepInputs } from "../../lib/nn/step.js";

const pageSize = 16;

/** Some tokens of one sequence, the first of them at position `start`. */
export interface Chunk {
  /** Of the sequence, as `PageTable` counts them. */
  readonly row: number;
  readonly tokens: readonly number[];
  readonly start: number;
}

/** Pages of every sequence: from a run of pages in an order that is not the natural one; page 0 belongs to nobody. */
export class PageTable {
  readonly count: number;
  readonly shape: readonly [number, number];
  readonly entries: number[];
  /** [rows, slotLayers], behind the pages. */
  readonly slots: number[];

  /** @param slotLayers layers that keep a block of each sequence */
  constructor(
    lengths: readonly number[],
    readonly slotLayers = 0,
  ) {
    const pagesPerRow = lengths.map((length) => Math.ceil(length / pageSize));
    const width = Math.max(...pagesPerRow);
    const total = pagesPerRow.reduce((sum, pages) => sum + pages, 0);
    this.count = total + 1 + lengths.length * slotLayers;
    this.slots = new Array<number>((lengths.length + 1) * slotLayers).fill(-1);
    this.shape = [lengths.length + 1, width];
    this.entries = new Array<number>(this.shape[0] * width).fill(0);
    let next = total;
    for (let i = 0; i < width; i++) {
      pagesPerRow.forEach((pages, row) => {
        if (i < pages) this.entries[this.tableRow(row) * width + i] = next--;
      });
    }
    let nextSlot = total + 1;
    for (let row = 0; row < lengths.length; row++)
      for (let layer = 0; layer < slotLayers; layer++)
        this.slots[this.tableRow(row) * slotLayers + layer] = nextSlot++;
  }

  /** Rows are not in order either; row 0 belongs to nobody. */
  tableRow(row: number): number {
    return this.shape[0] - 1 - row;
  }

  slot(row: number, position: number): number {
    const page = this.entries[this.tableRow(row) * this.shape[1] + Math.floor(position / pageSize)]!;
    return page * pageSize + (position % pageSize);
  }
}

/** The step that runs these chunks side by side. */
export function stepInputs(stream: Stream, chunks: readonly Chunk[], pages: PageTable): StepInputs {
  const i32 = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
    stream.fromArray("i32", shape, Int32Array.from(values));
  const places = chunks.flatMap(({ row, tokens, start }) =>
    tokens.map((_, i) => ({ position: start + i, slot: pages.slot(row, start + i) })),
  );
  const ends = chunks.map((_, b) => chunks.slice(0, b + 1).reduce((sum, c) => sum + c.tokens.length, 0));
  return {
    tokens: i32(chunks.flatMap(({ tokens }) => tokens)),
    positions: i32(places.map(({ position }) => position)),
    rows: i32(chunks.map(({ row }) => pages.tableRow(row))),
    cuSeqlensQ: i32([0, ...ends]),
    sequences: chunks.map(({ row, tokens, start }) => ({
      ...{ row: pages.tableRow(row), start, count: tokens.length },
    })),
    contextLens: i32(chunks.map(({ start, tokens }) => start + tokens.length)),
    groups: [{ slots: i32(places.map(({ slot }) => slot)), pageTable: i32(pages.entries, pages.shape) }],
    ...(pages.slotLayers > 0 && { slotTable: i32(pages.slots, [pages.shape[0], pages.slotLayers]) }),
  };
}

/** So many pages, which stay: all layers in one group, but for those that keep a slot. */
export function allocatePages(device: Device, specs: readonly StateSpec[], numPages: number): ModelState {
  const kept = specs.map((spec): StateSpec => (isSlot(spec) ? spec : { ...spec, lifetime: "all" }));
  const layout = stateLayout(kept, { pageSize, longest: pageSize * numPages });
  return allocateState(device, kept, { layout, numBlocks: numPages });
}

export function isSlot({ lifetime }: StateSpec): boolean {
  return lifetime === "slot";
}

/** Room for what the layers keep of these sequences. */
export function poisonedState(stream: Stream, layers: readonly StateSpec[], pages: PageTable): ModelState {
  const state = allocatePages(stream.device, layers, pages.count);
  const isF32 = layers.every((layer) => Object.values(layer.tensors).every(({ dtype }) => dtype === "f32"));
  const poison = Uint32Array.of(isF32 ? 0x7fc00000 : 0x7fc07fc0); // NaN in f32; in f32, bf16 and f16
  const bytes = new Uint8Array(poison.buffer);
  state.pool.write(
    stream,
    new Uint8Array(state.pool.numel).map((_, i) => bytes[i % 4]!),
  );
  return state;
}
