// Contract: the pieces together are decode of all tokens, nothing incomplete is ever shown, complete text is shown at once,
// and a token costs the same however long the text is.
import { describe, expect, test, vi } from "vitest";
import { Detokenizer } from "../../lib/text/detokenizer.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { Random } from "../support/random.js";
import { byteFallbackJson, goldens, modelFolder, modelNames, tokenBytes } from "./checkpoint.js";

const tinyMoe = (await Tokenizer.load(modelFolder("tiny-moe")))!;

function stream(tokenizer: Tokenizer, ids: Iterable<number>, skipSpecialTokens = true): string[] {
  const detokenizer = new Detokenizer(tokenizer, { skipSpecialTokens });
  return [...Array.from(ids, (id) => detokenizer.push(id)), detokenizer.flush()];
}

describe.each(modelNames)("golden streams of %s", (name) => {
  test.each(goldens(name))("$prompt", ({ prompt_ids: promptIds, greedy_ids: greedyIds }) => {
    for (const ids of [greedyIds, [...promptIds, ...greedyIds]]) {
      for (const skipSpecialTokens of [true, false]) {
        const pieces = stream(tinyMoe, ids, skipSpecialTokens);
        const text = tinyMoe.decode(ids, { skipSpecialTokens });
        expect(pieces.join("")).toBe(text);
        expect(text).not.toContain("\ufffd");
        expect(pieces.filter((piece) => piece.includes("\ufffd"))).toEqual([]);
      }
    }
  });
});

const sample = "옛날 옛적에 🦊 여우가 👩‍👩‍👧와 살았다. 🇰🇷!";

test("Korean and emoji: every character comes as soon as its last byte is there", () => {
  const bytes = tokenBytes();
  const ids = [...tinyMoe.encode(sample)];
  const pieces = stream(tinyMoe, ids);
  expect(ids.length).toBeGreaterThan([...sample].length); // otherwise no character takes several tokens
  ids.forEach((_, i) => {
    const known = Buffer.concat(ids.slice(0, i + 1).map((id) => bytes.get(id)!)).toString("utf8");
    expect(pieces.slice(0, i + 1).join("")).toBe(known.replace(/\ufffd+$/, ""));
  });
  expect(pieces.join("")).toBe(sample);
});

test("a skipped token inside a character does not break it", () => {
  const [first, ...others] = tinyMoe.encode("🦊");
  expect(stream(tinyMoe, [1022, first!, 1023, 5000, ...others, 1021]).join("")).toBe("🦊");
  expect(stream(tinyMoe, [first!, 1023, ...others], false).join("")).toBe(
    tinyMoe.decode([first!, 1023, ...others], { skipSpecialTokens: false }),
  );
});

test("text that ends inside a character ends with U+FFFD", () => {
  const ids = [...tinyMoe.encode("a🦊")].slice(0, -1);
  const pieces = stream(tinyMoe, ids);
  expect(pieces.slice(0, -1).join("")).toBe("a");
  expect(pieces.at(-1)).toBe("\ufffd");
});

test("a real U+FFFD of the text is kept, and shown with the next token", () => {
  const text = "a\ufffd\ufffd b";
  const ids = tinyMoe.encode(text);
  expect(stream(tinyMoe, ids).join("")).toBe(text);
  expect(stream(tinyMoe, ids).at(-1)).toBe("");
});

test("flush starts afresh", () => {
  const detokenizer = new Detokenizer(tinyMoe);
  const ids = [...tinyMoe.encode("여우")];
  detokenizer.push(ids[0]!);
  detokenizer.flush();
  expect(ids.map((id) => detokenizer.push(id)).join("") + detokenizer.flush()).toBe("여우");
});

test("refuses what is no id", () => {
  expect(() => new Detokenizer(tinyMoe).push(-1)).toThrow(
    expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }),
  );
});

const replace = { type: "Replace", pattern: { String: "▁" }, content: " " };
const llama = [
  replace,
  { type: "ByteFallback" },
  { type: "Fuse" },
  { type: "Strip", content: " ", start: 1, stop: 0 },
];
const fallback = (...decoders: object[]): Tokenizer =>
  Tokenizer.parse(byteFallbackJson({ type: "Sequence", decoders }), "t.json");
