/**
 * The automaton of Aho and Corasick ("Efficient string matching", 1975) over a set of stop strings: however many there are,
 * a character costs the same, and all continuations of a prompt share it. Built in steps, because there may be thousands.
 * Its own code, because the packages for it cannot build in steps and do not say how much of a text is undecided.
 */
import type { Steps } from "../eventLoop.js";

/** State before the first character. */
export const startState = 0;

/** A state stands for the longest end of the text that is the beginning of a stop string. */
export class StopAutomaton {
  readonly #stops: readonly string[];
  /** By state: how long that end is, in UTF-16 units. */
  readonly #depth: Int32Array;
  /** By state: the state of the next shorter such end. */
  readonly #shorter: Int32Array;
  /** By state: 1 + index of the longest stop string that ends here, or 0. */
  readonly #match: Int32Array;
  readonly #edges: EdgeTable;

  /** Use `stopAutomaton`. */
  constructor(
    stops: readonly string[],
    depth: Int32Array,
    shorter: Int32Array,
    match: Int32Array,
    edges: EdgeTable,
  ) {
    this.#stops = stops;
    this.#depth = depth;
    this.#shorter = shorter;
    this.#match = match;
    this.#edges = edges;
  }

  /** The state after one more UTF-16 unit. Constant time on average over a text. */
  next(state: number, unit: number): number {
    return follow(this.#edges, this.#shorter, state, unit);
  }

  /** How many units at the end of the text may still become a stop string. */
  numMatched(state: number): number {
    return this.#depth[state]!;
  }

  /** The longest stop string that is complete, or null. */
  stopAt(state: number): string | null {
    return this.#stops[this.#match[state]! - 1] ?? null;
  }
}

/** UTF-16 units or states that are handled between two yields: 50 us, or ten times that while each touches a new page of memory. */
const stepSize = 256;
/** UTF-16 units of short stop strings that are looked at as one text. */
const batchSize = 2048;

/** Stop strings [first, last) as one text. */
export interface StopBatch {
  readonly text: string;
  readonly first: number;
  readonly last: number;
}

/**
 * Stop strings one after another, at least one and else up to `batchSize` units at a time. To look into a string that was put
 * together makes V8 keep a flat copy of it: thousands of those would be moved by the next collection of garbage.
 */
export function* batchesOf(stops: readonly string[]): Generator<StopBatch> {
  let [first, numUnits] = [0, 0];
  for (let i = 0; i < stops.length; i++) {
    numUnits += stops[i]!.length;
    if (i > first && numUnits > batchSize) {
      yield { text: stops.slice(first, i).join(""), first, last: i };
      [first, numUnits] = [i, stops[i]!.length];
    }
  }
  if (first < stops.length) yield { text: stops.slice(first).join(""), first, last: stops.length };
}

/** @param stops none empty */
export function* stopAutomaton(stops: readonly string[]): Steps<StopAutomaton> {
  let most = 1;
  for (const stop of stops) most += stop.length;
  // Most of the states may be shared: pages of memory that are never written cost nothing, unless they have to be cleared.
  const depth = new Int32Array(most);
  yield;
  const parent = new Int32Array(most);
  yield;
  const match = new Int32Array(most);
  yield;
  const units = new Uint16Array(most);
  const edges = new EdgeTable(most, parent, units);
  yield;
  let [numStates, maxDepth, numUnits] = [1, 0, 0];
  for (const { text, first, last } of batchesOf(stops)) {
    let at = 0;
    for (let i = first; i < last; i++) {
      let state = startState;
      for (const end = at + stops[i]!.length; at < end; at++) {
        const unit = text.charCodeAt(at);
        let child = edges.get(state, unit);
        if (child === none) {
          child = numStates++;
          depth[child] = depth[state]! + 1;
          parent[child] = state;
          units[child] = unit;
          edges.add(child);
        }
        state = child;
        if (++numUnits % stepSize === 0) yield;
      }
      match[state] = i + 1;
      maxDepth = Math.max(maxDepth, depth[state]!);
    }
  }

  const shorter = new Int32Array(numStates);
  let numLinked = 0;
  for (const state of yield* byDepth(depth.subarray(0, numStates), maxDepth)) {
    if (depth[state]! > 1) {
      shorter[state] = follow(edges, shorter, shorter[parent[state]!]!, units[state]!);
      if (match[state] === 0) match[state] = match[shorter[state]]!;
    }
    if (++numLinked % stepSize === 0) yield;
  }
  return new StopAutomaton(stops, depth, shorter, match, edges);
}

/** States, the shallow ones first: each needs the links of those before it. Counting sort. */
function* byDepth(depth: Int32Array, maxDepth: number): Steps<Int32Array> {
  const starts = new Int32Array(maxDepth + 2);
  for (let state = 0; state < depth.length; state++) {
    starts[depth[state]! + 1]!++;
    if (state % 16_384 === 0) yield;
  }
  for (let d = 1; d < starts.length; d++) {
    starts[d]! += starts[d - 1]!;
    if (d % 65_536 === 0) yield;
  }
  const order = new Int32Array(depth.length);
  for (let state = 0; state < depth.length; state++) {
    order[starts[depth[state]!]!++] = state;
    if (state % 16_384 === 0) yield;
  }
  return order;
}

/** The longest end of the text that has an edge with this unit decides. */
function follow(edges: EdgeTable, shorter: Int32Array, from: number, unit: number): number {
  for (let state = from; ; state = shorter[state]!) {
    const child = edges.get(state, unit);
    if (child !== none) return child;
    if (state === startState) return startState;
  }
}

/** No state: nothing leads to the first one. */
const none = 0;

/** (state, UTF-16 unit) to state: a hash table with linear probing, at most two thirds full. */
class EdgeTable {
  readonly #size: number;
  /** The states that edges lead to. What leads there is in the other two arrays. */
  readonly #slots: Int32Array;
  readonly #parents: Int32Array;
  readonly #units: Uint16Array;

  /** @param parents by state: where its edge starts, and in `units` the unit of that edge */
  constructor(most: number, parents: Int32Array, units: Uint16Array) {
    this.#size = Math.ceil(1.5 * most);
    this.#slots = new Int32Array(this.#size);
    this.#parents = parents;
    this.#units = units;
  }

  /** `none` if there is no such edge. */
  get(state: number, unit: number): number {
    return this.#slots[this.#find(state, unit)]!;
  }

  /** The edge to a state whose parent and unit are set. */
  add(child: number): void {
    this.#slots[this.#find(this.#parents[child]!, this.#units[child]!)] = child;
  }

  #find(state: number, unit: number): number {
    let hash = Math.imul(state, 0x9e3779b1) ^ Math.imul(unit + 1, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
    for (let slot = Math.floor((hash / 2 ** 32) * this.#size); ; slot++) {
      if (slot === this.#size) slot = 0;
      const child = this.#slots[slot]!;
      if (child === none) return slot;
      if (this.#parents[child] === state && this.#units[child] === unit) return slot;
    }
  }
}
