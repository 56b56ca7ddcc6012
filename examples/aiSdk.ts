/**
 * The AI SDK over a model in this process:  npm run example:ai-sdk -- "How is the weather in Oslo?" --model Qwen/Qwen3-0.6B
 * The answer is streamed. A model whose chat template knows tools may ask for the weather first; the one of a clone tells stories.
 */
import { jsonSchema, stepCountIs, streamText, tool } from "ai";
import { LLM } from "../lib/index.js";
import { languageModel } from "../providers/aiSdk/index.js";
import { formatOf } from "../toolcalls/index.js";
import { numberOf, readArguments } from "./arguments.js";

const { values, text } = readArguments(
  `npm run example:ai-sdk -- ["A prompt"] [--model <folder or hub id>] [--max-tokens 200]`,
  {
    model: { type: "string", default: "models/tiny-moe" },
    "max-tokens": { type: "string", default: "200" },
  },
  true,
);
const maxOutputTokens = numberOf("max-tokens", values["max-tokens"]);
const prompt = text || "Please tell me about Tala, a badger who finds a lantern.";
await using llm = await LLM.load(values.model);

const weather = tool({
  description: "The weather in a city",
  inputSchema: jsonSchema<{ city: string }>({
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
  }),
  execute: async ({ city }) => ({ city, degrees: 7, sky: "rain" }),
});
const { syntax, takesTools } = await formatOf(llm);
const { fullStream, totalUsage } = streamText({
  model: languageModel(llm),
  prompt,
  ...(maxOutputTokens !== undefined && { maxOutputTokens }),
  ...(syntax && takesTools && { tools: { weather }, stopWhen: stepCountIs(4) }),
});
for await (const part of fullStream) {
  if (part.type === "reasoning-delta" || part.type === "text-delta") process.stdout.write(part.text);
  if (part.type === "tool-call") console.error(`\n${part.toolName}(${JSON.stringify(part.input)})`);
  if (part.type === "tool-result") console.error(`  ${JSON.stringify(part.output)}`);
  if (part.type === "error") throw part.error;
}
const { inputTokens, outputTokens } = await totalUsage;
console.error(`\n${inputTokens} tokens in, ${outputTokens} out`);
