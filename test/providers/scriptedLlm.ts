// A model that writes given texts, one after another, as tokens of a vocabulary with a family's markers, and remembers what it was asked.
import type { ChatMessage, ChatOptions, FinishReason, GenerationStream, LLM } from "../../lib/index.js";
import { GenerationChannel } from "../../lib/llm/generationStream.js";
import { renderTemplate } from "../support/renderTemplate.js";
import { templates } from "../toolcalls/templates.js";
import { ToyVocabulary } from "../toolcalls/vocabulary.js";

const { template } = templates.find(({ title }) => title === "Hermes")!;

export interface Answer {
  readonly text: string;
  readonly finishReason?: FinishReason;
  /** Thrown behind the text. */
  readonly error?: Error;
}

export class ScriptedLlm {
  readonly asked: { readonly messages: readonly ChatMessage[]; readonly options: ChatOptions }[] = [];
  readonly tokenizer = new ToyVocabulary(
    ["<tool_call>", "</tool_call>", "<think>", "</think>"],
    ["<|im_end|>"],
  );
  readonly shape = { architecture: "ScriptedForCausalLM" };
  readonly #answers: Answer[];

  private constructor(answers: readonly Answer[]) {
    this.#answers = [...answers];
  }

  /** @returns the model, and what it was asked */
  static of(...answers: readonly (string | Answer)[]): {
    readonly llm: LLM;
    readonly asked: ScriptedLlm["asked"];
  } {
    const scripted = new ScriptedLlm(answers.map((one) => (typeof one === "string" ? { text: one } : one)));
    return { llm: scripted as unknown as LLM, asked: scripted.asked };
  }

  async renderChat(
    messages: readonly ChatMessage[],
    { tools }: Pick<ChatOptions, "tools"> = {},
  ): Promise<string> {
    return renderTemplate(template, { messages, tools, add_generation_prompt: true });
  }

  chat(messages: readonly ChatMessage[], options: ChatOptions): GenerationStream {
    this.asked.push({ messages, options });
    const channel = new GenerationChannel(`request-${this.asked.length}`, 1, () => undefined);
    const { text, finishReason = "stop", error } = this.#answers.shift()!;
    const chunks = this.tokenizer.chunks(text);
    channel.start([1, 2, 3]);
    const run = async (): Promise<void> => {
      for (const { text: piece, tokenIds = [] } of chunks) {
        await new Promise((resolve) => setImmediate(resolve));
        channel.push({ index: 0, text: piece, tokenIds, finishReason: null });
      }
      if (error) return channel.fail(error);
      const usage = { promptTokens: 10, cachedTokens: 4, completionTokens: chunks.length };
      channel.push({ index: 0, text: "", tokenIds: [], finishReason, stopReason: null, usage });
    };
    void run();
    return channel;
  }
}
