/** `warploop serve`: models behind OpenAI's HTTP routes, until Ctrl-C or SIGTERM. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";
import {
  type LoadedModel,
  type LoadModel,
  resolveClose,
  resolveServe,
  serve,
  type ServedModels,
  type ServeOptions,
  type Server,
  type Splits,
  startEngine,
} from "../server/index.js";
import { type CommandDefinition, exit } from "./command.js";
import { CommandError, UsageError } from "./failure.js";
import { onInterrupt } from "./interrupt.js";
import { loadLlm, withBar } from "./loadLlm.js";
import { loadFlags, loadOptionsOf, sequencesRow } from "./loadOptions.js";
import { collect, number, option, whole } from "./optionValues.js";
import { fallbackOf } from "./serveFallback.js";
import { keysOf } from "./serveKeys.js";
import { note } from "./terminal.js";

interface ServeFlags {
  readonly host?: string;
  readonly port?: number;
  readonly apiKey?: readonly string[];
  readonly split?: readonly string[];
  readonly apiKeys?: string;
  readonly fallback?: readonly string[];
  readonly firstToken?: number;
  readonly retries?: number;
  readonly state?: string;
  readonly adminPort?: number;
  readonly adminHost?: string;
  readonly adminKey?: readonly string[];
  readonly maxQueue?: number;
  readonly maxOpen?: number;
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly maxSequences?: number;
  readonly timeout?: number;
  readonly drain?: number;
  readonly inProcess?: boolean;
  readonly toolFormat?: string;
  readonly logPrompts?: boolean;
  readonly quiet?: boolean;
}

const defaultDrainS = 30;

export const command: CommandDefinition = {
  usage: "<model...>",
  about:
    "Answers OpenAI's HTTP routes (docs/server.md) with one or more models, and logs JSON on stdout. Requests name a model as it is given " +
    "here, a folder by its last part, or by the name in name=model; the same model under two names is loaded once. Ctrl-C and SIGTERM let " +
    "what runs finish, a second one ends at once.",
  options: [
    option("--host <address>", "where to listen; default: 127.0.0.1, this machine alone"),
    option("--port <n>", "default: 8000; 0 is one that is free", whole),
    option("--api-key <key>", "that requests must have; may be given several times", collect),
    option(
      "--split <name=a:90,b:10>",
      "one more name, which models of these names answer by weights; may be given several times",
      collect,
    ),
    option("--api-keys <file>", 'JSON, a list of keys or of { "key": ..., "limits": { "maxOpen": ... } }'),
    option("--max-open <n>", "requests of an API key that are open at once; more get status 429", whole),
    option("--requests-per-minute <n>", "of an API key", whole),
    option("--tokens-per-minute <n>", "of an API key, prompts and answers together", whole),
    option(
      "--fallback <name=target>",
      "who answers when a model is overloaded, fails or is late: another name, or URL#MODEL, or URL#MODEL,VARIABLE with the key in a variable " +
        "of the environment; may be given several times",
      collect,
    ),
    option("--first-token <seconds>", "that a model with a fallback has for its first token", number),
    option("--retries <n>", "of a request whose model fails before the first token, default: 0", whole),
    option(
      "--admin-port <n>",
      "where models are swapped and splits changed meanwhile, on this machine alone",
      whole,
    ),
    option("--admin-host <address>", "where that listens instead"),
    option("--admin-key <key>", "that it asks for; may be given several times", collect),
    option("--state <file>", "keeps what was changed there, for the next start"),
    option("--max-queue <n>", "requests of a model that may wait, default: 256; more get status 429", whole),
    sequencesRow.option,
    option("--timeout <seconds>", "of a request, default: 600", number),
    option("--drain <seconds>", `for what runs at the end, default: ${defaultDrainS}`, number),
    option(
      "--in-process",
      "run models in the server's own process; by default each has one, and a new one when it crashes",
    ),
    option(
      "--tool-format <name>",
      'how the models write calls of tools (docs/tool-calls.md), or "none"; default: found out',
    ),
    option("--log-prompts", "also log what was asked"),
    option("-q, --quiet", "log nothing"),
    ...loadFlags,
  ],
  examples: [
    "serve Qwen/Qwen3-0.6B",
    "serve small=Qwen/Qwen3-0.6B large=org/name:Q4_K_M --port 8080 --api-key a-secret",
    "serve small=Qwen/Qwen3-0.6B large=org/name:Q4_K_M --split chat=small:90,large:10",
    "serve models/tiny-moe default=models/tiny-moe --max-queue 64 | npx pino-pretty",
  ],
  async run(args, parsed) {
    const flags = parsed as ServeFlags;
    const names = namesOf(args);
    const serveOptions = serveOptionsOf(flags);
    requireSeveral(serveOptions.splits, names);
    const closeOptions = { drainMs: (flags.drain ?? defaultDrainS) * 1000 };
    checkServer(() => resolveClose(closeOptions));
    using interrupt = onInterrupt();
    const { signal } = interrupt;
    const options = { ...loadOptionsOf(parsed), maxSequences: flags.maxSequences };
    const start = flags.inProcess ? loadHere : startProcess;
    const load: LoadModel = (model, ending) =>
      start(model, { ...options, signal: AbortSignal.any([signal, ending]) });
    const server = await listen(Object.fromEntries(names), { ...serveOptions, load });
    note(
      `${server.url}/v1 serves ${[...names.keys(), ...Object.keys(serveOptions.splits ?? {})].join(", ")}`,
    );
    if (server.adminUrl !== undefined) note(`${server.adminUrl} is the admin plane`);
    if (!signal.aborted) await once(signal, "abort");
    note("letting what runs finish; again to end it at once");
    await server.close(closeOptions);
    return exit.fine;
  },
};

type LoadOptions = Parameters<typeof loadLlm>[1];

async function loadHere(model: string, options: LoadOptions): Promise<LoadedModel> {
  return (await loadLlm(model, options)).llm;
}

async function startProcess(model: string, options: LoadOptions): Promise<LoadedModel> {
  const onExit = (error: Error): void => note(`${model}: ${error.message}`);
  return withBar((onProgress) => startEngine(model, { ...options, onProgress, onExit }));
}

/** By the name that requests use, the model. @throws UsageError */
function namesOf(args: readonly string[]): Map<string, string> {
  const names = new Map<string, string>();
  for (const arg of args) {
    const [, given, behind] = /^([\w.:-]+)=(.+)$/.exec(arg) ?? [];
    const model = behind ?? arg;
    const name = given ?? (existsSync(model) ? path.parse(path.resolve(model)).base : model);
    if (names.has(name)) throw new UsageError(`two models have the name "${name}": give one as name=model`);
    names.set(name, model);
  }
  return names;
}

