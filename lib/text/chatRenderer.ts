/**
 * Renders chats on a thread of their own, which is ended when a template takes too long: the event loop stays free, and no
 * template holds up more than its own chat. One thread serves all models of the process; it starts with the first of them
 * and ends when the last one closes.
 */
import { isTyped, readArguments } from "../arguments.js";
import { describeError } from "../checkpoint/json.js";
import { ArgumentTypeError, ClosedError, type WarploopError } from "../errors.js";
import { inTurns, type Steps } from "../eventLoop.js";
import {
  type ChatMessage,
  type ChatTemplate,
  type ChatTemplateOptions,
  checkMessage,
  type ContentPart,
} from "./chatTemplate.js";
import { JobFailure, JobThread } from "./jobThread.js";
import { packJob } from "./packedJob.js";
import type { RenderedChat, RenderedText, RenderJob } from "./renderJob.js";

/** A template with some messages takes a few ms; long conversations get more. */
const baseLimitMs = 600;
const limitMsPerMessage = 1;
const limitMsPerCharacter = 0.0005;
/** Of the packing, 64 messages or parts each; the rest goes in turns. */
const stepsAtOnce = 16;
/** Budgets keep a rendering far below it (jinja/budget.ts). */
const heapMiB = 1024;

let shared: JobThread<Uint8Array, RenderedChat> | undefined;
let users = 0;

export class ChatRenderer {
  readonly #template: ChatTemplate;
  #isClosed = false;

  /** To be closed. */
  constructor(template: ChatTemplate) {
    this.#template = template;
    users++;
    shared ??= new JobThread(new URL("./templateWorker.js", import.meta.url), {
      name: "warploop templates",
      heapMiB,
    });
    if (template.available) shared.warm();
  }

  /**
   * Checks a chat, chooses its template and copies all that is needed to render it. Of a chat of more than about a thousand
   * messages and parts the rest is checked and copied in the next turns of the event loop.
   *
   * @param controlTexts tokens that users and tools cannot write (plainText.ts); empty if they may
   * @returns starts the rendering and gives the prompt text, which already contains the special tokens; rejects with
   * TextError ERR_CHAT_TEMPLATE, or ClosedError, or as this function for what it has not looked at yet
   * @throws as ChatTemplate.job; ArgumentTypeError for parts that are no text
   */
  prepare(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions,
    controlTexts: readonly string[],
  ): () => Promise<RenderedText> {
    const list = Array.isArray(messages) ? (messages as readonly ChatMessage[]).slice() : messages;
    const packing = pack(this.#template.uncheckedJob(list, options, controlTexts));
    let packed: PackedChat | undefined;
    for (let i = 0; i < stepsAtOnce && packed === undefined; i++) {
      const step = packing.next();
      if (step.done) packed = step.value;
    }
    return async () => {
      const { bytes, limitMs } = packed ?? (await inTurns(packing));
      if (this.#isClosed || !shared) throw new ClosedError("LLM");
      try {
        const moved = [bytes.buffer as ArrayBuffer];
        return this.#template.textOf(await shared.run(bytes, limitMs, { moved }));
      } catch (cause) {
        throw cause instanceof JobFailure ? this.#errorOf(cause) : cause;
      }
    };
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (--users > 0) return;
    const thread = shared;
    shared = undefined;
    await thread?.close();
  }

  #errorOf(cause: JobFailure): WarploopError {
    if (cause.reason === "closed") return new ClosedError("LLM");
    const what =
      cause.reason === "thread" ? "the chat template cannot be rendered" : "the chat template failed";
    return this.#template.error(`${what}: ${cause.message}`, { cause });
  }
}

interface PackedChat {
  readonly bytes: Uint8Array;
  /** That the rendering may take. */
  readonly limitMs: number;
}

/** A copy for the thread: the job may have to wait, and the caller may change the messages meanwhile. */
function* pack(job: RenderJob): Steps<PackedChat> {
  let limitMs = baseLimitMs;
  const check = (message: unknown, index: number): void => {
    checkMessage(message, index);
    requireText(message, index);
    limitMs += limitMsPerMessage + numCharacters(message) * limitMsPerCharacter;
  };
  try {
    const bytes = yield* packJob(job, (message, i) =>
      readArguments("chat: messages", () => check(message, i)),
    );
    return { bytes, limitMs: Math.ceil(limitMs) };
  } catch (cause) {
    if (isTyped(cause)) throw cause;
    const message = `messages, tools, templateOptions: expected what JSON can hold: ${describeError(cause)}`;
    throw new ArgumentTypeError(message, undefined, { cause });
  }
}

/** A model that only reads text must not be told that there is an image, whatever its template makes of such a part. */
function requireText({ content }: ChatMessage, index: number): void {
  const isOther = ({ type, text }: ContentPart): boolean => type !== "text" || typeof text !== "string";
  const wrong = Array.isArray(content) ? content.findIndex(isOther) : -1;
  if (wrong < 0) return;
  const place = `messages[${index}].content[${wrong}]`;
  const got = JSON.stringify((content as readonly ContentPart[])[wrong]!.type);
  throw new ArgumentTypeError(`${place}: expected { type: "text", text: a string }, got type ${got}`);
}

function numCharacters({ content }: ChatMessage): number {
  if (typeof content === "string") return content.length;
  return (content ?? []).reduce((sum, { text }) => sum + (typeof text === "string" ? text.length : 0), 0);
}
