/** `warploop run`: one prompt, one answer, as it comes. */
import { text } from "node:stream/consumers";
import {
  type ChatMessage,
  type GenerateOptions,
  type GenerationStream,
  type LLM,
  TextError,
} from "../lib/index.js";
import { type Answer, describeAnswer, follow } from "./answer.js";
import { type CommandDefinition, exit } from "./command.js";
import type { Interrupted } from "./failure.js";
import { UsageError } from "./failure.js";
import { formatFlags, formatOf } from "./formatOptions.js";
import { onInterrupt } from "./interrupt.js";
import { type LoadedModel, loadLlm } from "./loadLlm.js";
import { loadFlags, loadOptionsOf } from "./loadOptions.js";
import { option } from "./optionValues.js";
import { sampleFlags, sampleOptionsOf, templateFlags, templateOptionsOf } from "./sampleOptions.js";
import { note, printJson, shown } from "./terminal.js";

interface RunOptions {
  readonly raw?: boolean;
  readonly system?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
}

export const command: CommandDefinition = {
  usage: "<model> [prompt...]",
  about:
    "Answers a prompt, and writes the answer to stdout as it comes. Without a prompt it reads stdin. The prompt is a message of a " +
    "user in the model's chat template; with --raw, or where the model has none, a text that goes on.",
  options: [
    option("--raw", "no chat template: the model goes on with the text"),
    ...templateFlags,
    ...sampleFlags,
    ...formatFlags,
    ...loadFlags,
    option("--json", "one JSON object: text, finishReason, usage, timings"),
    option("-q, --quiet", "nothing on stderr but errors"),
  ],
  examples: [
    'run Qwen/Qwen3-0.6B "Why is the sky blue?"',
    'run models/tiny-moe "Once upon a time" --raw --max-tokens 64 --temperature 0.8 --seed 1',
    'run org/name:Q4_K_M --system "Answer in one sentence." < question.txt',
    'run Qwen/Qwen3-0.6B "Three colours" --json | jq .usage',
    'run Qwen/Qwen3-0.6B "Is rain wet?" --choice yes --choice no',
  ],
  async run([model = "", ...words], parsed) {
    const options = parsed as RunOptions;
    if (options.raw && options.system !== undefined)
      throw new UsageError("--system needs the chat template, and --raw is without it");
    const prompt = await promptOf(words);
    const format = await formatOf(parsed);
    using interrupt = onInterrupt();
    const { signal } = interrupt;
    const loaded = await loadLlm(model, { ...loadOptionsOf(parsed), signal });
    try {
      const generation = { ...sampleOptionsOf(parsed), ...format, signal };
      const stream = begin(loaded.llm, prompt, {
        ...options,
        generation,
        template: templateOptionsOf(parsed),
      });
      const answer = await follow(stream, (piece) => {
        if (!options.json) process.stdout.write(shown(piece));
      });
      show(model, loaded, answer, options);
    } finally {
      await loaded.llm.close();
    }
    if (signal.aborted) throw signal.reason as Interrupted;
    return exit.fine;
  },
};

/** The words of the command line, or stdin. */
async function promptOf(words: readonly string[]): Promise<string> {
  if (words.length > 0) return words.join(" ");
  if (process.stdin.isTTY)
    throw new UsageError(
      "expected a prompt: give one, or pipe a text into it; npx warploop chat is for a talk",
    );
  const prompt = (await text(process.stdin)).replace(/\r?\n$/, "");
  if (prompt === "") throw new UsageError("expected a prompt: there is none, and stdin is empty");
  return prompt;
}

interface Request extends RunOptions {
  readonly generation: GenerateOptions;
  readonly template: ReturnType<typeof templateOptionsOf>;
}

function begin(
  llm: LLM,
  prompt: string,
  { raw, system, quiet, generation, template }: Request,
): GenerationStream {
  if (raw) return llm.generate(prompt, generation);
  const messages: ChatMessage[] = system === undefined ? [] : [{ role: "system", content: system }];
  try {
    return llm.chat([...messages, { role: "user", content: prompt }], { ...generation, ...template });
  } catch (error) {
    // At once only where there is no template at all.
    if (!(error instanceof TextError && error.code === "ERR_CHAT_TEMPLATE") || system !== undefined)
      throw error;
    if (!quiet) note("the model has no chat template: it goes on with your text, as with --raw");
    return llm.generate(prompt, generation);
  }
}

function show(
  model: string,
  { llm, loadMs }: LoadedModel,
  answer: Answer,
  { json, quiet }: RunOptions,
): void {
  if (json) {
    const { device } = llm.stats();
    printJson({ model, device, ...answer, timings: { loadMs, ...answer.timings } });
    return;
  }
  if (!answer.text.endsWith("\n")) process.stdout.write("\n");
  if (!quiet) note(describeAnswer(answer));
}
