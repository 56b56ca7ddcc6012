/** The public class: a loaded model that generates text for many requests at once. */
import { readOptions } from "../arguments.js";
import { type ConstructKey, constructKey, printsAsText, requireKey } from "../construct.js";
import { type ExpertLoad, readExpertLoad } from "../engine/expertCounts.js";
import { traceRouting } from "../engine/routing.js";
import { ClosedError } from "../errors.js";
import type { ModelShape } from "../models/model.js";
import type { ChatMessage } from "../text/chatTemplate.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { type ChatOptions, prepareChat, prepareText, type RenderChatOptions } from "./chatOptions.js";
import { countTokens, type CountTokensOptions } from "./countTokens.js";
import { embed, type EmbedOptions } from "./embed.js";
import type { LLMOptions } from "./engineOptions.js";
import { generateAll, type GenerateAllOptions } from "./generateAll.js";
import { fitChat, type FitChatOptions, type FittedChat } from "./fitChat.js";
import { type GenerateOptions, resolveGeneration } from "./generateOptions.js";
import type { GenerateResult, GenerationStream } from "./generationStream.js";
import { Intake } from "./intake.js";
import { closeParts } from "./closeParts.js";
import { loadParts } from "./loadParts.js";
import {
  generateObject,
  type ObjectOptions,
  type ObjectResult,
  type ObjectSchema,
  type ValueOf,
} from "./object.js";
import type { Parts } from "./parts.js";
import { perplexity, type Perplexity, type PerplexityOptions } from "./perplexity.js";
import type { Prompt } from "./prompt.js";
import { computeLogits } from "./requests.js";
import {
  restoreSession,
  type RestoreSessionOptions,
  saveSession,
  type SaveSessionOptions,
  type Session,
} from "./session.js";
import { type LLMStats, statsOf } from "./stats.js";
import { checkNumber, checkTokenIds } from "./validate.js";

export class LLM {
  readonly #parts: Parts;
  readonly #intake: Intake;
  #closing: Promise<void> | undefined;

  private constructor(key: ConstructKey, parts: Parts) {
    requireKey(key, "LLM", "await LLM.load(pathOrId)");
    this.#parts = parts;
    this.#intake = new Intake(parts.engine, parts.tokenizer, parts.context, parts.places);
  }

  /**
   * Loads a checkpoint in Hugging Face layout, or a GGUF file.
   *
   * @param pathOrId a folder, the path of a file.gguf (of its first part, if it is split), or "org/name" (also "org/name@revision" and "org/name:Q4_K_M"), which is fetched into the Hugging Face cache
   * @throws ArgumentTypeError, ArgumentRangeError, CheckpointError, TextError, HubError, OutOfMemoryError, CapacityError
   */
  static async load(pathOrId: string, options: LLMOptions = {}): Promise<LLM> {
    return new LLM(constructKey, await loadParts(pathOrId, options));
  }

  /** The tokenizer of the checkpoint; null when it has none and prompts must be token ids. */
  get tokenizer(): Tokenizer | null {
    return this.#parts.tokenizer;
  }

  /** Shape of the model: layers, heads, vocabulary. */
  get shape(): ModelShape {
    return this.#parts.model.shape;
  }

  /**
   * Starts a generation. Iterate the result for chunks, or await its `result()` or `text()`.
   *
   * @throws ArgumentTypeError, ArgumentRangeError, QueueFullError at once for bad options, or with `maxWaiting`; what only the tokenized prompt can tell
   * (empty, too long: ERR_CONTEXT_LENGTH; never fits: CapacityError) when the stream is read
   */
  generate(prompt: Prompt, options: GenerateOptions = {}): GenerationStream {
    this.#requireOpen();
    return this.#intake.beginPrompt(prompt, resolveGeneration(options, this.#parts.context));
  }

  /**
   * Answers a chat with the checkpoint's own template, which is rendered on another thread.
   *
   * @param messages `{ role, content }`, oldest first. What is in those beyond about the first thousand is checked and copied in
   * later turns of the event loop: it must not change until `started` has settled
   * @throws as generate; TextError ERR_CHAT_TEMPLATE at once when the checkpoint has no template. What the template refuses
   * (messages, a variable that it does not read) or does wrong (time, memory) is known when the stream is read
   */
  chat(messages: readonly ChatMessage[], options: ChatOptions = {}): GenerationStream {
    this.#requireOpen();
    const { tokenizer, context, chats } = this.#parts;
    const { generation, render } = prepareChat(messages, options, chats, tokenizer, context);
    // The template writes the special tokens itself.
    return this.#intake.begin({ text: render, addSpecialTokens: false }, generation);
  }

