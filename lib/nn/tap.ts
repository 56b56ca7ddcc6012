/**
 * Copies of what a model computes inside, for those who ask: which experts tokens go to, hidden states for a draft model. A tap is a
 * declared destination and not a callback: a captured graph, which calls nobody, copies there each time it is replayed.
 */
import type { DType } from "../device/dtype.js";
import { overlaps } from "../device/overlap.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import { copy } from "../ops/copy.js";
import { moeCount } from "../ops/moeCount.js";
import type { StepInputs } from "./step.js";

/** What a block computes for every token and can be asked for. */
export interface TapShape {
  readonly dtype: DType;
  /** Of one token. */
  readonly shape: readonly number[];
  /** It is made of ids below this, which can be counted. */
  readonly ids?: number;
}

/** Something that a model can be asked for: "experts" [T, K] i32 of a layer with experts, "hidden" [T, D] f32 behind a layer. */
export interface TapPoint extends TapShape {
  readonly name: string;
  readonly layer: number;
}

/** Asks for it, or for how often it has each id. */
export type Tap = CopyTap | CountTap;

interface TapPlace {
  readonly name: string;
  readonly layer: number;
}

export interface CountTap extends TapPlace {
  /**
   * [ids, 2] i32, as `moeCount` has it: each step adds how often its tokens have each id, those of padding left out.
   * Lives, and lies, as the `out` of a copy does.
   */
  readonly counts: Tensor;
}

export interface CopyTap extends TapPlace {
  /**
   * Where to write: [T, ...shape] in the dtype of the point; must outlive the step, and the graph that it is captured in. No two taps
   * share memory.
   */
  readonly out: Tensor;
}

/** How a block, or the loop over layers, offers a tensor. */
export type TapCall = (name: string, tensor: Tensor) => void;

/**
 * @throws ArgumentRangeError naming the tap: nobody offers it, or its `out` has another shape or dtype, or shares memory with that of
 *   another tap, which is named, too
 */
export function checkTaps(taps: readonly Tap[], points: readonly TapPoint[], numTokens: number): void {
  for (const [i, tap] of taps.entries()) {
    const { name, layer } = tap;
    const { as, to } = destination(tap);
    const point = points.find((one) => one.name === name && one.layer === layer);
    if (!point) throw new ArgumentRangeError(`taps: ${place(tap)}: ${describe(points)}`);
    if (as === "counts" && point.ids === undefined)
      throw new ArgumentRangeError(`taps: ${place(tap)}: counts: expected something that is made of ids`);
    const wanted = as === "counts" ? [point.ids!, 2] : [numTokens, ...point.shape];
    if (to.dtype !== point.dtype || to.shape.join() !== wanted.join()) {
      throw new ArgumentRangeError(
        `taps: ${place(tap)}: ${as}: expected [${wanted.join(", ")}] ${point.dtype}, ` +
          `got [${to.shape.join(", ")}] ${to.dtype}`,
      );
    }
    const other = taps.slice(0, i).find((earlier) => overlaps(destination(earlier).to, to));
    if (other) {
      throw new ArgumentRangeError(
        `taps: ${place(tap)}: ${as}: expected memory of its own, got some of what ${place(other)} writes`,
      );
    }
  }
}

function destination(tap: Tap): { readonly as: "out" | "counts"; readonly to: Tensor } {
  return "counts" in tap ? { as: "counts", to: tap.counts } : { as: "out", to: tap.out };
}

function place({ name, layer }: Tap): string {
  return `"${name}" of layer ${layer}`;
}

/** Copies or counts what one layer offers, for who has asked for it. */
export function tapLayer(
  stream: Stream,
  taps: readonly Tap[],
  layer: number,
  { groups: [group] }: Pick<StepInputs, "groups">,
): TapCall {
  const own = taps.filter((tap) => tap.layer === layer);
  return (name, tensor) => {
    for (const tap of own) {
      if (tap.name !== name) continue;
      if ("counts" in tap) moeCount(stream, tensor, tap.counts, { slots: group?.slots });
      else copy(stream, tensor, tap.out);
    }
  };
}

function describe(points: readonly TapPoint[]): string {
  const names = [...new Set(points.map(({ name }) => name))];
  if (names.length === 0) return "this model offers none";
  const layersOf = (name: string) => points.filter((point) => point.name === name).map(({ layer }) => layer);
  return `this model offers ${names.map((name) => `"${name}" of layers ${layersOf(name).join(", ")}`).join("; ")}`;
}
