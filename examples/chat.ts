/**
 * A chat in the terminal:  npm run example:chat   (or: -- --model <folder or hub id> --system "You are terse.")
 * Ctrl-C stops an answer, and ends the chat when there is none.
 */
import { createInterface } from "node:readline/promises";
import { LLM, type ChatMessage } from "../lib/index.js";
import { numberOf, readArguments } from "./arguments.js";

const { values } = readArguments(
  `npm run example:chat -- [--model <folder or hub id>] [--system "You are terse."] [--temperature 0.7] [--max-tokens 512]`,
  {
    model: { type: "string", default: "models/tiny-moe" },
    system: { type: "string" },
    temperature: { type: "string" },
    "max-tokens": { type: "string", default: "512" },
  },
);
const maxTokens = numberOf("max-tokens", values["max-tokens"]);
const temperature = numberOf("temperature", values.temperature);
await using llm = await LLM.load(values.model);
// A model without a chat template says so here, before anybody has typed.
await llm.chat([{ role: "user", content: "Hello" }], { maxTokens: 1, temperature }).result();
const terminal = createInterface({ input: process.stdin, output: process.stdout });
const messages: ChatMessage[] = values.system ? [{ role: "system", content: values.system }] : [];
let answering: AbortController | undefined;
terminal.on("SIGINT", () => (answering ? answering.abort() : terminal.close()));
console.log('Ask something, such as "Please tell me about Tala, a badger who finds a lantern." Ctrl-C ends.');

terminal.setPrompt("\n> ");
terminal.prompt();
for await (const line of terminal) {
  if (line.trim()) {
    messages.push({ role: "user", content: line });
    answering = new AbortController();
    let answer = "";
    const options = { maxTokens, temperature, signal: answering.signal };
    const { messages: seen, dropped } = await llm.fitChat(messages);
    if (dropped.length > 0)
      console.log(`(the context is full: the oldest ${dropped.length} messages are not shown)`);
    for await (const chunk of llm.chat(seen, options)) {
      process.stdout.write(chunk.text);
      answer += chunk.text;
    }
    answering = undefined;
    messages.push({ role: "assistant", content: answer });
    console.log();
  }
  terminal.prompt();
}
