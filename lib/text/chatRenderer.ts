/**
 * Renders chats on a thread of their own, which is ended when a template takes too long: the event loop stays free, and no
 * template holds up more than its own chat. One thread serves all models of the process; it starts with the first of them
 * and ends when the last one closes.
 */
import { serialize } from "node:v8";
import { describeError } from "../checkpoint/json.js";
import { ArgumentTypeError, ClosedError, type WarploopError } from "../errors.js";
import type { ChatMessage, ChatTemplate, ChatTemplateOptions, ContentPart } from "./chatTemplate.js";
import { JobFailure, JobThread } from "./jobThread.js";
import type { RenderedChat, RenderedText, RenderJob } from "./renderJob.js";

/** A template with some messages takes a few ms; long conversations get more. */
const baseLimitMs = 600;
const limitMsPerMessage = 1;
const limitMsPerCharacter = 0.0005;
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
   * Checks a chat, chooses its template and copies all that is needed to render it.
   *
   * @param controlTexts tokens that users and tools cannot write (plainText.ts); empty if they may
   * @returns starts the rendering and gives the prompt text, which already contains the special tokens; rejects with
   * TextError ERR_CHAT_TEMPLATE, or ClosedError
   * @throws as ChatTemplate.job; ArgumentTypeError for parts that are no text
   */
  prepare(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions,
    controlTexts: readonly string[],
  ): () => Promise<RenderedText> {
    const job = this.#template.job(messages, options, controlTexts);
    requireText(messages);
    const packed = pack(job);
    const limitMs = limitMsOf(messages);
    return async () => {
      if (this.#isClosed || !shared) throw new ClosedError("LLM");
      try {
        return this.#template.textOf(
          await shared.run(packed, limitMs, { moved: [packed.buffer as ArrayBuffer] }),
        );
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

/** A copy for the thread, made now: the job may have to wait, and the caller may change the messages meanwhile. */
function pack(job: RenderJob): Uint8Array {
  try {
    return serialize(job);
  } catch (cause) {
    const message = `messages, tools, templateOptions: expected what JSON can hold: ${describeError(cause)}`;
    throw new ArgumentTypeError(message, undefined, { cause });
  }
}

/** A model that only reads text must not be told that there is an image, whatever its template makes of such a part. */
function requireText(messages: readonly ChatMessage[]): void {
  const isOther = ({ type, text }: ContentPart): boolean => type !== "text" || typeof text !== "string";
  for (let i = 0; i < messages.length; i++) {
    const { content } = messages[i]!;
    const wrong = Array.isArray(content) ? content.findIndex(isOther) : -1;
    if (wrong < 0) continue;
    const place = `messages[${i}].content[${wrong}]`;
    const got = JSON.stringify((content as readonly ContentPart[])[wrong]!.type);
    throw new ArgumentTypeError(`${place}: expected { type: "text", text: a string }, got type ${got}`);
  }
}

function limitMsOf(messages: readonly ChatMessage[]): number {
  const characters = messages.reduce((sum, { content }) => {
    return sum + (typeof content === "string" ? content.length : (content ?? []).reduce(addText, 0));
  }, 0);
  return Math.ceil(baseLimitMs + messages.length * limitMsPerMessage + characters * limitMsPerCharacter);
}

function addText(sum: number, { text }: { readonly text?: unknown }): number {
  return sum + (typeof text === "string" ? text.length : 0);
}
