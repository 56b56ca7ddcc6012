/** Connects one call of the public API with the engine: engine events to chunks, and logits for evaluation. */
import { onAbort } from "../abortSignals.js";
import type { Engine } from "../engine/engine.js";
import type { RequestListener } from "../engine/requestListener.js";
import { greedySpec, makeRequest, type RequestSpec } from "../engine/requestSpec.js";
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

/**
 * Runs a request of which no text is wanted, and settles with its end.
 *
 * @param caller of the public API, for errors
 * @throws as Engine.add; what makes the request fail; WarploopError ERR_ABORTED when the model is closed; the reason of the signal
 */
export async function runRequest(
  engine: Engine,
  request: Request,
  spec: RequestSpec,
  {
    caller,
    signal,
    onPrompt = () => undefined,
  }: {
    readonly caller: string;
    readonly signal?: AbortSignal | undefined;
    readonly onPrompt?: RequestListener["onPrompt"];
  },
): Promise<void> {
  let endWait: (() => void) | undefined;
  await new Promise<void>((resolve, reject) => {
    engine.add(request, spec, {
      onToken: () => undefined,
      onPrompt,
      onFinish: (reason) => {
        if (reason !== "abort") resolve();
        else if (signal?.aborted) reject(signal.reason as Error);
        else reject(new WarploopError("ERR_ABORTED", `${caller}: the model was closed`));
      },
      onError: reject,
    });
    endWait = signal && onAbort(signal, () => engine.abort(request.id));
  }).finally(() => endWait?.());
}

/** Logits [T, V] of every position of a token sequence. */
export async function computeLogits(
  engine: Engine,
  tokenIds: unknown,
  context: Pick<GenerateContext, "vocabSize" | "contextLength" | "longer" | "hasHead">,
): Promise<Float32Array> {
  requireHead(context);
  const { vocabSize } = context;
  const ids = checkTokenIds("tokenIds", tokenIds, vocabSize);
  checkPromptLength("tokenIds", ids.length, context);
  const logits = new Float32Array(ids.length * vocabSize);
  const spec = greedySpec(1, { promptLogits: true });
  await runRequest(engine, makeRequest(`logits-${nextLogits++}`, ids, spec), spec, {
    caller: "logits",
    onPrompt: ({ position, logits: row }) => {
      if (row) logits.set(row, position * vocabSize);
    },
  });
  return logits;
}
