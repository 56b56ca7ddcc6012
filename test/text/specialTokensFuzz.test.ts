// Contract: whatever the files beside tokenizer.json hold, the outcome is a working tokenizer or a TextError that names one.
import { expect, test } from "vitest";
import { TextError } from "../../lib/errors.js";
import { Detokenizer } from "../../lib/text/detokenizer.js";
import { textInside } from "../../lib/text/tokenText.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { Random } from "../support/random.js";
import { firstSeed } from "../support/seed.js";
import { byteLevelJson, sentencePieceJson } from "./tokenizerFiles.js";

const junk: readonly unknown[] = [
  null, true, 0, -1, 1.5, 1e12, 256, "", "a", "<s>", "\ud800", "__proto__", [], {}, ["<s>", 3], { content: "<s>" },
  { content: "b", lstrip: true, rstrip: 1 }, { content: 5 }, { "-1": {} }, { 256: { content: "a", special: true } },
  { 300: { content: "<t>", single_word: true } }, { 300: { content: " ", rstrip: true } }, { 4194304: { content: "x" } },
]; // prettier-ignore
const values = (random: Random, fields: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(fields.map((field) => [field, structuredClone(junk[random.integer(0, junk.length)])]));

const names = ["bos_token", "eos_token", "pad_token", "additional_special_tokens", "extra_special_tokens"];
const configFields = [...names, "added_tokens_decoder", "tokenizer_class", "add_bos_token", "add_eos_token"];
const flags = ["split_special_tokens", "remove_space", "do_lowercase_and_remove_accent"];
const classes = ["LlamaTokenizerFast", "GemmaTokenizer", "Qwen2Tokenizer"];
const jsons = [
  byteLevelJson(["<s>", "</s>"]),
  byteLevelJson(["<s>"], { normalizer: { type: "Lowercase" } }),
  sentencePieceJson(["▁", "a", "▁a", "b"], ["▁ a"]),
].map((json) => JSON.stringify(json));

/** Uses everything; throws what the tokenizer throws. */
function use(tokenizer: Tokenizer): void {
  const text = "a <s>b</s>  <t>  a🦊b <s> ".repeat(20);
  const ids = tokenizer.encode(text);
  expect(ids.every((id) => id >= 0 && id < tokenizer.vocabSize)).toBe(true);
  expect(tokenizer.eosIds.every((id) => tokenizer.isSpecial(id))).toBe(true);
  for (const id of ids.subarray(0, 20)) expect(typeof textInside(tokenizer, id)).toBe("string");
  const specials = Array.from(text, (_, at) => tokenizer.specialAt(text, at)).filter(
    (token) => token !== undefined,
  );
  expect(specials.every((token) => tokenizer.isSpecial(tokenizer.tokenId(token)!))).toBe(true);
  const [prompt, rest] = [[...ids.subarray(0, 10)], ids.subarray(10, 60)];
  const detokenizer = new Detokenizer(tokenizer, { context: prompt });
  const streamed = Array.from(rest, (id) => detokenizer.push(id)).join("") + detokenizer.flush();
  const whole = tokenizer.decode([...prompt, ...rest]);
  expect(whole.endsWith(streamed)).toBe(true);
}

test("random fields", () => {
  const random = new Random(firstSeed);
  const outcomes = { working: 0, refused: 0 };
  for (let i = 0; i < 600; i++) {
    const some = (fields: readonly string[]) =>
      values(
        random,
        fields.filter(() => random.integer(0, 3) === 0),
      );
    const config = {
      ...some(configFields),
      ...some(flags),
      ...(i % 3 === 0 && { tokenizer_class: classes[(i % 9) / 3] }),
    };
    const others = { specialTokensMap: some(names), addedTokens: i % 4 === 0 ? some(["<t>", "a", "c"]) : {} };
    try {
      use(Tokenizer.parse(jsons[random.integer(0, jsons.length)]!, "folder/tokenizer.json", config, others));
      outcomes.working++;
    } catch (error) {
      const given = JSON.stringify({ i, config, others });
      if (!(error instanceof TextError)) throw new Error(`${String(error)}\n${given}`, { cause: error });
      expect(error.file).toMatch(/^folder\/(tokenizer_config|added_tokens|tokenizer)\.json$/);
      outcomes.refused++;
    }
  }
  expect(outcomes.working).toBeGreaterThan(50);
  expect(outcomes.refused).toBeGreaterThan(50);
});
