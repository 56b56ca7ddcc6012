/**
 * `rope_scaling` of config.json from the keys `rope.scaling.*`, or from the divisors of the frequencies that a tensor has: converters
 * write Llama 3's scaling as such, and its parameters are in no key.
 */
import type { GgufContents } from "./architecture.js";
import { shortest } from "./cursor.js";

export const ropeFreqs = "rope_freqs.weight";

export const ropeScalingKeys: readonly string[] = [
  ...[
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scale_linear",
    "rope.scaling.original_context_length",
  ],
  ...["rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"],
];

export function ropeScaling(contents: GgufContents): unknown {
  const { own, small } = contents;
  const type = own("rope.scaling.type") ?? (own("rope.scale_linear") === undefined ? "none" : "linear");
  const factor = own("rope.scaling.factor") ?? own("rope.scale_linear");
  const original = own("rope.scaling.original_context_length");
  const divisors = small.get(ropeFreqs);
  switch (type) {
    case "none":
      return divisors && dividedFrequencies(contents, [...divisors]);
    case "linear":
      return { rope_type: "linear", factor };
    case "yarn":
      return {
        ...{ rope_type: "yarn", factor, original_max_position_embeddings: original },
        beta_fast: own("rope.scaling.yarn_beta_fast"),
        beta_slow: own("rope.scaling.yarn_beta_slow"),
      };
    default:
      return { rope_type: type, factor }; // which the reader of the config knows, or refuses
  }
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

export const longropeKeys: readonly string[] = [
  ...["rope.scaling.type", "rope.scaling.factor", "rope.scaling.original_context_length"],
  "rope.scaling.attn_factor",
];

/** Phi-3's; no scaling without its lists. */
export function longropeScaling(contents: GgufContents): unknown {
  const { own, small } = contents;
  const [short, long] = longropeFactors.map((name) => small.get(name));
  if (!short || !long) return ropeScaling(contents);
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
