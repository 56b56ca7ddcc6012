/** What a caller may ask, as options have it. */
import { z } from "zod";
import { chosen } from "../fields/field.js";

/** A limit that is left out is that of all keys; null is none. */
export interface KeyLimits {
  /** Requests that are open at once. */
  readonly maxOpen?: number | null | undefined;
  readonly requestsPerMinute?: number | null | undefined;
  /** Tokens of prompts and answers. */
  readonly tokensPerMinute?: number | null | undefined;
}

/** A key with limits of its own. */
export interface LimitedKey {
  readonly key: string;
  readonly limits?: KeyLimits | undefined;
}

const limit = z.int().min(1).nullable().optional();
export const keyLimits = z.strictObject({
  maxOpen: limit,
  requestsPerMinute: limit,
  tokensPerMinute: limit,
});
/** Others could not be sent: what a header has behind "Bearer" ends at a blank, and its letters are bytes. */
export const apiKey = z
  .string()
  .regex(/^[!-~]+$/, "expected letters, digits and signs of ASCII, without blanks, at least one");
const limitedKey = z.strictObject({ key: apiKey, limits: keyLimits.optional() });

/** Keys, with limits or without. Messages name an entry by its place, since a key is a secret. */
export const apiKeys = z
  .array(chosen<string | LimitedKey>((entry) => (typeof entry === "object" ? limitedKey : apiKey)))
  .min(1, "expected at least one key; without the option none is asked for")
  .refine((entries) => new Set(entries.map(keyOf)).size === entries.length, "two are the same key");

export function keyOf(entry: string | LimitedKey): string {
  return typeof entry === "string" ? entry : entry.key;
}
