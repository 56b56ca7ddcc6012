import { philox4x32 } from "./philox4x32.js";

/**
 * One token per row, in this order:
 *   1. a token whose bitmask bit (bit v mod 32 of word v div 32) is 0 becomes -infinity; bias values are added; suppressed tokens
 *      become -infinity where position < minLength
 *   2. penalties over the row's tokens tokenPool[poolRow, 0..position): repetition r divides a positive logit and multiplies any
 *      other one of every token present (prompt or output); then presence is subtracted once and frequency once per
 *      occurrence for tokens of the output (index >= promptLength); pool ids outside [0, V) count for nothing
 *   3. temperature 0 takes the argmax; otherwise l /= temperature
 *   4. topK keeps the K largest l (0 = off); minP keeps p >= minP * pmax; topP keeps the shortest prefix by descending p
 *      whose sum is >= topP, at least one token. Each filter sees p = softmax(l) over what the one before has kept; equal l
 *      are ranked by lower index; -infinity and NaN are never kept
 *   5. Gumbel-max draw among the kept: argmax of l - log(-log(u)), u = ((w >>> 8) + 0.5) * 2^-24, w the first word of
 *      Philox4x32-10 with key (seedLo, seedHi) and counter (position, token, 0, 0)
 * A row in which nothing can be chosen gives token 0.
 *
 * For float32 implementations of step 5: from w >>> 8 = 2^23 on, (w >>> 8) + 0.5 needs 25 bits. Rounded, it turns the largest u
 * into 1, whose noise is infinite, and that token wins whatever its logit, once in 2^24 / V draws. 1 - u is exact, so
 * -log(u) there is -log1p(-(1 - u)).
 *
 * Source: Gumbel-max: Maddison, Tarlow and Minka, "A* Sampling" (arXiv 1411.0030), section 2; top-p: Holtzman et al.
 * (arXiv 1904.09751), section 3.1; min-p: Nguyen et al. (arXiv 2407.01082), section 3; repetition penalty: Keskar et al., "CTRL"
 * (arXiv 1909.05858), section 4.1.
 */
export function sample(
  logits: Float64Array, // [B, V]
  {
    floats, // [B, 6] temperature, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty
    ints, // [B, 6] topK, seedLo, seedHi, poolRow (-1: no penalties), promptLength, minLength
    positions, // [B]
    ...inputs
  }: SampleInputs,
  { B, V }: { readonly B: number; readonly V: number },
): {
  readonly ids: Int32Array; // [B]
  readonly probs: Float64Array; // [B, V] distribution the draw is from: 0 where not kept; one-hot at temperature 0
  readonly margins: Float64Array; // [B] distance of the closest decision from a tie; a comparison needs it above rounding
} {
  const ids = new Int32Array(B);
  const probs = new Float64Array(B * V);
  const margins = new Float64Array(B).fill(Infinity);
  for (let b = 0; b < B; b++) {
    const [temperature, topP, minP, repetition, presence, frequency] = floats.subarray(b * 6, b * 6 + 6);
    const [topK, seedLo, seedHi, poolRow, promptLength, minLength] = ints.subarray(b * 6, b * 6 + 6);
    const position = positions[b]!;
    const l = logits.slice(b * V, (b + 1) * V);
    maskAndBias(l, b, inputs);
    if (position < minLength!) suppress(l, b, inputs);
    if (poolRow! >= 0) {
      const { tokenPool, poolLength = 0 } = inputs;
      const tokens = tokenPool!.subarray(poolRow! * poolLength, poolRow! * poolLength + position);
      penalize(l, tokens, promptLength!, {
        repetition: repetition!,
        presence: presence!,
        frequency: frequency!,
      });
    }

    const ranked = descending(l);
    if (ranked.length === 0) continue;
    if (temperature === 0) {
      ids[b] = ranked[0]!;
      probs[b * V + ranked[0]!] = 1;
      if (ranked.length > 1) margins[b] = tieFree(l[ranked[0]!]! - l[ranked[1]!]!);
      continue;
    }
    for (let v = 0; v < V; v++) l[v]! /= temperature!;
    const kept = filter(l, ranked, { topK: topK!, minP: minP!, topP: topP! });
    const p = softmax(l, kept.ids);
    for (const [i, v] of kept.ids.entries()) probs[b * V + v] = p[i]!;
    const drawn = draw(l, kept.ids, [seedLo!, seedHi!], position);
    ids[b] = drawn.id;
    margins[b] = Math.min(kept.margin, drawn.margin);
  }
  return { ids, probs, margins };
}

