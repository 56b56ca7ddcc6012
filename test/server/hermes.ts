// A template with tools and thoughts over the small model, and a model that writes by script with that template and those tokens.
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { ChatMessage, ChatOptions, GenerateChunk, GenerationStream } from "../../lib/index.js";
import { LLM } from "../../lib/index.js";
import { type Engine, engineOf } from "../../server/engine.js";

/** As Qwen3's, in short: tools, calls, results and thoughts. */
const template =
  "{% if tools %}<|im_start|>system\n{% if messages[0].role == 'system' %}{{ messages[0].content }}\n{% endif %}" +
  "{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}" +
  "{% for m in messages %}{% if m.role == 'assistant' %}<|im_start|>assistant\n" +
  "{% if m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}{{ m.content }}" +
  '{% for c in m.tool_calls or [] %}\n<tool_call>\n{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}\n</tool_call>{% endfor %}<|im_end|>\n' +
  "{% elif m.role == 'tool' %}<|im_start|>user\n<tool_response>\n{{ m.content }}\n</tool_response><|im_end|>\n" +
  "{% elif not (tools and loop.first and m.role == 'system') %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}" +
  "{% if add_generation_prompt %}<|im_start|>assistant\n{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}";

/** The small model with that template. To be closed. */
export class HermesModel {
  private constructor(
    readonly llm: LLM,
    readonly folder: string,
  ) {}

  static async load(): Promise<HermesModel> {
    const folder = await mkdtemp(path.join(tmpdir(), "warploop-hermes-"));
    await cp("models/tiny-moe", folder, { recursive: true });
    const file = path.join(folder, "tokenizer_config.json");
    const config = JSON.parse(await readFile(file, "utf8")) as object;
    await writeFile(file, JSON.stringify({ ...config, chat_template: template }));
    const llm = await LLM.load(folder, { device: "cpu", threads: 1, maxSequences: 8 });
    return new HermesModel(llm, folder);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.llm.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** An engine whose chats have the prompts of the model and the texts of a script, token by token. */
export class ScriptedWriter implements Engine {
  readonly #llm: LLM;
  readonly #engine: Engine;
  /** What the next answers are; each is used once, the last one again and again. */
  script: string[] = [""];
  /** How the answers end. */
  end: { readonly finishReason: "stop" | "length"; readonly stopReason: string | number | null } = {
    finishReason: "stop",
    stopReason: null,
  };
  /** Tokens of a chunk. */
  tokensAtOnce = 1;
  /** Prompts of the chats, as text. */
  readonly prompts: string[] = [];
  /** Options of the chats. */
  readonly options: ChatOptions[] = [];

  constructor(llm: LLM) {
    this.#llm = llm;
    this.#engine = engineOf(llm);
  }

  get info() {
    return this.#engine.info;
  }

  generate: Engine["generate"] = (...args) => this.#engine.generate(...args);
  encode: Engine["encode"] = async (...args) => this.#engine.encode(...args);
  decode: Engine["decode"] = async (...args) => this.#engine.decode(...args);
  embed: Engine["embed"] = async (...args) => this.#engine.embed(...args);
  countTokens: Engine["countTokens"] = async (...args) => this.#engine.countTokens(...args);
  format: Engine["format"] = async (choice) => this.#engine.format(choice);
  stats: Engine["stats"] = async () => this.#engine.stats();

  chat(messages: readonly ChatMessage[], options: ChatOptions): GenerationStream {
    this.options.push(options);
    const prompt = this.#engine.chat(messages, { ...options, maxTokens: 1 });
    const tokenizer = this.#llm.tokenizer!;
    const text = this.script.length > 1 ? this.script.shift()! : this.script[0]!;
    const { prompts, end, tokensAtOnce } = this;
    const isShown = options.skipSpecialTokens === false;
    async function* chunks(): AsyncGenerator<GenerateChunk> {
      const promptTokens = (await prompt.promptTokenIds()).length;
      const ids = [...tokenizer.encode(text, { addSpecialTokens: false })];
      for (let at = 0; at < ids.length; at += tokensAtOnce) {
        const tokenIds = ids.slice(at, at + tokensAtOnce);
        const piece = tokenizer.decode(tokenIds, { skipSpecialTokens: !isShown });
        yield { index: 0, text: piece, tokenIds, finishReason: null };
      }
      const usage = { promptTokens, cachedTokens: 0, completionTokens: ids.length };
      yield { index: 0, text: "", tokenIds: [], ...end, usage };
    }
    const started = (async () => {
      await prompt.started;
      prompts.push(tokenizer.decode(Array.from(await prompt.promptTokenIds()), { skipSpecialTokens: false }));
      prompt.abort();
    })();
    const choice = { index: 0, text, tokenIds: [], ...end };
    const usage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
    return {
      id: "scripted",
      started,
      promptTokenIds: async () => prompt.promptTokenIds(),
      abort: () => undefined,
      result: async () => ({ ...choice, choices: [choice], usage }),
      text: async () => text,
      [Symbol.asyncIterator]: chunks,
    };
  }
}

export const weatherTool = {
  name: "get_weather",
  description: "The weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

/** What the model writes to call that tool. */
export const weatherCall = (city: string): string =>
  `<tool_call>\n{"name": "get_weather", "arguments": {"city": "${city}"}}\n</tool_call>`;
