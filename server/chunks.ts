/** The chunks of all generations of a request, as they come. */
import type { GenerateChunk, GenerationStream } from "../lib/index.js";
import type { Call } from "./calls.js";
import { unavailable } from "./errors.js";

export interface PromptChunk {
  /** Which prompt of the request. */
  readonly prompt: number;
  readonly chunk: GenerateChunk;
}

/**
 * Whoever stops reading aborts the generations. Counts the tokens for the call.
 * @param generations that have started
 * @throws what made a generation fail; why the call was aborted
 */
export async function* chunksOf(
  call: Call,
  generations: readonly GenerationStream[],
): AsyncGenerator<PromptChunk, void, void> {
  for (const generation of generations) call.countPrompt((await generation.promptTokenIds()).length);
  for await (const next of merged(generations)) {
    const { tokenIds, usage, finishReason, index } = next.chunk;
    if (finishReason === "abort") throw call.abortReason ?? unavailable("the model was closed");
    if (tokenIds.length > 0) call.token(`${next.prompt}/${index}`);
    call.countAnswer(tokenIds.length);
    if (usage && index === 0) call.usage.cachedTokens += usage.cachedTokens;
    if (finishReason !== null) call.finishReasons.push(finishReason);
    yield next;
  }
}

async function* merged(generations: readonly GenerationStream[]): AsyncGenerator<PromptChunk, void, void> {
  if (generations.length === 1) {
    for await (const chunk of generations[0]!) yield { prompt: 0, chunk };
    return;
  }
  const ready: PromptChunk[] = [];
  let numOpen = generations.length;
  let failure: { readonly error: unknown } | undefined;
  let wake = (): void => undefined;
  const read = async (generation: GenerationStream, prompt: number): Promise<void> => {
    try {
      for await (const chunk of generation) {
        ready.push({ prompt, chunk });
        wake();
      }
    } catch (error) {
      failure ??= { error };
    }
    numOpen--;
    wake();
  };
  const readers = generations.map(read);
  try {
    for (;;) {
      yield* ready.splice(0);
      if (ready.length > 0) continue; // yield* takes turns of the loop, also for none: more may have come, and woken nobody
      if (failure) throw failure.error;
      if (numOpen === 0) return;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    for (const generation of generations) generation.abort();
    await Promise.all(readers);
  }
}
