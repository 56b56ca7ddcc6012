/** One call for scripts: load, generate, close. */
import { readOptions } from "../arguments.js";
import type { LLMOptions } from "./engineOptions.js";
import { type GenerateOptions, generateOptionNames } from "./generateOptions.js";
import { LLM } from "./llm.js";
import type { GenerateChunk } from "./output.js";
import type { Prompt } from "./prompt.js";

/**
 * Loads a model for one generation and closes it afterwards. Programs that generate more than once keep an `LLM`.
 *
 *     for await (const { text } of generate("./your-model", "Once upon a time")) process.stdout.write(text);
 *
 * @throws as `LLM.load` and `LLM.generate`
 */
export async function* generate(
  pathOrId: string,
  prompt: Prompt,
  options: GenerateOptions & { readonly load?: LLMOptions | undefined } = {},
): AsyncGenerator<GenerateChunk, void, void> {
  const { load, ...generateOptions } = readOptions("generate", options, [...generateOptionNames, "load"]);
  await using llm = await LLM.load(pathOrId, load);
  yield* llm.generate(prompt, generateOptions);
}
