// Contract: whatever tokenizer.json holds, the outcome is a working tokenizer or a TextError, in bounded time.
import { expect, test } from "vitest";
import { Detokenizer } from "../../lib/text/detokenizer.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { TextError } from "../../lib/errors.js";
import { Random } from "../support/random.js";
import { firstSeed } from "../support/seed.js";
import { byteFallbackJson, tokenizerConfig, tokenizerJson } from "./checkpoint.js";

const numMutations = 300;
const budgetMs = 3_000;
const junk: readonly unknown[] = [
  null, true, 0, -1, 1.5, 1e12, "", "x", "(", "(a+)+$", "Sequence", "ByteLevel", "Replace", [], [null], [[]], {}, { type: "Sequence" },
  { Regex: "" }, { Regex: "\\" }, { String: "" }, { type: "ByteFallback" }, { type: "Metaspace" }, { type: "BPE" }, ["a", "b"], "\ud800",
]; // prettier-ignore

/** Replaces, removes or doubles a random node; few of them lie in the vocabulary, because every level is equally likely. */
function mutateNode(random: Random, root: unknown): void {
  let node = root as Record<string, unknown>;
  for (;;) {
    const keys = Object.keys(node);
    const key = keys[random.integer(0, keys.length)];
    if (key === undefined) return;
    const child = node[key];
    if (typeof child === "object" && child !== null && random.integer(0, 4) > 0) {
      node = child as Record<string, unknown>;
      continue;
    }
    if (random.integer(0, 5) === 0) delete node[key];
    else if (random.integer(0, 5) === 0) node[key] = [child, child];
    else node[key] = structuredClone(junk[random.integer(0, junk.length)]);
    return;
  }
}

function mutateBytes(random: Random, json: string): string {
  const bytes = Buffer.from(json);
  const at = random.integer(0, bytes.length);
  const kind = random.integer(0, 3);
  if (kind === 0) return bytes.subarray(0, at).toString();
  if (kind === 1)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.integer(1, 30))]).toString();
  bytes[at] = random.integer(32, 127);
  return bytes.toString();
}

function mutate(random: Random, json: string): string {
  if (random.integer(0, 4) === 0) return mutateBytes(random, json);
  const root = JSON.parse(json) as unknown;
  for (let i = random.integer(1, 4); i > 0; i--) mutateNode(random, root);
  return JSON.stringify(root);
}

/** Uses everything; throws what the tokenizer throws. */
async function use(json: string): Promise<void> {
  const tokenizer = Tokenizer.parse(json, "t.json", tokenizerConfig);
  const text = "Wren's 12 foxes,\n\n 안녕 🦊 <|im_end|> " + "aaab ".repeat(120);
  const ids = tokenizer.encode(text);
  expect(await tokenizer.encodeAsync(text)).toEqual(ids);
  expect(ids.every((id) => id >= 0 && id < tokenizer.vocabSize)).toBe(true);
  const detokenizer = new Detokenizer(tokenizer);
  const streamed =
    Array.from(ids.subarray(0, 60), (id) => detokenizer.push(id)).join("") + detokenizer.flush();
  expect(streamed).toBe(tokenizer.decode(ids.subarray(0, 60)));
}

test(`${numMutations} mutations`, async () => {
  const llama = byteFallbackJson({
    type: "Sequence",
    decoders: [{ type: "ByteFallback" }, { type: "Fuse" }],
  });
  const random = new Random(firstSeed);
  const start = performance.now();
  const outcomes = { working: 0, refused: 0 };
  // A busy machine makes fewer in that time, but never too few to mean something.
  const isEnough = () => performance.now() - start > budgetMs && Object.values(outcomes).every((n) => n > 20);
  for (let i = 0; i < numMutations && !isEnough(); i++) {
    const json = mutate(random, i % 2 === 0 ? tokenizerJson : llama);
    try {
      await use(json);
      outcomes.working++;
    } catch (error) {
      if (!(error instanceof TextError))
        throw new Error(`mutation ${i}: ${String(error)}\n${json}`, { cause: error });
      expect(error).toMatchObject({ code: "ERR_TOKENIZER", file: "t.json" });
      outcomes.refused++;
    }
  }
  expect(outcomes.working).toBeGreaterThan(20);
  expect(outcomes.refused).toBeGreaterThan(20);
});
