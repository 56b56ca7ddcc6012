/** Many prompts with one call: all at once to the engine, results in their order, a failure with its prompt's index. */
import cliProgress from "cli-progress";
import { describe, readArguments } from "../arguments.js";
import { ArgumentTypeError, GenerateAllError } from "../errors.js";
import type { GenerateOptions } from "./generateOptions.js";
import type { GenerateResult, GenerationStream } from "./generationStream.js";
import { checkBoolean, checkChoice, copyOptions } from "./validate.js";

/** Text, or token ids. */
export type Prompt = string | readonly number[] | Int32Array;

export interface GenerateAllOptions extends GenerateOptions {
  /** A progress bar on stderr. Default: when stderr is a terminal. */
  readonly progress?: boolean;
  /**
   * "throw": the first failure rejects and the other prompts are aborted. "settle": every prompt runs to its own end, and the
   * result has `{ status: "fulfilled", value }` or `{ status: "rejected", reason }` for each, as of Promise.allSettled.
   * Default "throw".
   */
  readonly onError?: "throw" | "settle";
}

/** @throws ArgumentTypeError, ArgumentRangeError for bad options; GenerateAllError */
export async function generateAll(
  prompts: readonly Prompt[],
  options: GenerateAllOptions,
  llm: {
    /** @throws for options that are wrong whatever the prompt */
    readonly check: (options: GenerateOptions) => void;
    readonly generate: (prompt: Prompt, options: GenerateOptions) => GenerationStream;
  },
): Promise<GenerateResult[] | PromiseSettledResult<GenerateResult>[]> {
  // Array.from, unlike map, visits the holes of a sparse array.
  const list = readArguments("prompts", () => {
    if (Array.isArray(prompts)) return Array.from(prompts as readonly Prompt[]);
    throw new ArgumentTypeError(`prompts: expected an array, got ${describe(prompts)}`);
  });
  const { progress: wanted, onError: mode, ...generateOptions } = copyOptions("generateAll", options);
  const onError = checkChoice("onError", mode, "throw", ["throw", "settle"]);
  llm.check(generateOptions);
  const bar = startBar(list.length, checkBoolean("progress", wanted, process.stderr.isTTY === true));
  const streams: (GenerationStream | undefined)[] = [];
  const results = list.map(async (prompt, index) => {
    try {
      const stream = (streams[index] = llm.generate(prompt, generateOptions));
      const result = await stream.result();
      bar.add(result.usage.completionTokens);
      return result;
    } catch (cause) {
      throw new GenerateAllError(index, streams[index]?.id, cause);
    }
  });
  try {
    return await (onError === "settle" ? Promise.allSettled(results) : Promise.all(results));
  } catch (error) {
    for (const stream of streams) stream?.abort();
    throw error;
  } finally {
    bar.stop();
  }
}

/** A bar that counts prompts and tokens per second; without `isShown` it prints nothing. */
function startBar(total: number, isShown: boolean): { add: (tokens: number) => void; stop: () => void } {
  if (!isShown) return { add: () => undefined, stop: () => undefined };
  const format = "{bar} {value}/{total} prompts | {rate} tokens/s | {eta_formatted} left";
  const bar = new cliProgress.SingleBar({ format, stream: process.stderr, hideCursor: true });
  const start = performance.now();
  let tokens = 0;
  bar.start(total, 0, { rate: "0" });
  return {
    add: (more) => {
      tokens += more;
      bar.increment({ rate: ((tokens / (performance.now() - start)) * 1000).toFixed(0) });
    },
    stop: () => bar.stop(),
  };
}
