/**
 * Cosine and sine tables of rotary position embeddings, built on the host in float64 from the rope fields of a Hugging
 * Face config. Pure arithmetic: it knows no device, and the `rope` op knows no scaling types.
 */
import { ArgumentRangeError, CheckpointError } from "../errors.js";
import { runNow, type Steps } from "../eventLoop.js";

/** The `rope_scaling` (or `rope_parameters`) object of config.json, unchecked. */
export type RopeScaling = Readonly<Record<string, unknown>>;

export interface RopeTableOptions {
  /** R, the number of leading dimensions of a head that are rotated; even, at least 2. */
  readonly rotaryDim: number;
  /** Pairs in the table. Default R/2; of more, those from R/2 on are not turned: of heads whose pairs are all apart, though few turn. */
  readonly pairs?: number | undefined;
  /** Base of the frequencies (`rope_theta`). */
  readonly theta: number;
  /** Lmax, the number of positions in the table: the longest context the engine will run, in tokens. */
  readonly maxLength: number;
  /** `max_position_embeddings` of the config, in tokens. */
  readonly maxPositionEmbeddings: number;
  /** `rope_scaling` of the config; null or undefined is type "default". */
  readonly scaling?: RopeScaling | null | undefined;
}

export interface RopeTable {
  /** [Lmax, R]: row p holds the R/2 cosines and then the R/2 sines of position p, times `cosSinScale`. */
  readonly table: Float32Array;
  /** Columns: twice the `pairs`. */
  readonly rotaryDim: number;
  readonly maxLength: number;
  /** The attention factor of yarn and longrope, already multiplied into the table; 1 for other types. */
  readonly cosSinScale: number;
  /**
   * Factor on the softmax scale that DeepSeek's latent attention asks for on top of the table:
   * (0.1 * mscale_all_dim * ln(factor) + 1)^2; 1 when the config has no mscale_all_dim. Other models do not use it.
   */
  readonly softmaxScaleFactor: number;
}

/**
 * Builds the table of one rope configuration.
 *
 *     angle[p, i] = p * frequency[i],  frequency[i] = theta^(-2i / R) as changed by the scaling type,  0 <= i < R/2
 *
 * @throws CheckpointError ERR_CHECKPOINT_CONFIG: unknown scaling type; a config field that is missing or not a usable number.
 * @throws ArgumentRangeError ERR_ARGUMENT_RANGE: maxLength is not a positive integer.
 * @see Su et al., "RoFormer" (arXiv 2104.09864), equation 15
 */
export function ropeTable(options: RopeTableOptions): RopeTable {
  return runNow(ropeTableSteps(options));
}

/** Positions between two yields, about 0.2 ms. */
const positionsPerStep = 64;

/** `ropeTable` in steps: 32,768 positions take about 90 ms. */
export function* ropeTableSteps(options: RopeTableOptions): Steps<RopeTable> {
  const { rotaryDim: turned, maxLength, pairs = turned / 2 } = options;
  checkOptions(options);
  const { frequencies, cosSinScale = 1, softmaxScaleFactor = 1 } = scaledFrequencies(options);
  const rotaryDim = 2 * pairs;
  const table = new Float32Array(maxLength * rotaryDim);
  for (let p = 0; p < maxLength; p++) {
    for (let i = 0; i < turned / 2; i++) {
      const angle = p * frequencies[i]!;
      table[p * rotaryDim + i] = Math.cos(angle) * cosSinScale;
      table[p * rotaryDim + pairs + i] = Math.sin(angle) * cosSinScale;
    }
    table.fill(1, p * rotaryDim + turned / 2, p * rotaryDim + pairs); // the others: cosine 1, sine 0
    if (p % positionsPerStep === 0) yield;
  }
  return { table, rotaryDim, maxLength, cosSinScale, softmaxScaleFactor };
}

interface ScaledFrequencies {
  readonly frequencies: Float64Array; // [R/2], radians per token
  readonly cosSinScale?: number;
  readonly softmaxScaleFactor?: number;
}

function scaledFrequencies(options: RopeTableOptions): ScaledFrequencies {
  const scaling = options.scaling ?? {};
  const type = scaling["rope_type"] ?? scaling["type"] ?? "default"; // "type" is the spelling of older configs
  switch (type) {
    case "default":
      return { frequencies: baseFrequencies(options.theta, options.rotaryDim) };
    case "linear":
      return linear(options, scaling);
    case "dynamic":
      return dynamic(options, scaling);
    case "llama3":
      return llama3(options, scaling);
    case "yarn":
      return yarn(options, scaling);
    case "longrope":
      return longrope(options, scaling);
    default:
      throw new RopeParameterError(
        "rope_type",
        `must be one of default, linear, dynamic, llama3, yarn, longrope, got ${JSON.stringify(type)}`,
      );
  }
}

function baseFrequencies(theta: number, rotaryDim: number): Float64Array {
  return Float64Array.from({ length: rotaryDim / 2 }, (_, i) => theta ** ((-2 * i) / rotaryDim));
}

