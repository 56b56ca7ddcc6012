/** The PyTorch side of bench:gpu: one Python process that answers requests, so that both sides are timed in one run. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";

/** One piece of work; `kind` names a function of baseline.py, the rest are its sizes. */
export interface BaselineRequest {
  readonly kind:
    | "copy"
    | "matmul"
    | "head_matmul"
    | "sdpa"
    | "grouped_mm"
    | "rms_norm"
    | "silu_mul"
    | "softmax"
    | "causal_conv1d"
    | "argmax";
  readonly [size: string]: number | string | boolean;
}

export type BaselineAnswer = { readonly name: string; readonly us: number } | { readonly error: string };

const script = fileURLToPath(new URL("baseline.py", import.meta.url));

export class Baseline {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  private constructor(
    process: ChildProcess,
    reader: Interface,
    lines: AsyncIterator<string>,
    readonly description: string,
  ) {
    this.#process = process;
    this.#reader = reader;
    this.#lines = lines;
  }

  /** Null, after saying why, when there is no Python with PyTorch and a GPU. */
  static async start(python: string): Promise<Baseline | null> {
    const process = spawn(python, [script], { stdio: ["pipe", "pipe", "inherit"] });
    process.on("error", (error) => console.error(`baseline: ${error.message}`));
    const reader = createInterface({ input: process.stdout });
    const lines = reader[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done) {
      console.error("baseline: no PyTorch with a GPU answered; the table has no ratios");
      return null;
    }
    const { versions, gpu } = JSON.parse(first.value) as { versions: string; gpu: string };
    return new Baseline(process, reader, lines, `${versions} on ${gpu}`);
  }

  async ask(request: BaselineRequest): Promise<BaselineAnswer> {
    this.#process.stdin!.write(`${JSON.stringify(request)}\n`);
    const line = await this.#lines.next();
    if (line.done) return { error: "the baseline process ended" };
    return JSON.parse(line.value) as BaselineAnswer;
  }

  stop(): void {
    this.#process.stdin!.end();
    this.#reader.close();
  }
}
