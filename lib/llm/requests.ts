/** Connects one call of the public API with the engine: engine events to chunks, and logits for evaluation. */
import type { Engine, RequestListener } from "../engine/engine.js";
import type { PromptPosition } from "../engine/packStep.js";
import { greedySpec, makeRequest } from "../engine/requestSpec.js";
import { WarploopError } from "../errors.js";
import type { Request } from "../schedule/request.js";
import type { Tokenizer } from "../text/tokenizer.js";
import type { GenerationChannel } from "./generationStream.js";
import { type ChoiceOutput, describeLogprobs, type TokenLogprob } from "./output.js";
import { type GenerateContext, requireHead } from "./generateOptions.js";
import { checkPromptLength } from "./prompt.js";
import { checkTokenIds } from "./validate.js";

let nextLogits = 1;

/** What the engine says of one continuation, as chunks of its generation. */
export function listenerOf(
  request: Request,
  output: ChoiceOutput,
  stream: GenerationChannel,
  tokenizer: Tokenizer | null,
  onEnd: () => void,
): RequestListener {
  let promptLogprobs: (TokenLogprob | null)[] | undefined;
  return {
    onToken(tokenId, logprobs) {
      const { chunk, stopped } = output.push(tokenId, logprobs);
      stream.push(chunk);
      return stopped ? "stop" : undefined;
    },
    onPrompt({ position, logprobs }) {
      if (!logprobs) return;
      promptLogprobs ??= new Array<null>(request.promptLength).fill(null);
      promptLogprobs[position + 1] = describeLogprobs(request.tokens.at(position + 1)!, logprobs, tokenizer);
      if (position + 2 === request.promptLength) stream.setPromptLogprobs(promptLogprobs);
    },
    onFinish(reason) {
      stream.push(
        output.finish(reason, { promptTokens: request.promptLength, cachedTokens: request.hitLen ?? 0 }),
      );
      onEnd();
    },
    onError(error) {
      stream.failOne(error);
      onEnd();
    },
  };
}

/** Logits [T, V] of every position of a token sequence. */
export function computeLogits(
  engine: Engine,
  tokenIds: unknown,
  context: Pick<GenerateContext, "vocabSize" | "contextLength" | "longer" | "hasHead">,
): Promise<Float32Array> {
  requireHead(context);
  const { vocabSize } = context;
  const ids = checkTokenIds("tokenIds", tokenIds, vocabSize);
  checkPromptLength("tokenIds", ids.length, context);
  return new Promise((resolve, reject) => {
    const logits = new Float32Array(ids.length * vocabSize);
    const spec = greedySpec(1, { promptLogits: true });
    engine.add(makeRequest(`logits-${nextLogits++}`, ids, spec), spec, {
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