/** Position interpolation: positions are divided by the factor. Chen et al. (arXiv 2306.15595), equation 4. */
function linear({ theta, rotaryDim }: RopeTableOptions, scaling: RopeScaling): ScaledFrequencies {
  const factor = positive(scaling, "factor");
  return { frequencies: baseFrequencies(theta, rotaryDim).map((frequency) => frequency / factor) };
}

/**
 * Dynamic NTK: the base grows with the length L of the text beyond the trained length L0,
 *   theta' = theta * (factor * L / L0 - (factor - 1))^(R / (R - 2)).
 * transformers recomputes it as a text grows, so cached keys disagree with newer ones. A cache shared by requests needs one
 * angle per position for ever; like vLLM, which fixes the base at load for the longest context, this takes L = Lmax, the length of
 * the table. A table that is no longer than L0 is unscaled. Emozilla, "Dynamically Scaled RoPE" (2023); YaRN
 * (arXiv 2309.00071), appendix B.1.
 */
function dynamic(options: RopeTableOptions, scaling: RopeScaling): ScaledFrequencies {
  const { theta, rotaryDim, maxLength } = options;
  const factor = positive(scaling, "factor");
  const trainedLength = trainedLengthOf(options, scaling);
  if (maxLength <= trainedLength || rotaryDim === 2)
    return { frequencies: baseFrequencies(theta, rotaryDim) };
  const growth = (factor * maxLength) / trainedLength - (factor - 1);
  return { frequencies: baseFrequencies(theta * growth ** (rotaryDim / (rotaryDim - 2)), rotaryDim) };
}

/**
 * Llama 3.1: with n = L0 / wavelength turns over the trained length L0, frequencies of more than high_freq_factor turns stay,
 * of fewer than low_freq_factor turns are divided by the factor, and between them the two are blended linearly in n.
 * "The Llama 3 Herd of Models" (arXiv 2407.21783), section 3.4.2, and Meta's llama-models, `apply_scaling`.
 */
function llama3({ theta, rotaryDim }: RopeTableOptions, scaling: RopeScaling): ScaledFrequencies {
  const factor = positive(scaling, "factor");
  const lowTurns = positive(scaling, "low_freq_factor");
  const highTurns = positive(scaling, "high_freq_factor");
  const trainedLength = positive(scaling, "original_max_position_embeddings");
  if (highTurns <= lowTurns) {
    throw new RopeParameterError(
      "high_freq_factor",
      `must be above low_freq_factor (${lowTurns}), got ${highTurns}`,
    );
  }
  const frequencies = baseFrequencies(theta, rotaryDim).map((frequency) => {
    const turns = (trainedLength * frequency) / (2 * Math.PI);
    const kept = Math.min(Math.max((turns - lowTurns) / (highTurns - lowTurns), 0), 1);
    return frequency * (kept + (1 - kept) / factor);
  });
  return { frequencies };
}

/**
 * YaRN: dimension d(n) = R ln(L0 / (2 pi n)) / (2 ln theta) makes n turns over the trained length L0. Dimensions below
 * d(beta_fast) stay, above d(beta_slow) are divided by the factor, a linear ramp joins them; `truncate` (default true) first
 * widens the ramp to whole dimensions. Cosines and sines are scaled by attention_factor, or by
 * m(mscale) / m(mscale_all_dim) if both are set, or by m(1), where m(s) = 0.1 s ln(factor) + 1.
 * Peng et al., "YaRN" (arXiv 2309.00071), sections 3.2 to 3.4; mscale: DeepSeek-V2 (arXiv 2405.04434), section 3.1.4.
 */
function yarn(options: RopeTableOptions, scaling: RopeScaling): ScaledFrequencies {
  const { theta, rotaryDim } = options;
  const trainedLength = trainedLengthOf(options, scaling);
  const factor = optionalPositive(scaling, "factor") ?? options.maxPositionEmbeddings / trainedLength;
  const betaFast = optionalPositive(scaling, "beta_fast") ?? 32;
  const betaSlow = optionalPositive(scaling, "beta_slow") ?? 1;
  const truncate = scaling["truncate"] ?? true;
  if (typeof truncate !== "boolean")
    throw new RopeParameterError("truncate", `must be true or false, got ${JSON.stringify(truncate)}`);

  const dimensionOfTurns = (turns: number) =>
    (rotaryDim * Math.log(trainedLength / (2 * Math.PI * turns))) / (2 * Math.log(theta));
  let low = dimensionOfTurns(betaFast);
  let high = dimensionOfTurns(betaSlow);
  if (truncate) [low, high] = [Math.floor(low), Math.ceil(high)];
  [low, high] = [low, high].map((dimension) => Math.min(Math.max(dimension, 0), rotaryDim - 1)) as [
    number,
    number,
  ];
  if (low === high) high += 0.001; // a step instead of a division by zero; the value is that of the published code

  const frequencies = baseFrequencies(theta, rotaryDim).map((frequency, i) => {
    const interpolated = Math.min(Math.max((i - low) / (high - low), 0), 1);
    return frequency * (1 - interpolated + interpolated / factor);
  });
  const mscale = optionalNumber(scaling, "mscale") ?? 0;
  const mscaleAllDim = optionalNumber(scaling, "mscale_all_dim") ?? 0;
  const magnitude = (scale: number) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const defaultScale = mscale && mscaleAllDim ? magnitude(mscale) / magnitude(mscaleAllDim) : magnitude(1);
  return {
    frequencies,
    cosSinScale: optionalPositive(scaling, "attention_factor") ?? defaultScale,
    softmaxScaleFactor: magnitude(mscaleAllDim) ** 2,
  };
}

