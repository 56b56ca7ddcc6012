/**
 * The scalar sampling parameters: what each may be, when it does nothing, and what generation_config.json calls it. Options of
 * a request, defaults of a checkpoint and the arrays of the `sample` op derive from this table. The op (lib/ops/sample.ts) has
 * a column of the same name for each.
 */

export interface SamplingParameter {
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
  /** The value that switches it off. */
  readonly off: number;
  /** What a request may say for `off`, too. */
  readonly alsoOff?: number;
  /** It weighs the tokens that the sequence has already: the op reads them, and greedy decoding feels it, too. */
  readonly penalty?: boolean;
  /** Its name in generation_config.json, if it can stand there. */
  readonly field?: string;
  /** What a generation_config.json that samples and does not name it means, if not `off`. */
  readonly whenSampling?: number;
}

export const samplingParameters = {
  temperature: { min: 0, max: 100, off: 0, field: "temperature", whenSampling: 1 },
  topK: { min: 0, max: 0x7fffffff, integer: true, off: 0, alsoOff: -1, field: "top_k" },
  topP: { min: 0, max: 1, off: 1, field: "top_p" },
  minP: { min: 0, max: 1, off: 0, field: "min_p" },
  /** Logits are divided by it: 0 has no meaning. */
  repetitionPenalty: { min: 0.01, max: 100, off: 1, penalty: true, field: "repetition_penalty" },
  presencePenalty: { min: -100, max: 100, off: 0, penalty: true },
  frequencyPenalty: { min: -100, max: 100, off: 0, penalty: true },
} as const satisfies Readonly<Record<string, SamplingParameter>>;

export type SamplingName = keyof typeof samplingParameters;

/** In the order of the table. */
export const samplingNames = Object.keys(samplingParameters) as readonly SamplingName[];

/** A value for each parameter. */
export type SamplingValues = Readonly<Record<SamplingName, number>>;

/** Calls `valueOf` for each parameter, in the order of the table. */
export function mapSampling<T>(
  valueOf: (name: SamplingName, parameter: SamplingParameter) => T,
): Readonly<Record<SamplingName, T>> {
  const entries = samplingNames.map((name) => [name, valueOf(name, samplingParameters[name])] as const);
  return Object.fromEntries(entries) as Record<SamplingName, T>;
}

/** The parameters of greedy decoding from logits as they are. */
export const samplingOff: SamplingValues = mapSampling((_, { off }) => off);

/** Whether a number of any origin can be the parameter; NaN cannot. */
export function isInRange(value: unknown, { min, max, integer = false }: SamplingParameter): value is number {
  return typeof value === "number" && value >= min && value <= max && (!integer || Number.isInteger(value));
}
