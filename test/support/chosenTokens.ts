/** Which tokens the queries of mlaAttention attend to, for its case tables. */
import type { latentCall, LatentShape } from "./latentCalls.js";
import { Random } from "./random.js";

/** What the columns of a row have that are read; those behind have what would be a fault. */
export type Choice =
  | "some" // other tokens, ascending
  | "shuffled" // in any order
  | "gaps" // every other one is none
  | "late" // none but the last
  | "none"
  | "one" // the same token in each
  | "all"; // as many as there are, in order

export const choices = ["some", "shuffled", "gaps", "late", "none", "one", "all"] as const;

export interface ChosenShape extends LatentShape {
  readonly topK: number;
  readonly choice: Choice;
  /** Queries stand so many tokens farther back. */
  readonly offset?: number;
}

/** What no query sees. */
export const farToken = 1 << 30;

/** The `columns` that are read of a row, of a query that sees `seen` tokens. */
function chooseColumns(random: Random, choice: Choice, columns: number, seen: number): Int32Array {
  if (choice === "all") return Int32Array.from({ length: columns }, (_, n) => n);
  if (choice === "none") return new Int32Array(columns).fill(-1);
  if (choice === "one") return new Int32Array(columns).fill(seen >> 1);
  const tokens = Int32Array.from(random.permutation(seen).subarray(0, columns));
  if (choice === "shuffled") return tokens;
  tokens.sort();
  if (choice === "gaps") return tokens.map((token, n) => (n % 2 === 0 ? -1 : token));
  return choice === "late" ? tokens.map((token, n) => (n < columns - 1 ? -1 : token)) : tokens;
}

/** [T, topK]; latents that no query names become NaN. */
export function chooseTokens(c: ChosenShape, call: ReturnType<typeof latentCall>): Int32Array {
  const { lengths, topK, choice, offset = 0, Ps, R, Dr } = c;
  const random = new Random(54);
  const indices = new Int32Array(call.T * topK).fill(farToken);
  const named = new Set<number>();
  for (const [b, [Lq, L]] of lengths.entries()) {
    for (let i = 0; i < Lq; i++) {
      const seen = Math.max(0, Math.min(L - Lq + i + offset + 1, L));
      const tokens = chooseColumns(random, choice, Math.min(topK, seen), seen);
      indices.set(tokens, (call.cu[b]! + i) * topK);
      for (const token of tokens) {
        if (token < 0) continue;
        const page = call.pageTable[call.rows[b]! * call.Pmax + Math.floor(token / Ps)]!;
        named.add(page * Ps + (token % Ps));
      }
    }
  }
  for (let row = 0; row < call.P * Ps; row++) {
    if (!named.has(row)) call.latents.fill(NaN, row * (R + Dr), (row + 1) * (R + Dr));
  }
  return indices;
}
