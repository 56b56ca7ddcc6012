/** One call for scripts: load, generate, close. */
import { copyOptions } from "../arguments.js";
import type { GenerateOptions } from "./generateOptions.js";
import type { GenerateChunk } from "./output.js";
import type { Prompt } from "./generateAll.js";
import { LLM } from "./llm.js";
import type { LLMOptions } from "./engineOptions.js";

/**
 * Loads a model for one generation and closes it afterwards. Programs that generate more than once keep an `LLM`.
 *
 *     for await (const { text } of generate("models/tiny-moe", "Once upon a time")) process.stdout.write(text);
 *
 * @throws as `LLM.load` and `LLM.generate`
 */
export async function* generate(
  pathOrId: string,
  prompt: Prompt,
  options: GenerateOptions & { readonly load?: LLMOptions } = {},
): AsyncGenerator<GenerateChunk, void, void> {
  const { load, ...generateOptions } = copyOptions("generate", options);
  await using llm = await LLM.load(pathOrId, load);
  yield* llm.generate(prompt, generateOptions);
}
