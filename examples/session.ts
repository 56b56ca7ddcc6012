/**
 * A long prompt whose keys and values are kept in a file:  npm run example:session
 * One model computes and saves them; another one, as in a process that starts tomorrow, restores them and answers at once.
 */
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { LLM } from "../lib/index.js";
import { numberOf, readArguments } from "./arguments.js";
import { printTable } from "./plot.js";

const { values } = readArguments("npm run example:session -- [--model <folder or hub id>] [--tokens <n>]", {
  model: { type: "string", default: "models/tiny-moe" },
  tokens: { type: "string", default: "1500" },
});
const length = numberOf("tokens", values.tokens)!;
const folder = mkdtempSync(path.join(os.tmpdir(), "warploop-"));
process.once("exit", () => rmSync(folder, { recursive: true }));
const file = path.join(folder, "stories.session");

/** Milliseconds to the first token of a question about the document. */
async function firstToken(llm: LLM, prompt: readonly number[]): Promise<{ ms: number; cached: number }> {
  const start = performance.now();
  const answer = llm.generate(prompt, { maxTokens: 8, temperature: 0 });
  for await (const { tokenIds } of answer) if (tokenIds.length > 0) break;
  const ms = performance.now() - start;
  return { ms, cached: (await answer.result()).usage.cachedTokens };
}

const story = "A small fox lived near the sea. Every day it walked to the harbour and counted the boats. ";
await using first = await LLM.load(values.model);
const long = await first.tokenizer!.encodeAsync(story.repeat(Math.ceil(length / 10)));
const document = [...long.subarray(0, length)];
const question = [...document, ...first.tokenizer!.encode("The fox")];
const cold = await firstToken(first, question);
const saved = await first.saveSession(file, document);

await using second = await LLM.load(values.model);
const start = performance.now();
await second.restoreSession(file);
const restoreMs = performance.now() - start;
const warm = await firstToken(second, question);

const row = (what: string, { ms, cached }: typeof cold) => ({
  what,
  "cached tokens": `${cached} of ${question.length}`,
  "first token": `${ms.toFixed(1)} ms`,
});
printTable([row("computed", cold), row("restored", warm)]);
console.log(
  `\n${(saved.bytes / 2 ** 20).toFixed(1)} MiB for ${saved.cachedTokens} tokens, restored in ${restoreMs.toFixed(0)} ms`,
);