/**
 * LongRoPE: every pair divides its frequency by a factor of its own, out of one list within the trained length L0 and of another
 * beyond it. With either list cosines and sines are scaled by attention_factor, or by sqrt(1 + ln s / ln L0) with s = factor, or
 * max_position_embeddings / L0.
 * transformers takes the long list as soon as a text is longer than L0, and cached keys then disagree with newer ones. Like
 * vLLM and llama.cpp, which go by the context that an engine is started with, this goes by the length of the table: up to L0
 * positions it is the short list. Ding et al., "LongRoPE" (arXiv 2402.13753), section 3; "Phi-3 Technical Report" (arXiv 2404.14219).
 */
function longrope(options: RopeTableOptions, scaling: RopeScaling): ScaledFrequencies {
  const { theta, rotaryDim, maxLength, maxPositionEmbeddings } = options;
  const trainedLength = positive(scaling, "original_max_position_embeddings");
  if (trainedLength < 2)
    throw new RopeParameterError(
      "original_max_position_embeddings",
      `must be at least 2, got ${trainedLength}`,
    );
  const [short, long] = [
    factorList(scaling, "short_factor", rotaryDim / 2),
    factorList(scaling, "long_factor", rotaryDim / 2),
  ];
  const factor = optionalPositive(scaling, "factor") ?? maxPositionEmbeddings / trainedLength;
  const scale = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(trainedLength));
  const factors = maxLength > trainedLength ? long : short;
  return {
    frequencies: baseFrequencies(theta, rotaryDim).map((frequency, i) => frequency / factors[i]!),
    cosSinScale: optionalPositive(scaling, "attention_factor") ?? scale,
  };
}

function factorList(scaling: RopeScaling, name: string, count: number): readonly number[] {
  const list = scaling[name];
  const isFactor = (value: unknown) => typeof value === "number" && Number.isFinite(value) && value > 0;
  if (Array.isArray(list) && list.length === count && list.every(isFactor)) return list as number[];
  throw new RopeParameterError(
    name,
    `must be a list of ${count} numbers above 0, one for each pair, got ${JSON.stringify(list)}`,
  );
}

function trainedLengthOf({ maxPositionEmbeddings }: RopeTableOptions, scaling: RopeScaling): number {
  return optionalPositive(scaling, "original_max_position_embeddings") ?? maxPositionEmbeddings;
}

function checkOptions(options: RopeTableOptions): void {
  const { rotaryDim, theta, maxLength, maxPositionEmbeddings, pairs = rotaryDim / 2 } = options;
  if (!Number.isInteger(rotaryDim) || rotaryDim < 2 || rotaryDim % 2 !== 0) {
    throw configError(`rope: rotary dimension R must be even and at least 2, got ${rotaryDim}`);
  }
  if (!(theta > 1) || !Number.isFinite(theta))
    throw new RopeParameterError("rope_theta", `must be above 1, got ${theta}`);
  if (!Number.isSafeInteger(maxPositionEmbeddings) || maxPositionEmbeddings < 1) {
    throw configError(`rope: max_position_embeddings must be at least 1, got ${maxPositionEmbeddings}`);
  }
  if (!Number.isInteger(pairs) || pairs < rotaryDim / 2) {
    throw new ArgumentRangeError(`ropeTable: pairs must be at least R/2 (${rotaryDim / 2}), got ${pairs}`);
  }
  if (!Number.isSafeInteger(maxLength) || maxLength < 1) {
    throw new ArgumentRangeError(`ropeTable: maxLength must be a positive integer, got ${maxLength}`);
  }
}

function positive(scaling: RopeScaling, name: string): number {
  const value = optionalPositive(scaling, name);
  if (value === undefined) throw new RopeParameterError(name, "is missing");
  return value;
}

function optionalPositive(scaling: RopeScaling, name: string): number | undefined {
  const value = optionalNumber(scaling, name);
  if (value !== undefined && value <= 0) throw new RopeParameterError(name, `must be above 0, got ${value}`);
  return value;
}

function optionalNumber(scaling: RopeScaling, name: string): number | undefined {
  const value = scaling[name] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new RopeParameterError(name, `must be a number, got ${JSON.stringify(value)}`);
}

/** A parameter that is missing or not usable. Where it stands in a config, its reader knows. */
export class RopeParameterError extends CheckpointError {
  /** @param problem completes the sentence that the parameter begins */
  constructor(
    readonly parameter: string,
    readonly problem: string,
  ) {
    super("ERR_CHECKPOINT_CONFIG", `rope: ${parameter} ${problem}`);
  }
}

function configError(message: string): CheckpointError {
  return new CheckpointError("ERR_CHECKPOINT_CONFIG", message);
}
