/**
 * Turns chat messages into the prompt text that a checkpoint was trained on, with its own Jinja template. The template is
 * data of the checkpoint: it is interpreted under a time limit and reaches nothing but what is passed here.
 */
import { join } from "node:path";
import { Template } from "@huggingface/jinja";
import { ArgumentRangeError, ArgumentTypeError, TextError } from "../errors.js";
import { describeError, isObject, show, type JsonObject } from "../weights/json.js";
import { loadTokenizerConfig, readSpecialTokens } from "./specialTokens.js";
import { readTextFile } from "./textFile.js";
import { withTimeLimit } from "./timeLimit.js";

export interface ChatMessage {
  /** Such as "system", "user", "assistant"; the template decides what it knows. */
  readonly role: string;
  readonly content: string;
  /** Further fields that some templates read, such as `name` or `tool_calls`. */
  readonly [field: string]: unknown;
}

export interface ChatTemplateOptions {
  /** Ends the prompt with the opening of the assistant's answer. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** Tools as JSON schemas; without them the template sees none. */
  readonly tools?: readonly object[];
  /** Every other name is handed to the template as a variable, such as `enable_thinking`. */
  readonly [variable: string]: unknown;
}

/** Real templates have up to 30 KB. */
const maxTemplateBytes = 1_000_000;
/** A template with some hundred messages takes a few ms. */
const renderLimitMs = 1_000;

/** The chat template of a checkpoint, or the knowledge that it has none. */
export class ChatTemplate {
  /** The file the templates come from; named in errors. */
  readonly file: string;
  readonly #sources: ReadonlyMap<string, string>;
  readonly #specialTokens: Readonly<Record<string, string>>;
  readonly #parsed = new Map<string, Template>();

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
   * Reads chat_template.jinja, or else `chat_template` of tokenizer_config.json. A folder without either gives a template
   * that is not `available`. The text is parsed by the first render.
   *
   * @param folder path of the checkpoint folder
   * @throws TextError ERR_CHAT_TEMPLATE if a file cannot be read or `chat_template` has the wrong form
   */
  static async load(folder: string): Promise<ChatTemplate> {
    const configFile = join(folder, "tokenizer_config.json");
    const tokenizerConfig = await loadTokenizerConfig(folder, "ERR_CHAT_TEMPLATE");
    const specialTokens = readSpecialTokens(tokenizerConfig).byName;
    const templateFile = join(folder, "chat_template.jinja");
    const template = await readTextFile(templateFile, maxTemplateBytes, "ERR_CHAT_TEMPLATE");
    if (template !== undefined) {
      return new ChatTemplate(templateFile, new Map([["default", template]]), specialTokens);
    }
    return new ChatTemplate(configFile, sourcesOf(tokenizerConfig.config, configFile), specialTokens);
  }

  /** False if the checkpoint has no chat template. */
  get available(): boolean {
    return this.#sources.size > 0;
  }

  /**
   * Renders the prompt. It already contains the special tokens: encode it with `addSpecialTokens: false`.
   *
   * @param messages at least one
   * @returns prompt text
   * @throws ArgumentTypeError naming messages[i].role or .content; ArgumentRangeError if there is no message;
   * TextError ERR_CHAT_TEMPLATE if there is no template, or if it is malformed, refuses the messages or takes too long
   */
  render(messages: readonly ChatMessage[], options: ChatTemplateOptions = {}): string {
    checkMessages(messages);
    const { addGenerationPrompt = true, tools, ...variables } = options;
    if (typeof addGenerationPrompt !== "boolean") {
      throw new ArgumentTypeError(
        `addGenerationPrompt: expected a boolean, got ${typeof addGenerationPrompt}`,
      );
    }
    if (tools !== undefined && !Array.isArray(tools)) {
      throw new ArgumentTypeError(`tools: expected an array, got ${typeof tools}`);
    }
    const name = tools !== undefined && this.#sources.has("tool_use") ? "tool_use" : "default";
    // Hugging Face passes tools and documents as none, not as undefined, and templates tell the two apart.
    const scope = {
      documents: null,
      ...variables,
      ...this.#specialTokens,
      messages,
      tools: tools ?? null,
      add_generation_prompt: addGenerationPrompt,
    };
    try {
      return withTimeLimit(() => this.#template(name).render(scope), renderLimitMs);
    } catch (cause) {
      if (cause instanceof TextError) throw cause;
      const message = `${this.file}: the chat template failed: ${describeError(cause)}`;
      throw new TextError("ERR_CHAT_TEMPLATE", message, this.file, { cause });
    }
  }

  #template(name: string): Template {
    const known = this.#parsed.get(name);
    if (known !== undefined) return known;
    const source = this.#sources.get(name);
    if (source === undefined) {
      const message = `${this.file}: this checkpoint has no chat template; pass a prompt text instead of messages`;
      throw new TextError("ERR_CHAT_TEMPLATE", message, this.file);
    }
    const template = new Template(source);
    this.#parsed.set(name, template);
    return template;
  }
}

function checkMessages(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages)) {
    throw new ArgumentTypeError(`messages: expected an array, got ${typeof messages}`);
  }
  if (messages.length === 0)
    throw new ArgumentRangeError("messages: expected at least one message, got none");
  messages.forEach((message: unknown, i) => {
    if (!isObject(message)) {
      throw new ArgumentTypeError(`messages[${i}]: expected an object, got ${typeof message}`);
    }
    for (const field of ["role", "content"]) {
      if (typeof message[field] !== "string") {
        throw new ArgumentTypeError(
          `messages[${i}].${field}: expected a string, got ${typeof message[field]}`,
        );
      }
    }
  });
}

/** Templates of tokenizer_config.json by name: one string, or a list of {name, template}. */
function sourcesOf(config: JsonObject, file: string): ReadonlyMap<string, string> {
  const value = config["chat_template"] ?? undefined;
  if (value === undefined) return new Map();
  if (typeof value === "string") return new Map([["default", value]]);
  const entries = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  return new Map(
    entries.map((entry, i) => {
      const { name, template } = isObject(entry) ? entry : {};
      if (typeof name === "string" && typeof template === "string") return [name, template] as const;
      const expected = "expected a string or a list of {name, template}";
      const message = `${file}: chat_template: ${expected}, got ${show(entry)} at index ${i}`;
      throw new TextError("ERR_CHAT_TEMPLATE", message, file);
    }),
  );
}
