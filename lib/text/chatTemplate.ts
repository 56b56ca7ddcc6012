/**
 * Turns chat messages into the prompt text that a checkpoint was trained on, with its own Jinja template. The template is
 * data of the checkpoint: it is interpreted (jinja/), its sizes are bounded, and it reaches nothing but what is passed here.
 * chatRenderer.ts does the same on a thread that can be ended.
 */
import { closestName, describe } from "../arguments.js";
import { isObject } from "../checkpoint/json.js";
import { ArgumentRangeError, ArgumentTypeError, TextError } from "../errors.js";
import { type RenderedChat, type RenderedText, type RenderJob, renderChat } from "./renderJob.js";
import { readTemplateFiles, type TemplateFiles } from "./templateFiles.js";

/** A piece of a message's content: `{ type: "text", text: "..." }`. */
export interface ContentPart {
  readonly type: string;
  readonly text?: string | undefined;
  readonly [field: string]: unknown;
}

/** One message of a chat. `content` may be left out of one with `tool_calls`. */
export type ChatMessage = {
  /** Such as "system", "user", "assistant", "tool"; the template decides what it knows. */
  readonly role: string;
  /** Further fields that some templates read, such as `name`. */
  readonly [field: string]: unknown;
} & (
  | {
      /** Text, or parts of it; null in a message that says something else. */
      readonly content: string | readonly ContentPart[] | null;
    }
  | {
      readonly content?: string | readonly ContentPart[] | null | undefined;
      readonly tool_calls: readonly object[];
    }
);

export interface ChatTemplateOptions {
  /** Ends the prompt with the opening of the assistant's answer. Default true. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** Tools as JSON schemas; without them the template sees none. */
  readonly tools?: readonly object[] | undefined;
  /** Which of several templates; default "tool_use" for chats with tools if there is one, else "default". */
  readonly templateName?: string | undefined;
  /** Every other name is handed to the template as a variable, such as `enable_thinking`. */
  readonly [variable: string]: unknown;
}

/** The chat template of a checkpoint, or the knowledge that it has none. */
export class ChatTemplate {
  /** The file the templates come from; named in errors. */
  readonly file: string;
  readonly #sources: ReadonlyMap<string, string>;
  readonly #specialTokens: Readonly<Record<string, string>>;

  /**
   * @param file named in errors
   * @param sources Jinja text by name: "default", and "tool_use" for chats with tools if there is one; may be empty
   * @param specialTokens variables such as bos_token
   */
  constructor(
    file: string,
    sources: ReadonlyMap<string, string>,
    specialTokens: Readonly<Record<string, string>> = {},
  ) {
    this.file = file;
    this.#sources = sources;
    this.#specialTokens = specialTokens;
  }

  /**
   * Reads the templates of a checkpoint (templateFiles.ts). A folder without any gives a template that is not `available`.
   * The text is parsed by the first render.
   *
   * @param folder path of the checkpoint folder
   * @throws TextError ERR_CHAT_TEMPLATE if a file cannot be read or `chat_template` has the wrong form
   */
  static async load(folder: string): Promise<ChatTemplate> {
    return ChatTemplate.of(await readTemplateFiles(folder));
  }

  /** @internal */
  static of({ file, sources, specialTokens }: TemplateFiles): ChatTemplate {
    return new ChatTemplate(file, sources, specialTokens);
  }

  /** False if the checkpoint has no chat template. */
  get available(): boolean {
    return this.#sources.size > 0;
  }

  /**
   * Renders the prompt on this thread. It already contains the special tokens: encode it with `addSpecialTokens: false`.
   *
   * @param messages at least one
   * @returns prompt text
   * @throws ArgumentTypeError naming messages[i].role or .content; ArgumentRangeError if there is no message;
   * TextError ERR_CHAT_TEMPLATE if there is no template, or if it is malformed, refuses the messages, takes too many steps,
   * or does not read what it is given
   */
  render(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    return this.textOf(renderChat(this.job(messages, options))).text;
  }

  /**
   * Checks the arguments and chooses the template.
   *
   * @param controlTexts see RenderJob
   * @throws as render, for what can be said without rendering
   */
  job(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions = {},
    controlTexts: readonly string[] = [],
  ): RenderJob {
    const job = this.uncheckedJob(messages, options, controlTexts);
    for (let i = 0; i < messages.length; i++) checkMessage(messages[i], i);
    return job;
  }

