/** Many prompts with one call: begun in turns of the event loop, results in their order, a failure with its prompt's index. */
import { checkBoolean, readOptions, describe, readArguments } from "../arguments.js";
import { ArgumentTypeError, GenerateAllError } from "../errors.js";
import { waitFor } from "../eventLoop.js";
import {
  type GenerateOptions,
  generateOptionNames,
  resolveGeneration,
  withNewSeed,
} from "./generateOptions.js";
import type { GenerateResult, GenerationStream } from "./generationStream.js";
import type { Intake } from "./intake.js";
import type { Parts } from "./parts.js";
import type { Prompt } from "./prompt.js";
import { createPromptBar, isTerminal } from "./terminal.js";
import { checkChoice } from "./validate.js";

export interface GenerateAllOptions extends GenerateOptions {
  /** A progress bar on stderr. Default: when stderr is a terminal. */
  readonly progress?: boolean | undefined;
  /**
   * "throw": the first failure rejects and the other prompts are aborted. "settle": every prompt runs to its own end, and the
   * result has `{ status: "fulfilled", value }` or `{ status: "rejected", reason }` for each, as of Promise.allSettled.
   * Default "throw".
   */
  readonly onError?: "throw" | "settle" | undefined;
}

const generateAllOptionNames = [...generateOptionNames, "progress", "onError"] as const;

/** Prompts that are begun before those are waited for that are on their way to the engine. */
const promptsAtOnce = 64;

/** What it needs of a loaded model. */
export interface Generator extends Pick<Parts, "context" | "places"> {
  readonly intake: Intake;
}

/** @throws ArgumentTypeError, ArgumentRangeError for bad options; GenerateAllError */
export async function generateAll(
  prompts: readonly Prompt[],
  options: GenerateAllOptions,
  { context, places, intake }: Generator,
): Promise<GenerateResult[] | PromiseSettledResult<GenerateResult>[]> {
  // Array.from, unlike map, visits the holes of a sparse array.
  const list = readArguments("prompts", () => {
    if (Array.isArray(prompts)) return Array.from(prompts as readonly Prompt[], copyOf);
    throw new ArgumentTypeError(`prompts: expected an array, got ${describe(prompts)}`);
  });
  const {
    progress: wanted,
    onError: mode,
    ...generateOptions
  } = readOptions("generateAll", options, generateAllOptionNames);
  const onError = checkChoice("onError", mode, "throw", ["throw", "settle"]);
  const generation = resolveGeneration(generateOptions, context);
  const isSeeded = generateOptions.seed !== undefined;
  const whenFree = (): Promise<void> | undefined => places.whenFree(generation.n);
  const bar = createPromptBar(list.length, checkBoolean("progress", wanted, isTerminal()));
  const streams: (GenerationStream | undefined)[] = [];
  const outcomes = new Outcomes(list.length, onError === "throw");
  const run = async (prompt: Prompt, index: number): Promise<void> => {
    try {
      const stream = (streams[index] = intake.beginPrompt(
        prompt,
        isSeeded ? generation : withNewSeed(generation),
      ));
      const value = await stream.result();
      bar.add(value.usage.completionTokens);
      outcomes.add(index, { status: "fulfilled", value });
    } catch (cause) {
      const reason = new GenerateAllError(index, streams[index]?.id, cause);
      outcomes.add(index, { status: "rejected", reason });
    }
  };
  void intake.beginAll(
    (function* () {
      for (let index = 0; index < list.length; index++) {
        for (let room = whenFree(); room && !outcomes.hasFailed; room = whenFree()) yield* waitFor(room);
        if (outcomes.hasFailed) return;
        void run(list[index]!, index);
        yield;
        const isOnItsWay = streams[index]?.started.catch(() => undefined);
        if (isOnItsWay && index % promptsAtOnce === promptsAtOnce - 1) yield* waitFor(isOnItsWay);
      }
    })(),
  );
  try {
    const settled = await outcomes.all;
    return onError === "settle"
      ? settled
      : settled.map((one) => (one as PromiseFulfilledResult<GenerateResult>).value);
  } catch (error) {
    for (const stream of streams) stream?.abort();
    throw error;
  } finally {
    bar.stop();
  }
}

/** What became of the prompts. */
class Outcomes {
  /** Settles when all have settled, or fails with the first failure if that counts. */
  readonly all: Promise<PromiseSettledResult<GenerateResult>[]>;
  hasFailed = false;
  readonly #settled: PromiseSettledResult<GenerateResult>[] = [];
  readonly #failsAtOnce: boolean;
  #resolve!: (settled: PromiseSettledResult<GenerateResult>[]) => void;
  #reject!: (error: unknown) => void;
  #numOpen: number;

  constructor(count: number, failsAtOnce: boolean) {
    this.all = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#failsAtOnce = failsAtOnce;
    this.#numOpen = count;
    if (count === 0) this.#resolve([]);
  }

  add(index: number, outcome: PromiseSettledResult<GenerateResult>): void {
    this.#settled[index] = outcome;
    if (outcome.status === "rejected" && this.#failsAtOnce) {
      this.hasFailed = true;
      this.#reject(outcome.reason);
    }
    if (--this.#numOpen === 0) this.#resolve(this.#settled);
  }
}

/** What the caller changes meanwhile does not count. What is wrong with a prompt is said when it begins. */
function copyOf(prompt: Prompt): Prompt {
  try {
    return Array.isArray(prompt) || ArrayBuffer.isView(prompt) ? (prompt as number[]).slice() : prompt;
  } catch {
    return prompt;
  }
}
