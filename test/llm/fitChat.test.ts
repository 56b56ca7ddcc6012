// Contract: what fitChat keeps of a talk is its system message and its latest turns, whole ones, and fits with room for an answer wherever a
// single turn does; nothing is lost: what is kept and what is dropped are the talk.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ChatMessage, LLM } from "../../lib/index.js";
import { Random } from "../schedule/random.js";
import { loadLLM, modelFolder } from "./checkpoints.js";

const contextLength = 128;
let llm: LLM;
beforeAll(async () => {
  llm = await loadLLM(modelFolder("tiny-moe"), { contextLength });
});
afterAll(() => llm.close());

const message = (role: string, words: number, i = 0): ChatMessage => ({
  role,
  content: `${i} the`.repeat(words),
});

/** Turns of one to four messages, with results of tools in some. */
function randomTalk(random: Random): ChatMessage[] {
  const system = Array.from({ length: random.below(3) }, (_, i) => message(i ? "developer" : "system", 2));
  const turns = Array.from({ length: random.between(1, 12) }, (_, i) => {
    const rest = random.pick([[], ["assistant"], ["assistant", "tool", "assistant"]]);
    return ["user", ...rest].map((role) => message(role, random.between(1, 8), i));
  });
  return [...system, ...turns.flat(), message("user", random.between(1, 8), 99)];
}

describe("fitChat", () => {
  it("keeps a talk that fits as it is", async () => {
    const talk = [message("system", 2), message("user", 3), message("assistant", 3), message("user", 3)];
    const fitted = await llm.fitChat(talk);
    expect(fitted).toEqual({ messages: talk, dropped: [], promptTokens: await llm.countTokens(talk) });
  });

  it("drops the oldest whole turns of any talk", async () => {
    const random = new Random(5);
    let numDropped = 0;
    for (let i = 0; i < 40; i++) {
      const talk = randomTalk(random);
      const room = random.pick([1, 32, 60, 100]);
      const { messages, dropped, promptTokens } = await llm.fitChat(talk, { room });
      const system = talk.filter(({ role }) => role === "system" || role === "developer");
      expect([...system, ...dropped, ...messages.slice(system.length)]).toEqual(talk);
      expect(messages[system.length]!.role).toBe("user");
      expect(await llm.countTokens(messages)).toBe(promptTokens);
      const isLast = messages.filter(({ role }) => role === "user").length === 1;
      expect(promptTokens).toBeLessThan(contextLength);
      if (dropped.length === 0) expect(isLast || promptTokens + room <= contextLength).toBe(true);
      else {
        const most = Math.min(contextLength / 2, contextLength - room);
        expect(isLast || promptTokens <= most).toBe(true);
        // No turn more than it takes.
        const start = dropped.map(({ role }) => role).lastIndexOf("user");
        const longer = [...system, ...dropped.slice(start), ...messages.slice(system.length)];
        expect(await llm.countTokens(longer)).toBeGreaterThan(most);
        numDropped++;
      }
    }
    expect(numDropped).toBeGreaterThan(12);
  });

  it("keeps a last turn that leaves an answer less than its room, also where it is the only one", async () => {
    const last = message("user", 46);
    const tokens = await llm.countTokens([last]);
    expect(tokens).toBeGreaterThan(contextLength - 32);
    const before = [message("user", 4), message("assistant", 4)];
    const expected = { messages: [last], promptTokens: tokens };
    expect(await llm.fitChat([...before, last])).toEqual({ ...expected, dropped: before });
    expect(await llm.fitChat([last])).toEqual({ ...expected, dropped: [] });
    const { usage } = await llm.chat([last]).result();
    expect(usage.promptTokens).toBe(tokens);
  });

  it("refuses a last turn that does not fit alone, and options that are wrong", async () => {
    const talk = [message("user", 4), message("assistant", 4), message("user", 80)];
    await expect(llm.fitChat(talk)).rejects.toMatchObject({
      code: "ERR_CONTEXT_LENGTH",
      message: expect.stringMatching(/^messages: the last turn: got \d+ tokens, the context 128, /) as string,
    });
    await expect(llm.fitChat(talk, { room: 128 })).rejects.toThrow(/^room: .* from 1 to 127, got 128$/);
    await expect(llm.fitChat([])).rejects.toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
  });
});
