/**
 * What is kept of a weight whose parts are experts' as well: the same rows of all experts lie in one format, so that what one of them
 * cannot be kept in none is.
 */
import { isDeepStrictEqual } from "node:util";
import {
  type InputOrders,
  isSameOrders,
  type QuantizedFormat,
  type SegmentRoom,
} from "../ops/linearWeight.js";
import { keptFormat, type KeptOptions } from "./codedFormat.js";
import type { PlannedPart, PlannedWeight } from "./weightMap.js";

/** Rows of a matrix, or of each of a stack. */
export interface KeptPlace {
  /** Of the first expert. */
  readonly part: PlannedPart;
  /** Undefined: they become floats. */
  readonly format: QuantizedFormat | undefined;
  readonly inputOrders: InputOrders | undefined;
}

/** By their first row. */
export function keptPlaces(
  { parts }: Pick<PlannedWeight, "parts">,
  options: KeptOptions,
): ReadonlyMap<number, KeptPlace> {
  const places = new Map<number, PlannedPart[]>();
  for (const part of parts) {
    const alike = places.get(part.firstRow);
    if (alike) alike.push(part);
    else places.set(part.firstRow, [part]);
  }
  return new Map([...places].map(([row, alike]) => [row, keptPlace(alike, options)]));
}

/** @param alike the same part of every expert, in their order */
function keptPlace(alike: readonly PlannedPart[], options: KeptOptions): KeptPlace {
  const [first, ...others] = alike.map((part) => keptFormat(part, options));
  const format = others.every((other) => isDeepStrictEqual(other, first)) ? first : undefined;
  const orders = alike.map(({ coded }) => coded?.inputOrder);
  const isReordered = format !== undefined && orders.some((order) => order !== undefined);
  return { part: alike[0]!, format, inputOrders: isReordered ? orders : undefined };
}

/** The orders of inputs that segments have, each once. */
export function distinctOrders(rooms: readonly SegmentRoom[]): readonly InputOrders[] {
  const orders: InputOrders[] = [];
  for (const { segment } of rooms) {
    const { inputOrders: own } = segment;
    if (own && !orders.some((order) => isSameOrders(order, own))) orders.push(own);
  }
  return orders;
}

/** [E, K], as `WeightSegment.inputOrder` has it. */
export function orderIndices(orders: InputOrders, inputs: number): Int32Array {
  const indices = new Int32Array(orders.length * inputs);
  for (const [expert, order] of orders.entries()) {
    const own = indices.subarray(expert * inputs, (expert + 1) * inputs);
    if (order) own.set(order);
    else own.forEach((_, input) => (own[input] = input));
  }
  return indices;
}
