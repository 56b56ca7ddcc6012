/** What happens to a request that a model does not answer, as options have it. */
import { z } from "zod";
import { chosen } from "../fields/field.js";
import { apiKey } from "../limits/keyLimits.js";

/** Another server with OpenAI's routes. */
export interface FallbackServer {
  /** Its base URL, such as "https://example.com/v1". */
  readonly url: string;
  /** The name of the model there. */
  readonly model: string;
  /** Sent as `Authorization: Bearer <key>`. Default: no key. */
  readonly apiKey?: string | undefined;
}

/** By name, who is asked in its place, one after the other: another name that is served here, or another server. */
export type Fallback = Readonly<Record<string, readonly (string | FallbackServer)[]>>;

export interface RetryOptions {
  /** Most further tries of a request with the same model, 1 to 5. Default 1. */
  readonly max?: number | undefined;
  /** Most retries of a model as a share of its requests, beside a reserve of ten. Default 0.1. */
  readonly share?: number | undefined;
}

/** Whether a path can be put behind it, and a request be made of it. */
function isBare(url: string): boolean {
  if (!URL.canParse(url)) return true; // which is told of already
  const { username, password } = new URL(url);
  return username === "" && password === "" && !/[?#]/.test(url);
}

const name = z.string().min(1);
const server = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .refine(isBare, "expected a URL without user, query and fragment: paths are put behind it"),
  model: name,
  apiKey: apiKey.optional(),
});

export const fallbackSchema = z.record(
  name,
  z.array(chosen<string | FallbackServer>((one) => (typeof one === "object" ? server : name))).min(1),
);
export const retrySchema = z.strictObject({
  max: z.int().min(1).max(5).default(1),
  share: z.number().min(0).max(1).default(0.1),
});
