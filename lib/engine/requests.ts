/** Connects one call of the public API with the engine: prompts to requests, engine events to chunks. */
import { WarploopError } from "../errors.js";
import { findSpecialStops } from "../text/stopFinder.js";
import type { Tokenizer } from "../text/tokenizer.js";
import type { Engine, RequestListener } from "./engine.js";
import type { Generation } from "./generateOptions.js";
import { GenerationChannel, type GenerationStream } from "./generationStream.js";
import type { PromptPosition } from "./logprobReader.js";
import { ChoiceOutput, describeLogprobs, type TokenLogprob } from "./output.js";
import { Request } from "./request.js";

let nextRequest = 1;

/**
 * Starts n continuations of a prompt once its ids are there.
 * @param ids may reject; the stream then fails with that error
 */
export function startGeneration(
  engine: Engine,
  tokenizer: Tokenizer | null,
  ids: Promise<readonly number[]>,
  generation: Generation,
): GenerationStream {
  const { n, signal, skipSpecialTokens, stop } = generation;
  const special = tokenizer && skipSpecialTokens ? findSpecialStops(stop, tokenizer) : null;
  const requestIds = Array.from({ length: n }, () => `request-${nextRequest++}`);
  let isAborted = signal?.aborted === true;
  const abort = () => {
    isAborted = true;
    for (const id of requestIds) engine.abort(id);
  };
  const stream = new GenerationChannel(requestIds[0]!, n, abort);
  signal?.addEventListener("abort", abort, { once: true });
  let open = n;
  const onEnd = () => {
    if (--open === 0) signal?.removeEventListener("abort", abort);
  };

  const start = (prompt: readonly number[]) => {
    for (const [index, id] of requestIds.entries()) {
      const output = new ChoiceOutput(index, prompt, generation, tokenizer, special);
      if (isAborted) {
        stream.push(output.finish("abort", { promptTokens: prompt.length, cachedTokens: 0 }));
        onEnd();
        continue;
      }
      const request = new Request(id, prompt, {
        maxTokens: generation.maxTokens,
        stopTokenIds: generation.stopTokenIds,
        cacheSalt: generation.cacheSalt,
        promptLogits: index === 0 && generation.promptLogprobs !== undefined,
      });
      const { sampling } = generation;
      const needs = {
        sampling: { ...sampling, seed: sampling.seed + index },
        logprobs: generation.logprobs,
        promptLogprobs: index === 0 ? generation.promptLogprobs : undefined,
        promptLogits: false,
      };
      engine.add(request, needs, listenerOf(request, output, stream, tokenizer, onEnd));
      // A prompt of one token has no position to wait for.
      if (needs.promptLogprobs !== undefined && prompt.length === 1) stream.setPromptLogprobs([null]);
    }
    stream.start();
  };
  ids.then(start).catch((error: unknown) => {
    abort();
    signal?.removeEventListener("abort", abort);
    stream.fail(error instanceof Error ? error : new WarploopError("ERR_INTERNAL", String(error)));
  });
  return stream;
}

function listenerOf(
  request: Request,
  output: ChoiceOutput,
  stream: GenerationChannel,
  tokenizer: Tokenizer | null,
  onEnd: () => void,
): RequestListener {
  const promptLogprobs: (TokenLogprob | null)[] = new Array<null>(request.promptLength).fill(null);
  return {
    onToken(tokenId, logprobs) {
      const { chunk, stopped } = output.push(tokenId, logprobs);
      stream.push(chunk);
      return stopped ? "stop" : undefined;
    },
    onPrompt({ position, logprobs }) {
      if (!logprobs) return;
      promptLogprobs[position + 1] = describeLogprobs(request.tokens[position + 1]!, logprobs, tokenizer);
      if (position + 2 === request.promptLength) stream.setPromptLogprobs(promptLogprobs);
    },
    onFinish(reason) {
      stream.push(
        output.finish(reason, { promptTokens: request.promptLength, cachedTokens: request.hitLen ?? 0 }),
      );
      onEnd();
    },
    onError(error) {
      stream.fail(error);
      onEnd();
    },
  };
}

const greedy = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 0,
  logitBias: new Map<number, number>(),
  suppressed: [],
  minTokens: 0,
};

/** Logits [T, V] of every position of a token sequence. */
export function computeLogits(
  engine: Engine,
  ids: readonly number[],
  vocabSize: number,
): Promise<Float32Array> {
  return new Promise((resolve, reject) => {
    const logits = new Float32Array(ids.length * vocabSize);
    const request = new Request(`logits-${nextRequest++}`, ids, { maxTokens: 1, promptLogits: true });
    const needs = { sampling: greedy, logprobs: undefined, promptLogprobs: undefined, promptLogits: true };
    engine.add(request, needs, {
      onToken: () => undefined,
      onPrompt: ({ position, logits: row }: PromptPosition) => {
        if (row) logits.set(row, position * vocabSize);
      },
      onFinish: (reason) => {
        if (reason === "abort") reject(new WarploopError("ERR_ABORTED", "logits: the engine was closed"));
        else resolve(logits);
      },
      onError: reject,
    });
  });
}
