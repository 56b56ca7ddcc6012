/** /v1/completions: one prompt or many, each with n continuations. */
import type {
  GenerateOptions,
  GenerateResult,
  GenerationStream,
  Prompt,
  TokenLogprob,
} from "../../lib/index.js";
import type { Call } from "../calls.js";
import { chunksOf } from "../chunks.js";
import { badField } from "../errors.js";
import { asHttpError } from "../failures.js";
import { completionFields, listOf } from "../fields/completions.js";
import { type Body, optionsOf } from "../fields/field.js";
import { wantedFormat } from "../fields/outputFormat.js";
import type { Route } from "./answer.js";
import { namingFormat } from "./formatErrors.js";
import { CompletionLogprobs, now, tokenName, usageOf } from "./format.js";
import { saltOf } from "./salt.js";

type CompletionBody = Body<typeof completionFields>;

/** A prompt that runs. */
interface Running {
  readonly generation: GenerationStream;
  /** What the text begins with. */
  readonly echo: string;
  /** The first token, which nothing predicts, where the prompt is known as ids: an echo is. */
  readonly firstId: number | undefined;
}

export const completionsRoute: Route<typeof completionFields> = {
  fields: completionFields,
  operation: "text_completion",
  promptField: "prompt",
  async reply(body, call) {
    const wanted = wantedFormat(body);
    const options = { ...completionOptions(body, call), ...(wanted && { format: wanted.format }) };
    const runs: Running[] = [];
    await namingFormat(wanted, completionFields, async () => {
      const prompts = listOf(body.prompt);
      const isMany = prompts.length > 1;
      for (const [i, prompt] of prompts.entries())
        runs.push(await numbered(isMany, i, begin(prompt, body, options, call)));
      await Promise.all(runs.map(({ generation }, i) => numbered(isMany, i, generation.started)));
    });
    const id = `cmpl-${call.requestId}`;
    const head = { id, object: "text_completion", created: now(), model: call.model };
    if (body.stream) return { events: completionEvents(body, call, runs, head) };
    const generations = runs.map(({ generation }) => generation);
    for await (const _ of chunksOf(call, generations)); // which counts them, and throws what went wrong
    const results = await Promise.all(generations.map((generation) => generation.result()));
    if (body.max_tokens === 0) call.usage.completionTokens = 0;
    const choices = await Promise.all(results.map((result, i) => choicesOf(result, runs[i]!, i, body, call)));
    return { json: { ...head, choices: choices.flat(), usage: usageOf(call.usage) } };
  },
};

function completionOptions(body: CompletionBody, { signal, tenant }: Call): GenerateOptions {
  const { echo = false, stream = false, logprobs, max_tokens: maxTokens } = body;
  if (echo && stream && logprobs !== undefined)
    throw badField("echo", "log probabilities of a prompt are known at its end: expected stream: false");
  if (maxTokens === 0 && (!echo || stream))
    throw badField("max_tokens", "expected at least 1; 0 is for echo: true without stream");
  return {
    ...optionsOf(completionFields, body),
    ...(maxTokens === 0 && { maxTokens: 1 }), // which is left out of the answer
    ...(echo && logprobs !== undefined && { promptLogprobs: logprobs }),
    cacheSalt: saltOf(tenant, body.cache_salt),
    signal,
  };
}

/** Errors about a prompt of many say which. @throws HttpError in place of them */
async function numbered<T>(isMany: boolean, index: number, run: Promise<T>): Promise<T> {
  return run.catch((error: unknown) => {
    const isOfPrompt = error instanceof Error && /^(prompt|decode: ids)\b/.test(error.message);
    throw isMany && isOfPrompt ? asHttpError(error, `prompt[${index}]`, completionFields) : error;
  });
}

async function begin(
  given: string | number[],
  body: CompletionBody,
  options: GenerateOptions,
  call: Call,
): Promise<Running> {
  const { engine, signal } = call;
  const { echo = false, add_special_tokens: addSpecialTokens = true } = body;
  const isText = typeof given === "string";
  const prompt: Prompt =
    isText && (echo || !addSpecialTokens) ? await engine.encode(given, { addSpecialTokens }) : given;
  const echoed = isText || !echo ? given : await engine.decode(given, { skipSpecialTokens: false });
  signal.throwIfAborted();
  const firstId = typeof prompt === "string" ? undefined : prompt[0];
  return { generation: engine.generate(prompt, options), echo: echo ? (echoed as string) : "", firstId };
}

async function choicesOf(
  { choices, promptLogprobs }: GenerateResult,
  { echo, firstId }: Running,
  prompt: number,
  body: CompletionBody,
  { engine }: Call,
): Promise<object[]> {
  const asIs = { skipSpecialTokens: false };
  const first = firstId !== undefined && { tokenId: firstId, text: await engine.decode([firstId], asIs) };
  const before = first && promptLogprobs ? [first, ...promptLogprobs.filter((entry) => entry !== null)] : [];
  const isPromptOnly = body.max_tokens === 0;
  return choices.map(({ index, text, finishReason, stopReason, logprobs = [] }) => ({
    index: prompt * (body.n ?? 1) + index,
    text: echo + (isPromptOnly ? "" : text),
    logprobs:
      body.logprobs === undefined
        ? null
        : logprobsOf(body).of([...before, ...(isPromptOnly ? [] : logprobs)]),
    finish_reason: isPromptOnly ? "length" : finishReason,
    stop_reason: isPromptOnly ? null : stopReason,
  }));
}

const logprobsOf = (body: CompletionBody) =>
  new CompletionLogprobs(tokenName(body.return_tokens_as_token_ids ?? false));

async function* completionEvents(
  body: CompletionBody,
  call: Call,
  runs: readonly Running[],
  common: object,
): AsyncGenerator<object, void, void> {
  const hasUsage = body.stream_options?.include_usage === true;
  const head = { ...common, ...(hasUsage && { usage: null }) };
  const begun = new Map<number, CompletionLogprobs>();
  const generations = runs.map(({ generation }) => generation);
  for await (const { prompt, chunk } of chunksOf(call, generations)) {
    const index = prompt * (body.n ?? 1) + chunk.index;
    const echo = begun.has(index) ? "" : runs[prompt]!.echo;
    const logprobs = begun.get(index) ?? logprobsOf(body);
    begun.set(index, logprobs);
    const text = echo + chunk.text;
    const { finishReason, stopReason = null } = chunk;
    if (text === "" && !chunk.logprobs && finishReason === null) continue;
    const entries: readonly TokenLogprob[] | undefined = chunk.logprobs;
    const choice = { index, text, logprobs: entries ? logprobs.of(entries) : null };
    yield { ...head, choices: [{ ...choice, finish_reason: finishReason, stop_reason: stopReason }] };
  }
  if (hasUsage) yield { ...head, choices: [], usage: usageOf(call.usage) };
}
