// An engine of the tests whose answers can be held up.
import type { GenerateOptions, GenerationStream } from "../../lib/index.js";
import { ScriptedEngine } from "./support.js";

/** An engine that can be closed, and that waits behind its first token until it is let go. */
export class HeldEngine extends ScriptedEngine {
  isClosed = false;
  #held: Promise<void> | undefined;
  #release = (): void => undefined;

  hold(): void {
    this.#held = new Promise((resolve) => (this.#release = resolve));
  }

  release(): void {
    this.#release();
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }

  override generate(prompt: unknown, options: GenerateOptions): GenerationStream {
    const stream = super.generate(prompt, options);
    const held = this.#held;
    const aborted = new Promise<void>((resolve) =>
      options.signal?.addEventListener("abort", () => resolve()),
    );
    return {
      ...stream,
      async *[Symbol.asyncIterator]() {
        for await (const chunk of stream) {
          yield chunk;
          if (held && chunk.finishReason === null) await Promise.race([held, aborted]);
          if (options.signal?.aborted)
            yield { ...chunk, tokenIds: [], text: "", finishReason: "abort" } as unknown as typeof chunk;
        }
      },
    };
  }
}
