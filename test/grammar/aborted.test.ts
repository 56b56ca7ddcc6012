/** Contract: a grammar that nobody waits for any more holds up no other. */
import { expect, it } from "vitest";
import { Grammars } from "../../lib/grammar/grammars.js";
import type { Tokenizer } from "../../lib/text/tokenizer.js";

const characters = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
/** A token for each character of ASCII. */
const tokenizer = {
  ...{ specialIds: new Set(), addedIds: new Set(), vocabSize: characters.length },
  isSpecial: () => false,
  tokenText: (id: number) => characters[id],
  decode: (ids: Int32Array) => Array.from(ids, (id) => characters[id]).join(""),
} as unknown as Tokenizer;
const formatOf = (format: object) => ({ json: JSON.stringify(format), thoughts: undefined });
const words = Array.from({ length: 60_000 }, (_, i) => `"w${i}"`);
/** Of a format that is read behind it. */
const description = "x".repeat(10_000);
/** It takes seconds. */
const long = formatOf({ grammar: `start: ${words.join(" | ")}` });
const prompt = new Int32Array();

it("a grammar whose requests are aborted ends at once, and the next one comes", async () => {
  const [ours, beside] = [new Grammars(tokenizer, 128), new Grammars(tokenizer, 128)];
  const ends: string[] = [];
  const note = (name: string) => (): unknown => ends.push(name);
  const abort = new AbortController();
  const aborted = ours.constraint(long, prompt, abort.signal).finally(note("aborted"));
  const whole = beside.constraint(long, prompt).finally(note("the same, not aborted"));
  setTimeout(() => abort.abort(new Error("no longer")), 20);
  await expect(aborted).rejects.toThrow("no longer");
  using constraint = await ours
    .constraint(formatOf({ schema: { type: "integer", description } }), prompt)
    .finally(note("next"));
  expect(constraint.isAccepting).toBe(false);
  expect(ends).toEqual(["aborted", "next"]);
  await Promise.all([expect(whole).rejects.toThrow("closed"), ours.close(), beside.close()]);
});

it("a short one does not wait for a long one", async () => {
  const grammars = new Grammars(tokenizer, 128);
  let isRead = false;
  const slow = grammars.constraint(long, prompt).finally(() => (isRead = true));
  const ended = expect(slow).rejects.toThrow("closed");
  using constraint = await grammars.constraint(formatOf({ choice: ["a"] }), prompt);
  expect([constraint.isAccepting, isRead]).toEqual([false, false]);
  await Promise.all([ended, grammars.close()]);
});

it("one that another request still waits for goes on", async () => {
  const grammars = new Grammars(tokenizer, 128);
  const format = formatOf({ choice: ["a"] });
  const abort = new AbortController();
  const first = grammars.constraint(format, prompt, abort.signal);
  const second = grammars.constraint(format, prompt);
  abort.abort(new Error("no longer"));
  await expect(first).rejects.toThrow("no longer");
  using constraint = await second;
  expect(constraint.isAccepting).toBe(false);
  await grammars.close();
});