const tokenizers: readonly (readonly [string, Tokenizer])[] = [
  ["tiny-moe", tinyMoe],
  ["Llama 2", fallback(...llama)],
  ["Gemma", fallback(...llama.slice(0, 3))],
  ["two leading spaces dropped", fallback(...llama.slice(0, 3), { type: "Strip", content: " ", start: 2 })],
  ["Metaspace", Tokenizer.parse(byteFallbackJson({ type: "Metaspace", replacement: "▁" }), "t.json")],
];

/** Streams that are hard: any tokens, single bytes, bytes that are no UTF-8, spaces, byte order marks, halves of characters. */
function randomIds(random: Random, tokenizer: Tokenizer, length: number): number[] {
  const byteIds = [0xff, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xef, 0xbb, 0xbf, 0xbd, 0x20, 0x41];
  const ids = tokenizer === tinyMoe ? byteIds.map(byteId) : byteIds;
  const few = [ids[random.integer(0, ids.length)]!, ids[random.integer(0, ids.length)]!];
  const kind = random.integer(0, 3);
  return Array.from({ length }, () => {
    if (kind === 0) return random.integer(0, tokenizer.vocabSize + 2);
    return kind === 1 ? ids[random.integer(0, ids.length)]! : few[random.integer(0, 2)]!;
  });
}

const idOfByte = new Map(
  [...tokenBytes()].filter(([, bytes]) => bytes.length === 1).map(([id, [byte]]) => [byte!, id]),
);
const byteId = (byte: number): number => idOfByte.get(byte)!;

describe.each(tokenizers)("random tokens of %s", (name, tokenizer) => {
  test("pieces are final and complete", () => {
    expect(tokenizer.decodesInWindows).toBe(true);
    const random = new Random(3);
    for (let i = 0; i < 300; i++) {
      const ids = randomIds(random, tokenizer, random.integer(1, 60));
      const skip = random.integer(0, 2) === 0;
      const text = tokenizer.decode(ids, { skipSpecialTokens: skip });
      const pieces = stream(tokenizer, ids, skip);
      if (pieces.join("") !== text) expect({ ids, text: pieces.join("") }).toEqual(text);
      // At most one U+FFFD is held back until the end.
      expect(pieces.at(-1)!.length).toBeLessThanOrEqual(1);
    }
  });

  // Metaspace alone knows no byte tokens.
  test.skipIf(name === "Metaspace").each([0, 1, 2, 3])(
    "emoji byte by byte after %i letters",
    (numLetters) => {
      const text = "A".repeat(numLetters) + "🦊😀".repeat(10);
      const ids = tokenizer === tinyMoe ? Array.from(Buffer.from(text), byteId) : [...Buffer.from(text)];
      expect(stream(tokenizer, ids).filter((piece) => piece !== "")).toEqual([...text]);
    },
  );

  test("a token costs the same at the end of a long stream", () => {
    const random = new Random(4);
    const streams = [[0xff], [0xf0], [0xe2, 0x82], [0xef, 0xbb, 0xbf], [0x20]].map((bytes) =>
      Array.from({ length: 600 }, (_, i) => bytes[i % bytes.length]!),
    );
    const all = streams.map((bytes) => (tokenizer === tinyMoe ? bytes.map(byteId) : bytes));
    const spaces = tokenizer.encode(" ".repeat(600));
    const decode = vi.spyOn(tokenizer, "decode");
    for (const ids of [...all, spaces, randomIds(random, tokenizer, 600)]) stream(tokenizer, ids);
    const lengths = decode.mock.calls.map(([ids]) => [...ids].length);
    decode.mockRestore();
    expect(Math.max(...lengths)).toBeLessThanOrEqual(16);
  });
});

test("a decoder that needs all tokens gives its text at the end", () => {
  const tokenizer = Tokenizer.parse(byteFallbackJson({ type: "WordPiece", prefix: "##" }), "t.json");
  expect(tokenizer.decodesInWindows).toBe(false);
  const ids = tokenizer.encode("bb");
  expect(stream(tokenizer, ids)).toEqual(["", "", tokenizer.decode(ids)]);
});
