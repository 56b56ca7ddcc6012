/** Configs of quantised checkpoints with something wrong in them. */
import { quantizationMethods } from "../../lib/quantization/quantization.js";
import type { Random } from "./random.js";

const odd: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1, 4, 8, 0.5, 2 ** 53, "", "re:(", "gemm", "e4m3", "(a+)+$", [], {}, [1, 2]],
  ...[["re:((((", "*"], { a: { b: 1 } }, "__proto__", [[[]]], "x".repeat(5000), ...quantizationMethods],
];

/** One value of a copy is another, or a field is gone or new. */
export function mutateJson(value: unknown, random: Random): unknown {
  const pick = () => odd[random.integer(0, odd.length)];
  if (typeof value !== "object" || value === null || random.uniform() < 0.1) return pick();
  if (Array.isArray(value))
    return value.map((item) => (random.uniform() < 0.5 ? mutateJson(item, random) : item));
  const entries = Object.entries(value);
  const at = random.integer(0, entries.length + 1);
  if (at === entries.length) return { ...value, [String(pick())]: pick() };
  if (random.uniform() < 0.1) return Object.fromEntries(entries.filter((_, i) => i !== at));
  return Object.fromEntries(
    entries.map(([key, item], i) => [key, i === at ? mutateJson(item, random) : item]),
  );
}