interface OptionalInputs {
  readonly tokenPool?: Int32Array; // [R, L]
  readonly poolLength?: number; // L of tokenPool
  readonly biasIds?: Int32Array; // [B, Nb], -1 pads
  readonly biasValues?: Float64Array; // [B, Nb]
  readonly biasLength?: number; // Nb
  readonly suppressedIds?: Int32Array; // [B, Ns], -1 pads
  readonly suppressedLength?: number; // Ns
  readonly bitmask?: Int32Array; // [B, ceil(V / 32)]
}

type SampleInputs = OptionalInputs & {
  readonly floats: Float64Array;
  readonly ints: Int32Array;
  readonly positions: Int32Array;
};

function maskAndBias(
  l: Float64Array,
  b: number,
  { bitmask, biasIds, biasValues, biasLength = 0 }: OptionalInputs,
): void {
  const words = Math.ceil(l.length / 32);
  for (let v = 0; bitmask && v < l.length; v++) {
    if (((bitmask[b * words + (v >>> 5)]! >>> (v & 31)) & 1) === 0) l[v] = -Infinity;
  }
  for (let n = b * biasLength; n < (b + 1) * biasLength; n++) {
    if (biasIds![n] !== -1) l[biasIds![n]!]! += biasValues![n]!;
  }
}

function suppress(l: Float64Array, b: number, { suppressedIds, suppressedLength = 0 }: OptionalInputs): void {
  for (let n = b * suppressedLength; n < (b + 1) * suppressedLength; n++)
    if (suppressedIds![n] !== -1) l[suppressedIds![n]!] = -Infinity;
}

function penalize(
  l: Float64Array,
  tokens: Int32Array,
  promptLength: number,
  penalty: { readonly repetition: number; readonly presence: number; readonly frequency: number },
): void {
  const outputCounts = new Map<number, number>();
  for (const [i, token] of tokens.entries()) {
    outputCounts.set(token, (outputCounts.get(token) ?? 0) + (i >= promptLength ? 1 : 0));
  }
  for (const [token, count] of outputCounts) {
    l[token] = l[token]! > 0 ? l[token]! / penalty.repetition : l[token]! * penalty.repetition;
    if (count > 0) l[token] -= penalty.presence + penalty.frequency * count;
  }
}

/** Indices of the finite values, largest first, equal values by lower index. */
function descending(l: Float64Array): number[] {
  return Array.from(l.keys())
    .filter((v) => l[v]! > -Infinity)
    .sort((a, b) => l[b]! - l[a]! || a - b);
}

function softmax(l: Float64Array, ids: readonly number[]): number[] {
  const max = l[ids[0]!]!;
  const exponentials = ids.map((v) => Math.exp(l[v]! - max));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

function filter(
  l: Float64Array,
  ranked: readonly number[],
  { topK, minP, topP }: { readonly topK: number; readonly minP: number; readonly topP: number },
): { readonly ids: readonly number[]; readonly margin: number } {
  let ids = ranked;
  let margin = Infinity;
  if (topK > 0 && topK < ids.length) {
    margin = tieFree(l[ids[topK - 1]!]! - l[ids[topK]!]!);
    ids = ids.slice(0, topK);
  }
  if (minP > 0) {
    const p = softmax(l, ids);
    for (const value of p.slice(1)) margin = Math.min(margin, Math.abs(value - minP * p[0]!));
    ids = ids.filter((_, i) => p[i]! >= minP * p[0]!);
  }
  if (topP < 1) {
    const p = softmax(l, ids);
    let sum = 0;
    let count = 0;
    while (count < ids.length && (count === 0 || sum < topP)) {
      sum += p[count]!;
      margin = Math.min(margin, Math.abs(sum - topP));
      count++;
    }
    ids = ids.slice(0, count);
  }
  return { ids, margin };
}

function draw(
  l: Float64Array,
  ids: readonly number[],
  seed: readonly [number, number],
  position: number,
): { readonly id: number; readonly margin: number } {
  let id = -1;
  let best = -Infinity;
  let second = -Infinity;
  for (const v of ids) {
    const [word] = philox4x32([position, v, 0, 0], seed);
    const u = ((word >>> 8) + 0.5) * 2 ** -24;
    const score = l[v]! - Math.log(-Math.log(u));
    if (score > best) {
      second = best;
      best = score;
      id = v;
    } else if (score > second) {
      second = score;
    }
  }
  return { id, margin: best - second };
}

/** An exact tie is decided by index, not by rounding, so it does not make a decision fragile. */
function tieFree(gap: number): number {
  return gap === 0 ? Infinity : gap;
}
