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
  /** By state: index of the longest stop string that ends here, or -1. */
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
    return this.#stops[this.#match[state]!] ?? null;
  }
}

/** Strings or states that are handled between two yields. */
const stepSize = 256;

/** @param stops none empty */
export function* stopAutomaton(stops: readonly string[]): Steps<StopAutomaton> {
  const most = 1 + stops.reduce((sum, stop) => sum + stop.length, 0);
  const edges = new EdgeTable(most);
  const [depth, parent, match] = [new Int32Array(most), new Int32Array(most), new Int32Array(most).fill(-1)];
  const units = new Uint16Array(most);
  let numStates = 1;
  for (const [i, stop] of stops.entries()) {
    let state = startState;
    for (let at = 0; at < stop.length; at++) {
      const unit = stop.charCodeAt(at);
      let child = edges.get(state, unit);
      if (child < 0) {
        child = numStates++;
        edges.set(state, unit, child);
        depth[child] = at + 1;
        parent[child] = state;
        units[child] = unit;
      }
      state = child;
      if (at % stepSize === stepSize - 1) yield;
    }
    match[state] = i;
    if (i % stepSize === stepSize - 1) yield;
  }

  const shorter = new Int32Array(most);
  let numLinked = 0;
  for (const state of yield* byDepth(depth, numStates)) {
    if (depth[state]! > 1) {
      shorter[state] = follow(edges, shorter, shorter[parent[state]!]!, units[state]!);
      if (match[state]! < 0) match[state] = match[shorter[state]]!;
    }
    if (++numLinked % stepSize === 0) yield;
  }
  return new StopAutomaton(stops, depth, shorter, match, edges);
}

/** States, the shallow ones first: each needs the links of those before it. Counting sort. */
function* byDepth(depth: Int32Array, numStates: number): Steps<Int32Array> {
  const starts = new Int32Array(numStates + 2);
  for (let state = 0; state < numStates; state++) {
    starts[depth[state]! + 1]!++;
    if (state % 16_384 === 0) yield;
  }
  for (let d = 1; d < starts.length; d++) starts[d]! += starts[d - 1]!;
  const order = new Int32Array(numStates);
  for (let state = 0; state < numStates; state++) {
    order[starts[depth[state]!]!++] = state;
    if (state % 16_384 === 0) yield;
  }
  return order;
}

/** The longest end of the text that has an edge with this unit decides. */
function follow(edges: EdgeTable, shorter: Int32Array, from: number, unit: number): number {
  for (let state = from; ; state = shorter[state]!) {
    const child = edges.get(state, unit);
    if (child >= 0) return child;
    if (state === startState) return startState;
  }
}

/** (state, UTF-16 unit) to state: a hash table with linear probing, at most half full. */
class EdgeTable {
  readonly #mask: number;
  /** Triples: state + 1 (0: free), unit, child. */
  readonly #slots: Int32Array;

  constructor(most: number) {
    const size = 2 ** Math.ceil(Math.log2(2 * most));
    this.#mask = size - 1;
    this.#slots = new Int32Array(3 * size);
  }

  /** -1 if there is no such edge. */
  get(state: number, unit: number): number {
    const at = this.#find(state, unit);
    return this.#slots[at] === 0 ? -1 : this.#slots[at + 2]!;
  }

  set(state: number, unit: number, child: number): void {
    const at = this.#find(state, unit);
    this.#slots[at] = state + 1;
    this.#slots[at + 1] = unit;
    this.#slots[at + 2] = child;
  }

  #find(state: number, unit: number): number {
    let at = (Math.imul(state, 0x9e3779b1) ^ Math.imul(unit + 1, 0x85ebca6b)) >>> 0;
    at ^= at >>> 15;
    for (; ; at++) {
      const slot = 3 * (at & this.#mask);
      if (this.#slots[slot] === 0) return slot;
      if (this.#slots[slot] === state + 1 && this.#slots[slot + 1] === unit) return slot;
    }
  }
}
