/** Options of the server, and their checks. */
import type { Logger } from "pino";
import { z } from "zod";
import { type FormatChoice, toolFormatNames } from "../toolcalls/index.js";
import { type Fallback, fallbackSchema, type RetryOptions, retrySchema } from "./fallback/options.js";
import { apiKey, apiKeys, type KeyLimits, keyLimits, type LimitedKey } from "./limits/keyLimits.js";
import type { Splits } from "./registry/given.js";
import { splitSchema } from "./registry/split.js";
import type { LoadModel } from "./registry/version.js";
import { resolve } from "./resolve.js";

export interface AppOptions {
  /**
   * Keys of which a request must have one (`Authorization: Bearer <key>`), with limits of their own where they are objects; /health and
   * /ready need none. Default: no key is asked for.
   */
  readonly apiKeys?: readonly (string | LimitedKey)[] | undefined;
  /** What each key may ask, or all callers together without keys; more is answered with 429. Default: no limits. */
  readonly limits?: KeyLimits | undefined;
  /**
   * More names, each with the weights of the models that answer it: `{ chat: { small: 90, large: 10 } }`. All requests of a user or a
   * session get the same model of them. Default: none.
   */
  readonly splits?: Splits | undefined;
  /** Most requests of a model that wait for their first token; more are answered with 429. Default 256. */
  readonly maxQueue?: number | undefined;
  /** A request that takes longer is aborted and answered with 504, in milliseconds. Default 600000. */
  readonly timeoutMs?: number | undefined;
  /**
   * By name, who answers in its place while nothing of the answer has been sent and the model is overloaded (429), does not answer (503)
   * or takes too long (504): other names, or other servers. Default: nobody.
   */
  readonly fallback?: Fallback | undefined;
  /** A model with a fallback has so many milliseconds for the first token. Default: `timeoutMs`. */
  readonly firstTokenMs?: number | undefined;
  /** Tries a request that has no token yet again with the same model when that does not answer (503). Default: never. */
  readonly retry?: RetryOptions | undefined;
  /** Longest body of a request; longer ones are answered with 413. Default 8388608. */
  readonly maxBodyBytes?: number | undefined;
  /**
   * How the models write calls of tools: a name of docs/tool-calls.md, or "none": what they write is text. Default "auto": as each one's
   * chat template says.
   */
  readonly toolFormat?: string | undefined;
  /** Where requests are logged. Default: nowhere (`createApp`), JSON on stdout (`serve`). */
  readonly logger?: Pick<Logger, "info" | "error"> | false | undefined;
  /** Also what was asked. Default false. */
  readonly logPrompts?: boolean | undefined;
}

export interface ServeOptions extends AppOptions {
  /** Where to listen. Default "127.0.0.1": this machine alone. */
  readonly host?: string | undefined;
  /** 0: one that is free. Default 8000. */
  readonly port?: number | undefined;
  /** How models are loaded that are given as texts, or by the admin plane. Default: `startEngine` without options. */
  readonly load?: LoadModel | undefined;
  /** Where changes of the admin plane are kept, so that the next start goes on with them; `<file>.audit.jsonl` lists them. Default: nowhere. */
  readonly stateFile?: string | undefined;
  /** Where the admin plane listens; 0: a port that is free. Default: there is none. */
  readonly adminPort?: number | undefined;
  /** Default "127.0.0.1": this machine alone. */
  readonly adminHost?: string | undefined;
  /** Keys of which a request to the admin plane must have one; it needs some. */
  readonly adminKeys?: readonly string[] | undefined;
}

export interface HandlerOptions extends AppOptions {
  /** What the paths of requests begin with, such as "/ai", where whoever calls has not taken it off. Default "". */
  readonly basePath?: string | undefined;
}

export interface CloseOptions {
  /** What those that run have to finish, in milliseconds. Default 30000. */
  readonly drainMs?: number | undefined;
}

const logger = z.custom<Pick<Logger, "info" | "error"> | false>(
  (value) => value === false || typeof (value as Partial<Logger> | null)?.info === "function",
  "expected a logger of pino, or false",
);
const longestTimer = 0x7fffffff; // milliseconds: what is longer fires at once
const formats = ["auto", "none", ...toolFormatNames];
const appOptions = z.strictObject({
  apiKeys: apiKeys.optional(),
  limits: keyLimits.default({}),
  splits: z.record(z.string().min(1), splitSchema).default({}),
  maxQueue: z.int().min(1).default(256),
  timeoutMs: z.int().min(1).max(longestTimer).default(600_000),
  fallback: fallbackSchema.default({}),
  firstTokenMs: z.int().min(1).max(longestTimer).optional(),
  retry: retrySchema.optional(),
  maxBodyBytes: z
    .int()
    .min(1)
    .default(8 * 2 ** 20),
  toolFormat: z
    .string()
    .refine((name) => formats.includes(name), `expected one of ${formats.join(", ")}`)
    .default("auto"),
  logger: logger.optional(),
  logPrompts: z.boolean().default(false),
});
const closeOptions = z.strictObject({ drainMs: z.number().min(0).max(longestTimer).default(30_000) });
const port = z.int().min(0).max(65535);
const serveOptions = appOptions
  .extend({
    host: z.string().min(1).default("127.0.0.1"),
    port: port.default(8000),
    load: z.custom<LoadModel>((value) => typeof value === "function", "expected a function").optional(),
    stateFile: z.string().min(1).optional(),
    adminPort: port.optional(),
    adminHost: z.string().min(1).default("127.0.0.1"),
    adminKeys: z.array(apiKey).min(1).optional(),
  })
  .refine(({ adminPort, adminKeys }) => adminPort === undefined || adminKeys !== undefined, {
    path: ["adminKeys"],
    error: "expected at least one key: whoever reaches adminPort could change what is served",
  });

const handlerOptions = appOptions.extend({
  basePath: z
    .string()
    .regex(/^(\/[^/?#]+)*$/, 'expected a path such as "/ai", which does not end in a slash')
    .default(""),
});

export type ResolvedApp = Readonly<z.output<typeof appOptions>>;
export type ResolvedServe = Readonly<z.output<typeof serveOptions>>;
export type ResolvedHandler = Readonly<z.output<typeof handlerOptions>>;

/** @throws ArgumentTypeError naming the option */
export function resolveApp(options: AppOptions): ResolvedApp {
  return resolve("createApp", appOptions, options);
}

/** What `toolFormat` means. */
export function formatChoice({ toolFormat }: Pick<ResolvedApp, "toolFormat">): FormatChoice {
  return toolFormat === "auto" ? {} : { tools: toolFormat === "none" ? null : toolFormat };
}

/** @throws ArgumentTypeError naming the option */
export function resolveServe(options: ServeOptions): ResolvedServe {
  return resolve("serve", serveOptions, options);
}

/** @throws ArgumentTypeError naming the option */
export function resolveHandler(options: HandlerOptions): ResolvedHandler {
  return resolve("createHandler", handlerOptions, options);
}

/** @throws ArgumentTypeError naming the option */
export function resolveClose(options: CloseOptions): Readonly<z.output<typeof closeOptions>> {
  return resolve("close", closeOptions, options);
}
