/**
 * `rope_scaling` of config.json from the keys `rope.scaling.*`, or from the divisors of the frequencies that a tensor has: converters
 * write Llama 3's scaling as such, and its parameters are in no key.
 */
import type { GgufContents } from "./architecture.js";
import { shortest } from "./cursor.js";

export const ropeFreqs = "rope_freqs.weight";

export const ropeScalingKeys: readonly string[] = [
  ...["rope.scaling.type", "rope.scaling.factor", "rope.scale_linear", "rope.scaling.attn_factor"],
  "rope.scaling.original_context_length",
  ...["beta_fast", "beta_slow", "log_multiplier", "ext_factor", "attn_factor"].map(
    (name) => `rope.scaling.yarn_${name}`,
  ),
];

/** The logarithms of a factor that magnify cosines and sines, and those that scale attention instead. */
interface Magnitudes {
  readonly mscale: number;
  readonly mscale_all_dim: number;
}

/** What `yarn_log_multiplier` says of all families but DeepSeek's. */
const usualMagnitudes = (multiplier: number): Magnitudes => ({ mscale: 1, mscale_all_dim: multiplier });

/** @param magnitudes what `yarn_log_multiplier` says */
export function ropeScaling(contents: GgufContents, magnitudes = usualMagnitudes): unknown {
  const { own, small, metadata, architecture } = contents;
  const type = own("rope.scaling.type") ?? (own("rope.scale_linear") === undefined ? "none" : "linear");
  const factor = own("rope.scaling.factor") ?? own("rope.scale_linear");
  if (type !== "longrope" && ![undefined, 1].includes(own("rope.scaling.attn_factor") as number | undefined))
    metadata.fail(`${architecture}.rope.scaling.attn_factor`, "nothing or 1");
  if (type !== "yarn") refuseOfYarn(contents, 1);
  const divisors = small.get(ropeFreqs);
  switch (type) {
    case "none":
      return divisors && dividedFrequencies(contents, [...divisors]);
    case "linear":
      return { rope_type: "linear", factor };
    case "yarn":
      return yarnScaling(contents, magnitudes);
    default:
      return { rope_type: type, factor }; // which the reader of the config knows, or refuses
  }
}

function yarnScaling(contents: GgufContents, magnitudes: typeof usualMagnitudes): unknown {
  const { own } = contents;
  const [factor, multiplier] = [own("rope.scaling.factor"), own("rope.scaling.yarn_log_multiplier")];
  const scales = multiplier ? magnitudes(Number(multiplier)) : undefined;
  const magnitude = (scale: number) => (Number(factor) <= 1 ? 1 : 0.1 * scale * Math.log(Number(factor)) + 1);
  const { mscale = 1, mscale_all_dim = 0 } = scales ?? {};
  refuseOfYarn(contents, magnitude(mscale) / magnitude(mscale_all_dim));
  return {
    ...{ rope_type: "yarn", factor },
    original_max_position_embeddings: own("rope.scaling.original_context_length"),
    beta_fast: own("rope.scaling.yarn_beta_fast"),
    beta_slow: own("rope.scaling.yarn_beta_slow"),
    ...scales,
  };
}

/**
 * How far yarn goes is in no config, and its factor on cosines and sines is what its other parameters make it: llama.cpp does not even
 * read that one.
 *
 * @param magnitude that factor; 1 without yarn
 */
function refuseOfYarn({ own, metadata, architecture }: GgufContents, magnitude: number): void {
  const isYarn = own("rope.scaling.type") === "yarn";
  const fail = (name: string, expected: string) =>
    metadata.fail(`${architecture}.rope.scaling.yarn_${name}`, `nothing or ${expected}`);
  const [extent, given] = [own("rope.scaling.yarn_ext_factor"), own("rope.scaling.yarn_attn_factor")];
  const usual = isYarn ? 1 : 0;
  if (extent !== undefined && extent !== usual && extent !== -1) fail("ext_factor", `${usual}`); // -1 is none
  if (given !== undefined && !(Math.abs(Number(given) - magnitude) <= 1e-6))
    fail("attn_factor", `${Number(magnitude.toPrecision(7))}`);
  if (!isYarn && own("rope.scaling.type") === "linear" && own("rope.scaling.yarn_log_multiplier"))
    fail("log_multiplier", "0");
}

/** Parameters of Llama 3's scaling that are published, beside its factor. */
const turns = { low_freq_factor: 1, high_freq_factor: 4 };
const publishedContext = 8192;

/** As Llama 3's scaling where that gives these divisors; else as they are. */
function dividedFrequencies({ own, metadata }: GgufContents, divisors: readonly number[]): unknown {
  const factor = Math.max(...divisors);
  const context = Number(own("context_length"));
  const theta = Number(own("rope.freq_base") ?? 10_000);
  const llama3 = [publishedContext, context / factor]
    .map((original) => ({
      ...{ rope_type: "llama3", factor, ...turns, original_max_position_embeddings: original },
    }))
    .find((scaling) => {
      const expected = llama3Divisors(theta, divisors.length, scaling);
      return expected.every((divisor, i) => Math.abs(divisor - divisors[i]!) <= 1e-5 * divisor);
    });
  if (llama3) return llama3;
  if (divisors.some((divisor) => !(divisor > 0 && divisor < Infinity)))
    metadata.fail(ropeFreqs, "numbers above 0");
  const lists = { short_factor: divisors, long_factor: divisors };
  return {
    ...{ rope_type: "longrope", factor: 1, attention_factor: 1, ...lists },
    original_max_position_embeddings: own("context_length"),
  };
}

/** Tensors of Phi-3's two lists of factors. */
export const longropeFactors = ["rope_factors_short.weight", "rope_factors_long.weight"] as const;

/** Phi-3's; no scaling without its lists. */
export function longropeScaling(contents: GgufContents): unknown {
  const { own, small } = contents;
  const [short, long] = longropeFactors.map((name) => small.get(name));
  if (!short || !long) return ropeScaling(contents);
  refuseOfYarn(contents, 1);
  const original = Number(own("rope.scaling.original_context_length"));
  const factor = Number(own("context_length")) / original;
  const usual = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  const given = Number(own("rope.scaling.attn_factor") ?? usual);
  return {
    ...{ rope_type: "longrope", original_max_position_embeddings: original },
    ...{ short_factor: Array.from(short, shortest), long_factor: Array.from(long, shortest) },
    ...(Math.abs(given - usual) > 1e-6 && { attention_factor: given }),
  };
}

/** See `llama3` of lib/nn/ropeTable.ts. */
function llama3Divisors(
  theta: number,
  pairs: number,
  scaling: { readonly factor: number; readonly original_max_position_embeddings: number },
): number[] {
  const { low_freq_factor: low, high_freq_factor: high } = turns;
  return Array.from({ length: pairs }, (_, i) => {
    const frequency = theta ** (-i / pairs);
    const numTurns = (scaling.original_max_position_embeddings * frequency) / (2 * Math.PI);
    const kept = Math.min(Math.max((numTurns - low) / (high - low), 0), 1);
    return 1 / (kept + (1 - kept) / scaling.factor);
  });
}
