/** Which version of a name answers a request. */
import { hash, randomUUID } from "node:crypto";
import { z } from "zod";

/** Weights by version, in any unit: 90 and 10 are as 0.9 and 0.1. */
export type Split = Readonly<Record<string, number>>;

export const splitSchema = z
  .record(z.string().min(1), z.number().min(0))
  .refine((split) => Object.values(split).some((weight) => weight > 0), "expected a weight above 0");

/** Versions that requests may get. */
export function activeOf(split: Split): string[] {
  return Object.keys(split).filter((id) => split[id]! > 0);
}

/**
 * The same key of a name gets the same version for as long as its weights stay, whatever the order of the versions; when they change,
 * keys move to those that have more of the whole than before, and no others. Weighted rendezvous hashing by the logarithmic method of
 * Schindelhauer and Schomaker, "Weighted Distributed Hash Tables" (SPAA 2005): -ln(u) / weight is an exponential time, and the version
 * whose time is the shortest has won with the share of its weight.
 *
 * @param split with a weight above 0
 * @param key default: one of its own
 */
export function drawVersion(name: string, split: Split, key: string = randomUUID()): string {
  const active = activeOf(split);
  if (active.length === 1) return active[0]!;
  const most = Math.max(...active.map((id) => split[id]!)); // times stay numbers, however small the weights are
  const times = active.map((id) => -Math.log(uniform([name, id, key])) / (split[id]! / most));
  return active[times.indexOf(Math.min(...times))]!;
}

/** A number of ]0, 1[ that is the same for the same texts. */
export function uniform(texts: readonly string[]): number {
  return (hash("sha256", JSON.stringify(texts), "buffer").readUIntBE(0, 6) + 0.5) / 2 ** 48;
}
