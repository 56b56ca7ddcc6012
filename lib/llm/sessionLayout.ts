/** Where in a block the pages of a cache group, or the slot of a layer, have their bytes. */
import { byteLength } from "../device/dtype.js";
import type { StateLayout, StateSpec } from "../nn/state.js";

/** Bytes [start, end) of a block. */
export type ByteRange = readonly [number, number];

export interface UsedRanges {
  /** By cache group. */
  readonly groups: readonly (readonly ByteRange[])[];
  /** By layer that keeps a slot. */
  readonly slots: readonly (readonly ByteRange[])[];
}

/** @param state what each layer keeps */
export function usedRanges(layout: StateLayout, state: readonly StateSpec[]): UsedRanges {
  const { blockBytes, pageSize, groups, slotLayers, layers } = layout;
  const used = {
    groups: groups.map((): ByteRange[] => []),
    slots: Array.from({ length: slotLayers }, (): ByteRange[] => []),
  };
  for (const [layer, { place, offsets }] of layers.entries()) {
    const isPaged = "group" in place;
    const pages = isPaged ? groups[place.group]!.pagesPerBlock : 1;
    const ranges = isPaged ? used.groups[place.group]! : used.slots[place.column]!;
    for (const [name, { dtype, shape }] of Object.entries(state[layer]!.tensors)) {
      const elements = shape.reduce((product, size) => product * size, isPaged ? pageSize : 1);
      for (let page = 0; page < pages; page++) {
        const start = (page * blockBytes) / pages + offsets[name]!;
        ranges.push([start, start + byteLength(dtype, elements)]);
      }
    }
  }
  return used;
}
