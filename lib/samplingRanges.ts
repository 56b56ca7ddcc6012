/**
 * What a sampling parameter may be, for the options of a request and for generation_config.json alike: this is the only place
 * that says it.
 */

export interface SamplingRange {
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
  /** The value that switches it off. */
  readonly off: number;
  /** What a request may say for `off`, too. */
  readonly alsoOff?: number;
}

export const samplingRanges = {
  /** Off is greedy for a request; a file without a temperature that samples means 1. */
  temperature: { min: 0, max: 100, off: 0 },
  topK: { min: 0, max: 0x7fffffff, integer: true, off: 0, alsoOff: -1 },
  topP: { min: 0, max: 1, off: 1 },
  minP: { min: 0, max: 1, off: 0 },
  /** Logits are divided by it: 0 has no meaning. */
  repetitionPenalty: { min: 0.01, max: 100, off: 1 },
  presencePenalty: { min: -100, max: 100, off: 0 },
  frequencyPenalty: { min: -100, max: 100, off: 0 },
} as const satisfies Readonly<Record<string, SamplingRange>>;

/** Whether a number of any origin lies in a range; NaN does not. */
export function isInRange(value: unknown, { min, max, integer = false }: SamplingRange): value is number {
  return typeof value === "number" && value >= min && value <= max && (!integer || Number.isInteger(value));
}
