/** Options of the server, and their checks. */
import type { Logger } from "pino";
import { z } from "zod";
import { type FormatChoice, toolFormatNames } from "../toolcalls/index.js";
import type { Splits } from "./registry/given.js";
import { splitSchema } from "./registry/split.js";
import type { LoadModel } from "./registry/version.js";
import { resolve } from "./resolve.js";

export interface AppOptions {
  /** Keys of which a request must have one (`Authorization: Bearer <key>`); /health and /ready need none. Default: no key is asked for. */
  readonly apiKeys?: readonly string[] | undefined;
  /**
   * More names, each with the weights of the models that answer it: `{ chat: { small: 90, large: 10 } }`. All requests of a user or a
   * session get the same model of them. Default: none.
   */
  readonly splits?: Splits | undefined;
  /** Most requests of a model that wait for their first token; more are answered with 429. Default 256. */
  readonly maxQueue?: number | undefined;
  /** A request that takes longer is aborted and answered with 504, in milliseconds. Default 600000. */
  readonly timeoutMs?: number | undefined;
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

export interface CloseOptions {
  /** What those that run have to finish, in milliseconds. Default 30000. */
  readonly drainMs?: number | undefined;
}

const logger = z.custom<Pick<Logger, "info" | "error"> | false>(
  (value) => value === false || typeof (value as Partial<Logger> | null)?.info === "function",
  "expected a logger of pino, or false",
);
/** Others could not be sent: what a header has behind "Bearer" ends at a blank, and its letters are bytes. */
const apiKey = z
  .string()
  .regex(/^[!-~]+$/, "expected letters, digits and signs of ASCII, without blanks, at least one");
const longestTimer = 0x7fffffff; // milliseconds: what is longer fires at once
const formats = ["auto", "none", ...toolFormatNames];
const appOptions = z.strictObject({
  apiKeys: z
    .array(apiKey)
    .min(1, "expected at least one key; without the option none is asked for")
    .optional(),
  splits: z.record(z.string().min(1), splitSchema).default({}),
  maxQueue: z.int().min(1).default(256),
  timeoutMs: z.int().min(1).max(longestTimer).default(600_000),
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

export type ResolvedApp = Readonly<z.output<typeof appOptions>>;
export type ResolvedServe = Readonly<z.output<typeof serveOptions>>;

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
export function resolveClose(options: CloseOptions): Readonly<z.output<typeof closeOptions>> {
  return resolve("close", closeOptions, options);
}
