/**
 * Values instead of text, of a schema of zod:  npm run example:object
 * Another model:                              npm run example:object -- --model <folder or hub id>
 */
import { z } from "zod";
import { LLM } from "../lib/index.js";
import { readArguments } from "./arguments.js";

const { values } = readArguments(`npm run example:object -- [--model <folder or hub id>]`, {
  model: { type: "string", default: "models/tiny-moe" },
});

const Review = z.object({
  title: z.string().max(40),
  stars: z.int().min(1).max(5),
  mood: z.enum(["happy", "sad", "angry"]),
  tags: z.array(z.enum(["food", "service", "price"])).max(2),
});

await using llm = await LLM.load(values.model);
const prompt = "A review of a small inn in the woods, as JSON: ";

const { value, usage } = await llm.object(prompt, Review, { temperature: 0.8, seed: 1 });
console.log(
  `${"★".repeat(value.stars)}  ${value.title}  (${value.mood}; ${value.tags.join(", ") || "no tags"})`,
);
console.log(`${usage.completionTokens} tokens\n`);

// As text, while it is written; a regular expression and a choice.
for await (const { text } of llm.generate(prompt, { format: { schema: z.toJSONSchema(Review) }, seed: 2 }))
  process.stdout.write(text);
const date = await llm
  .generate("It happened on ", { format: { regex: "(19|20)\\d\\d-(0[1-9]|1[0-2])" } })
  .text();
const answer = await llm.generate("Did the fox sleep? ", { format: { choice: ["yes", "no"] } }).text();
console.log(`\n\n${date}: ${answer}`);