  /** `job` for messages that are still to be checked, each by `checkMessage`. @throws as job, except for a message */
  uncheckedJob(
    messages: readonly ChatMessage[],
    options: ChatTemplateOptions,
    controlTexts: readonly string[],
  ): RenderJob {
    checkMessageList(messages);
    const { addGenerationPrompt = true, tools, templateName, ...variables } = options;
    if (typeof addGenerationPrompt !== "boolean") {
      throw new ArgumentTypeError(
        `addGenerationPrompt: expected a boolean, got ${describe(addGenerationPrompt)}`,
      );
    }
    if (tools !== undefined && !Array.isArray(tools)) {
      throw new ArgumentTypeError(`tools: expected an array, got ${describe(tools)}`);
    }
    if (templateName !== undefined && typeof templateName !== "string") {
      throw new ArgumentTypeError(`templateName: expected a string, got ${describe(templateName)}`);
    }
    const given = Object.keys(variables).filter(
      (name) => variables[name] !== undefined && variables[name] !== null,
    );
    const name =
      templateName ?? (tools !== undefined && this.#sources.has("tool_use") ? "tool_use" : "default");
    // A template that is only there for tools need not read them.
    if (tools && tools.length > 0 && name !== "tool_use") given.push("tools");
    return {
      source: this.#source(name, templateName !== undefined),
      // Hugging Face passes tools and documents as none, not as undefined, and templates tell the two apart.
      variables: {
        documents: null,
        ...this.#specialTokens,
        ...Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== undefined)),
        messages,
        tools: tools ?? null,
        add_generation_prompt: addGenerationPrompt,
      },
      given,
      controlTexts,
    };
  }

  /** The text of what `renderChat` made of a job. @throws TextError ERR_CHAT_TEMPLATE if it failed */
  textOf(rendered: RenderedChat): RenderedText {
    if (!("text" in rendered)) throw this.error(`the chat template failed: ${rendered.error}`);
    if (rendered.text === "") throw this.error("the chat template writes nothing for these messages");
    return rendered;
  }

  /** An error about this template. */
  error(message: string, options?: ErrorOptions): TextError {
    return new TextError("ERR_CHAT_TEMPLATE", `${this.file}: ${message}`, this.file, options);
  }

  #source(name: string, isChosen: boolean): string {
    const source = this.#sources.get(name);
    if (source !== undefined) return source;
    if (!this.available) {
      throw this.error("this checkpoint has no chat template; pass a prompt text instead of messages");
    }
    const names = [...this.#sources.keys()].sort().join(", ");
    if (isChosen) {
      throw new ArgumentRangeError(`templateName: expected one of ${names}, got ${JSON.stringify(name)}`);
    }
    throw this.error(`none of the chat templates is named "default"; choose one by templateName: ${names}`);
  }
}

function checkMessageList(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages)) {
    throw new ArgumentTypeError(`messages: expected an array, got ${describe(messages)}`);
  }
  if (messages.length === 0)
    throw new ArgumentRangeError("messages: expected at least one message, got none");
}

/** @param index of the message. @throws ArgumentTypeError naming messages[index].role or .content */
export function checkMessage(message: unknown, index: number): asserts message is ChatMessage {
  if (!isObject(message)) {
    throw new ArgumentTypeError(`messages[${index}]: expected an object, got ${describe(message)}`);
  }
  if (typeof message["role"] !== "string") {
    const got = `${describe(message["role"])}${misspelled(message, "role")}`;
    throw new ArgumentTypeError(`messages[${index}].role: expected a string, got ${got}`);
  }
  checkContent(message, index);
}

/** Roles whose messages have nothing to say but their content. */
const speakers: ReadonlySet<string> = new Set(["user", "system", "developer"]);

/** The field of a message that was probably meant for one that it lacks. */
function misspelled(message: Readonly<Record<string, unknown>>, field: string): string {
  if (message[field] !== undefined) return "";
  const meant = Object.keys(message).find((one) => one !== field && closestName(one, [field]) === field);
  return meant === undefined ? "" : `; did you mean "${field}" by ${describe(meant)}?`;
}

/** @param index of the message: its name is only written for what is wrong */
function checkContent(message: Readonly<Record<string, unknown>>, index: number): void {
  const { content } = message;
  if (typeof content === "string" || content === null) return;
  const place = `messages[${index}].content`;
  const expected = "expected a string, a list of parts, or null";
  if (content === undefined) {
    if (message["tool_calls"] !== undefined) return;
    // Who is not known to say content alone may say something else; a message that says nothing has a misspelled field.
    const hint = misspelled(message, "content");
    const saysElse = Object.keys(message).some((field) => !["role", "name", "content"].includes(field));
    if (saysElse && hint === "" && !speakers.has(message["role"] as string)) return;
    throw new ArgumentTypeError(`${place}: ${expected}, got undefined${hint}`);
  }
  if (!Array.isArray(content)) throw new ArgumentTypeError(`${place}: ${expected}, got ${describe(content)}`);
  // Array.from has the holes of a list, too.
  const wrong = Array.from(content as unknown[]).findIndex((part) => !isObject(part));
  if (wrong < 0) return;
  const got = describe((content as unknown[])[wrong]);
  throw new ArgumentTypeError(`${place}[${wrong}]: expected { type: "text", text }, got ${got}`);
}