  /**
   * A value that is valid for a schema: its JSON is generated after a prompt, or as the answer to messages.
   *
   * @param schema of zod 4, which types the value, or a JSON Schema ([which](docs/constrained.md))
   * @throws as generate, and as chat for messages; FormatError ERR_FORMAT when the text ends early, or zod refuses the value
   */
  async object<const S extends ObjectSchema>(
    prompt: Prompt | readonly ChatMessage[],
    schema: S,
    options: ObjectOptions = {},
  ): Promise<ObjectResult<ValueOf<S>>> {
    this.#requireOpen();
    return generateObject(prompt, schema, options, this);
  }

  /**
   * The prompt of a chat as text, with its special tokens, as `chat` would write it; rendered on another thread. It does not tell
   * special tokens from the same characters in what users write: generate from messages, with `chat`.
   *
   * @throws as chat
   */
  async renderChat(messages: readonly ChatMessage[], options: RenderChatOptions = {}): Promise<string> {
    this.#requireOpen();
    return (await prepareText(messages, options, this.#parts.chats)()).text;
  }

  /**
   * What of a talk fits the context with room for an answer: the oldest turns are dropped until half of the context is free; the last turn
   * and the system message stay. Hand its `messages` to `chat`.
   *
   * @throws as chat for messages and options; ArgumentRangeError ERR_CONTEXT_LENGTH if the last turn does not fit alone
   */
  async fitChat(messages: readonly ChatMessage[], options: FitChatOptions = {}): Promise<FittedChat> {
    this.#requireOpen();
    return fitChat(messages, options, { ...this.#parts, intake: this.#intake });
  }

  /**
   * Tokens of a prompt, whether it fits the context or not: of a text as `generate` takes it, or of messages as `chat` writes them with
   * the same `tools`, `templateName`, `templateOptions` and `parseSpecial`.
   *
   * @throws ArgumentTypeError; TextError ERR_TOKENIZER, ERR_CHAT_TEMPLATE; as chat for messages
   */
  async countTokens(
    textOrMessages: string | readonly ChatMessage[],
    options: CountTokensOptions = {},
  ): Promise<number> {
    this.#requireOpen();
    return countTokens(textOrMessages, options, { ...this.#parts, intake: this.#intake });
  }

  /**
   * Generates for many prompts together. Results come in the order of the prompts.
   *
   * @throws ArgumentTypeError, ArgumentRangeError for bad options; GenerateAllError, which names the prompt, for the first
   * failure, and the others are aborted. With `onError: "settle"` failures are entries of the result instead
   */
  generateAll(
    prompts: readonly Prompt[],
    options: GenerateAllOptions & { readonly onError: "settle" },
  ): Promise<PromiseSettledResult<GenerateResult>[]>;
  generateAll(
    prompts: readonly Prompt[],
    options?: GenerateAllOptions & { readonly onError?: "throw" | undefined },
  ): Promise<GenerateResult[]>;
  generateAll(
    prompts: readonly Prompt[],
    options: GenerateAllOptions,
  ): Promise<GenerateResult[] | PromiseSettledResult<GenerateResult>[]>;
  async generateAll(prompts: readonly Prompt[], options: GenerateAllOptions = {}): Promise<unknown> {
    this.#requireOpen();
    return generateAll(prompts, options, { ...this.#parts, intake: this.#intake });
  }

  /**
   * Logits of every position, for evaluation: row t is the prediction after token t. They are what the model says, also where that
   * is NaN.
   *
   * @param tokenIds [T], fewer than the context length
   * @returns Float32Array [T, V], row-major
   * @throws ArgumentTypeError, ArgumentRangeError; CapacityError
   */
  async logits(tokenIds: readonly number[] | Int32Array): Promise<Float32Array> {
    this.#requireOpen();
    return computeLogits(this.#parts.engine, tokenIds, this.#parts.context);
  }

  /**
   * How well the model predicts a text: `nll`, the mean negative log likelihood of its tokens in nats, and `perplexity`, e^nll. A text
   * beyond the context is read in windows of `window` tokens, `stride` apart; each token is predicted once.
   *
   * @param text or token ids, two tokens at least
   * @throws ArgumentTypeError, ArgumentRangeError; TextError; SamplingError ERR_NON_FINITE; CapacityError; the reason of the signal
   */
  async perplexity(text: Prompt, options: PerplexityOptions = {}): Promise<Perplexity> {
    this.#requireOpen();
    return perplexity(text, options, { ...this.#parts, intake: this.#intake });
  }

  /**
   * A vector for each text, of its hidden states behind the last norm, for search and comparison. Texts are batched with each other
   * and with generations.
   *
   * @param texts or token ids, each shorter than the context
   * @returns for each text Float32Array [dimensions]
   * @throws ArgumentTypeError, ArgumentRangeError (ERR_CONTEXT_LENGTH), which name the text; TextError; CapacityError; SamplingError
   * ERR_NON_FINITE; the reason of the signal. The first failure ends them all
   */
  async embed(texts: readonly Prompt[], options: EmbedOptions = {}): Promise<Float32Array[]> {
    this.#requireOpen();
    return embed(texts, options, { ...this.#parts, intake: this.#intake });
  }

  /**
   * Which experts the tokens of a text go to. Runs between the steps of other requests, with its own KV memory.
   *
   * @param tokenIds [T], at most the context length
   * @returns for every layer the experts of each token, [T, K] row-major, the best first; empty for a layer without experts
   * @throws ArgumentTypeError, ArgumentRangeError; OutOfMemoryError; ClosedError
   */
  async routing(tokenIds: readonly number[] | Int32Array): Promise<Int32Array[]> {
    this.#requireOpen();
    const { model, stream, context } = this.#parts;
    return traceRouting(model, stream, [...checkTokenIds("tokenIds", tokenIds, context.vocabSize)]);
  }

  /**
   * How many tokens have gone to each expert since the load, for every layer with experts, in the steps that have been
   * submitted. Tokens that are computed once more (after a preemption) count again, those of a found prefix do not.
   *
   * @throws ArgumentRangeError if the model was loaded without `expertCounts`; ExecutionError, ClosedError
   */
  async expertLoad(): Promise<readonly ExpertLoad[]> {
    this.#requireOpen();
    return readExpertLoad(this.#parts.runner);
  }

  /**
   * Writes what the cache has of a prompt to a file, and runs the prompt first if it is not there: another process, of the same model with
   * the same options, restores it and need not compute it again.
   *
   * @param prompt of more than a page of tokens; messages as `chat` writes them, which the options of `chat` are for
   * @throws as generate, and as chat for messages; ArgumentRangeError without a prefix cache; CapacityError if there is no room in it; the
   * reason of the signal; what writing throws
   */
  async saveSession(
    file: string,
    prompt: Prompt | readonly ChatMessage[],
    options: SaveSessionOptions = {},
  ): Promise<Session> {
    this.#requireOpen();
    return saveSession(file, prompt, options, { ...this.#parts, intake: this.#intake });
  }

  /**
   * Puts what `saveSession` wrote into the prefix cache: prompts that begin with it find it, until others need the room.
   *
   * @throws SessionError for a damaged file and for one of another model, other options or another context length; CapacityError if there
   * is no room for it; CheckpointError ERR_CHECKPOINT_MISSING; the reason of the signal
   */
  async restoreSession(file: string, options: RestoreSessionOptions = {}): Promise<Session> {
    this.#requireOpen();
    return restoreSession(file, options, { ...this.#parts, intake: this.#intake });
  }

  stats(): LLMStats {
    return statsOf(this.#parts, !this.#closing);
  }

  /** Checks that no KV page or row is lost. @throws WarploopError ERR_INTEGRITY */
  checkIntegrity(): void {
    this.#parts.engine.checkIntegrity();
  }

  /**
   * Takes no more requests, lets those that were accepted finish for up to `drainMs` (milliseconds, default 0), aborts the
   * rest, and releases all memory. Idempotent.
   *
   * @throws ArgumentTypeError, ArgumentRangeError for bad options
   */
  close(options: { readonly drainMs?: number | undefined } = {}): Promise<void> {
    const { drainMs: wanted } = readOptions("close", options, ["drainMs"]);
    const drainMs = checkNumber("drainMs", wanted, 0, { min: 0, max: 0x7fffffff });
    return (this.#closing ??= closeParts(this.#parts, this.#intake, drainMs));
  }

  /** What console.log shows. */
  toString(): string {
    const { architecture, dtype } = this.shape;
    return `LLM ${architecture} ${dtype} on ${this.#parts.device.name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #requireOpen(): void {
    if (this.#closing) throw new ClosedError("LLM");
  }
}
printsAsText(LLM);
