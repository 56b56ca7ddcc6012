/** The methods of a loaded model, each with arguments that are right: odd values take the place of one after another. */
import { tmpdir } from "node:os";
import path from "node:path";
import type { LLM } from "../../lib/llm/llm.js";
import type { Call } from "./oddValues.js";

const prompt = [1, 2, 3];
const longPrompt = Array.from({ length: 20 }, (_, i) => i + 1);
const chat = [{ role: "user", content: "x" }];
/** Written and read. */
export const sessionFile = path.join(tmpdir(), `warploop-odd-${process.pid}.session`);

interface Method {
  readonly call: Call;
  /** By name, and what messages may call it. */
  readonly valid: Readonly<Record<string, unknown>>;
}

export const llmMethods: Readonly<Record<string, (llm: LLM) => Method>> = {
  generate: (l) => ({ call: l.generate.bind(l), valid: { prompt, "options|option": { maxTokens: 1 } } }),
  chat: (l) => ({ call: l.chat.bind(l), valid: { messages: chat, "options|option": { maxTokens: 1 } } }),
  object: (l) => ({
    call: l.object.bind(l),
    valid: { prompt, schema: { enum: [1] }, "options|option": { maxTokens: 9 } },
  }),
  renderChat: (l) => ({
    call: l.renderChat.bind(l),
    valid: { messages: chat, "options|option": { templateName: "default" } },
  }),
  countTokens: (l) => ({
    call: l.countTokens.bind(l),
    valid: { "textOrMessages|messages|countTokens": chat, "options|option": { templateName: "default" } },
  }),
  fitChat: (l) => ({
    call: l.fitChat.bind(l),
    valid: { "messages|fitChat": chat, "options|option": { room: 3 } },
  }),
  perplexity: (l) => ({
    call: l.perplexity.bind(l),
    valid: { text: prompt, "options|option": { window: 3 } },
  }),
  saveSession: (l) => ({
    // Whose first argument is a path that it writes to.
    call: (...rest: unknown[]) => l.saveSession(sessionFile, ...(rest as [readonly number[]])),
    valid: { "prompt|messages": longPrompt, "options|option": { cacheSalt: "a" } },
  }),
  restoreSession: (l) => ({
    call: l.restoreSession.bind(l),
    valid: { file: sessionFile, "options|option": { cacheSalt: "a" } },
  }),
  generateAll: (l) => ({
    call: l.generateAll.bind(l),
    valid: { prompts: [prompt], "options|option": { maxTokens: 1 } },
  }),
  embed: (l) => ({
    call: l.embed.bind(l),
    valid: { texts: [prompt], "options|option": { pooling: "mean" } },
  }),
  logits: (l) => ({ call: l.logits.bind(l), valid: { tokenIds: prompt } }),
  routing: (l) => ({ call: l.routing.bind(l), valid: { tokenIds: prompt } }),
};