/** Names of the server's options here. */
const flagOf: Readonly<Record<string, string>> = {
  host: "--host",
  port: "--port",
  apiKeys: "--api-key, --api-keys",
  "limits.maxOpen": "--max-open",
  "limits.requestsPerMinute": "--requests-per-minute",
  "limits.tokensPerMinute": "--tokens-per-minute",
  splits: "--split",
  fallback: "--fallback",
  firstTokenMs: "--first-token",
  retry: "--retries",
  adminPort: "--admin-port",
  adminHost: "--admin-host",
  adminKeys: "--admin-key",
  stateFile: "--state",
  maxQueue: "--max-queue",
  timeoutMs: "--timeout",
  toolFormat: "--tool-format",
  drainMs: "--drain",
};

/** Weights stand behind the last colon: a name may have some, too. @throws UsageError */
function splitsOf(flags: readonly string[] = []): Splits {
  const splits = new Map<string, Record<string, number>>();
  for (const flag of flags) {
    const [, name, list = ""] = /^([^=]+)=(.+)$/.exec(flag) ?? [];
    const parts = list.split(",").map((part) => /^(.+):(\d*\.?\d+)$/.exec(part.trim()));
    const weights = new Map(parts.map((part) => [part?.[1] ?? "", Number(part?.[2])]));
    const isWhole = !parts.includes(null) && weights.size === parts.length;
    if (name === undefined || !isWhole || splits.has(name))
      throw new UsageError(`--split: expected name=a:90,b:10 with each name once, got "${flag}"`);
    splits.set(name, Object.fromEntries(weights));
  }
  return Object.fromEntries(splits);
}

