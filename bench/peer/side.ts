/** The two sides of the comparison are child processes that answer workloads with timings, one at a time. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import {
  type Generate,
  type GenerationTiming,
  timeGeneration,
  type Workload,
} from "../support/generationTiming.js";

interface Question {
  readonly workload: Workload;
  readonly seed: number;
}

type Answer =
  | { readonly ready: true; readonly weights?: WeightSize }
  | { readonly timing: GenerationTiming }
  | { readonly error: string };

/** Weights in memory, what is shared counted once. */
export interface WeightSize {
  readonly parameters: number;
  readonly bytes: number;
}

/** What a child process does: how it generates for a workload, and the vocabulary that prompts are drawn from. */
export interface Engine {
  readonly vocabSize: number;
  /** If the engine says it. */
  readonly weights?: WeightSize;
  prepare(workload: Workload): Promise<Generate>;
}

/** Child side: answers until the parent disconnects. The first run of a workload is preceded by a short one. */
export async function serve(open: () => Promise<Engine>): Promise<void> {
  const send = (answer: Answer): void => void process.send!(answer);
  const failed = (error: unknown): void => {
    send({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  };
  process.on("disconnect", () => process.exit());
  try {
    const engine = await open();
    const seen = new Set<string>();
    const run = async ({ workload, seed }: Question): Promise<void> => {
      const generate = await engine.prepare(workload);
      const { vocabSize } = engine;
      if (!seen.has(JSON.stringify(workload))) {
        seen.add(JSON.stringify(workload));
        await timeGeneration({ ...workload, promptTokens: 64, decodeTokens: 8 }, generate, {
          vocabSize,
          seed: 0,
        });
      }
      send({ timing: await timeGeneration(workload, generate, { vocabSize, seed }) });
    };
    process.on("message", (question: Question) => void run(question).catch(failed));
    send({ ready: true, ...(engine.weights && { weights: engine.weights }) });
  } catch (error) {
    failed(error);
  }
}

/** Parent side. */
export class Side {
  readonly #name: string;
  readonly #child: ChildProcess;

  /** @param script beside this file */
  constructor(name: string, script: string, args: readonly string[]) {
    this.#name = name;
    this.#child = fork(fileURLToPath(new URL(script, import.meta.url)), args);
  }

  /** Resolves when the model is loaded, with what is known of its weights. To be called once, at once. */
  async ready(): Promise<WeightSize | undefined> {
    const answer = await this.#answer();
    return "weights" in answer ? answer.weights : undefined;
  }

  /** Runs a workload. @param seed chooses the prompts */
  async run(workload: Workload, seed: number): Promise<GenerationTiming> {
    this.#child.send({ workload, seed } satisfies Question);
    const answer = await this.#answer();
    if (!("timing" in answer)) throw new Error(`${this.#name}: no timing in its answer`);
    return answer.timing;
  }

  stop(): void {
    this.#child.kill();
  }

  #answer(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null): void =>
        reject(new Error(`${this.#name} ended with code ${code}`));
      this.#child.once("exit", onExit);
      this.#child.once("message", (answer: Answer) => {
        this.#child.off("exit", onExit);
        if ("error" in answer) reject(new Error(`${this.#name}: ${answer.error}`));
        else resolve(answer);
      });
    });
  }
}