/** Names of one model are one version of it, of which a split would be none. @throws UsageError */
function requireSeveral(splits: Splits = {}, names: ReadonlyMap<string, string>): void {
  for (const [name, weights] of Object.entries(splits)) {
    const models = Object.keys(weights).map((part) => names.get(part));
    const twice = models.find((model, i) => model !== undefined && models.indexOf(model) !== i);
    if (twice === undefined) continue;
    throw new UsageError(`--split: ${name}: two of its names are ${twice}, which is loaded once for both`);
  }
}

/** Checked, before a model is loaded. @throws UsageError */
function serveOptionsOf(flags: ServeFlags): ServeOptions {
  const { host, port, apiKey, apiKeys, split, maxQueue, timeout, toolFormat, logPrompts, quiet } = flags;
  const { maxOpen, requestsPerMinute, tokensPerMinute, fallback, firstToken, retries } = flags;
  const { adminPort, adminHost, adminKey: adminKeys, state: stateFile } = flags;
  const inMs = (seconds: number | undefined) =>
    seconds === undefined ? undefined : Math.round(seconds * 1000);
  const options = {
    ...{
      host,
      port,
      apiKeys: keysOf(apiKey, apiKeys),
      splits: splitsOf(split),
      maxQueue,
      toolFormat,
      logPrompts,
    },
    limits: { maxOpen, requestsPerMinute, tokensPerMinute },
    fallback: fallbackOf(fallback, process.env),
    retry: retries ? { max: retries } : undefined,
    ...{ timeoutMs: inMs(timeout), firstTokenMs: inMs(firstToken) },
    ...{ adminPort, adminHost, adminKeys, stateFile },
    ...(quiet && { logger: false as const }),
  };
  checkServer(() => resolveServe(options));
  return options;
}

/** @throws UsageError, for what the server says of its options */
function checkServer(check: () => unknown): void {
  try {
    check();
  } catch (error) {
    throw inFlags(error);
  }
}

/** With the flag in place of the option that it is about. */
function inFlags(error: unknown): unknown {
  const [, at = "", said = ""] = /options\.([\w.]+)[^:]*: ([\s\S]*)/.exec((error as Error).message) ?? [];
  const [name = "", ...rest] = at.split(".");
  const flag = flagOf[at] ?? flagOf[name];
  if (flag === undefined) return error;
  const problem = `${said.charAt(0).toLowerCase()}${said.slice(1)}`;
  return new UsageError(
    `${flag}: ${name === "apiKeys" && rest.length > 0 ? `${rest.join(".")}: ` : ""}${problem}`,
  );
}

async function listen(models: ServedModels, options: ServeOptions): Promise<Server> {
  const { host, apiKeys, adminPort } = options;
  if (host !== undefined && !/^(127\.|localhost$|::1$)/.test(host) && !apiKeys)
    note(`whoever reaches ${host} may use the models: --api-key asks for a key`);
  try {
    return await serve(models, options);
  } catch (error) {
    const { code, message, port } = error as NodeJS.ErrnoException & { readonly port?: number };
    if (code === "EADDRINUSE") {
      const flag = port === adminPort ? "--admin-port" : "--port";
      throw new CommandError(`port ${port} is in use; ${flag} 0 takes one that is free`);
    }
    if (code === "EACCES" || code === "EADDRNOTAVAIL" || code === "ENOTFOUND")
      throw new CommandError(`cannot listen there: ${message}`);
    throw inFlags(error);
  }
}
