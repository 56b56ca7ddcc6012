// Contract: where the vocabulary has a marker as a token, the token counts and its characters do not; other special tokens are left out.
import { describe, expect, test } from "vitest";
import { families, reasonings } from "../../toolcalls/families.js";
import { markersOf, states } from "../../toolcalls/machine.js";
import { TokenPieces } from "../../toolcalls/tokenPieces.js";
import { samples } from "./outputs.js";
import type { Sample } from "./sample.js";
import { parse, parserFor, withoutIds } from "./parse.js";
import { ToyVocabulary } from "./vocabulary.js";

const special = ["<|im_end|>", "｜DSML｜"];

/** Markers that are tokens of the family's models: those in brackets, not those that end in a name or begin with a line break. */
function vocabularyOf({ family, reasoningMarkers }: Sample): ToyVocabulary {
  const syntax = families.find(({ name }) => name === family);
  const all = markersOf(
    states(
      syntax,
      reasonings.find(({ name }) => name === reasoningMarkers),
    ),
  );
  const tokens = all.filter(
    (marker) => /^(?:<[^=\s]*>|\[\/?[A-Z_]+\])$/.test(marker) && !marker.includes("DSML"),
  );
  return new ToyVocabulary([...tokens, "</parameter>", "(now", '":'], special);
}

const cases = samples.map((sample) => [`${sample.family}: ${sample.title}`, sample] as const);
/** A string of the arguments holds a marker, which no tokenizer makes of text that somebody spells. */
const hasMarkerInString = ({ text }: Sample): boolean => text.includes("}] </tool_call>");

describe("tokens", () => {
  test.each(cases.filter(([, sample]) => !hasMarkerInString(sample)))("as from text: %s", (_, sample) => {
    const vocabulary = vocabularyOf(sample);
    const fromText = parse(parserFor(sample), [{ text: sample.text }]);
    const chunks = [...vocabulary.chunks(sample.text), ...vocabulary.chunks("<|im_end|>")];
    expect(withoutIds(parse(parserFor(sample, vocabulary), chunks))).toEqual(withoutIds(fromText));
  });

  test.each(
    ["hermes", "glm45", "mistral", "deepseek_v3", "deepseek_v31", "kimi_k2"].map((family) => {
      return samples.find((sample) => sample.family === family && (sample.calls?.length ?? 0) > 0)!;
    }),
  )("a call that is spelled is text: $family", (sample) => {
    const vocabulary = vocabularyOf(sample);
    const { text } = sample;
    const joined = parse(parserFor({ family: sample.family }, vocabulary), vocabulary.chunks(text, true));
    expect(joined).toEqual({ reasoning: "", content: text, calls: [] });
  });

  test("thoughts that begin later count as a token, not as text", () => {
    const sample = {
      family: "hermes",
      title: "",
      reasoningMarkers: "think",
      text: "Well: <think>a</think>b",
    } as const;
    const vocabulary = vocabularyOf(sample);
    expect(parse(parserFor(sample, vocabulary), vocabulary.chunks(sample.text))).toMatchObject({
      reasoning: "a",
      content: "Well:b",
    });
    expect(parse(parserFor(sample), [{ text: sample.text }])).toMatchObject({
      reasoning: "",
      content: sample.text,
    });
  });

  test("a closing token ends a value whose own tag is missing, and a call whose JSON is not whole", () => {
    const coder = samples.find(({ family }) => family === "qwen3_coder")!;
    const text = "<tool_call>\n<function=search>\n<parameter=query>\na</tool_call>ok";
    const vocabulary = vocabularyOf(coder);
    expect(withoutIds(parse(parserFor(coder, vocabulary), vocabulary.chunks(text)))).toEqual({
      reasoning: "",
      content: "ok",
      calls: [{ name: "search", arguments: '{"query":"a"}', complete: true }],
    });
    const hermes = samples[0]!;
    const broken = '<tool_call>{"name": "search", "arguments": {"query": "a</tool_call>ok';
    expect(
      withoutIds(parse(parserFor(hermes, vocabularyOf(hermes)), vocabularyOf(hermes).chunks(broken))),
    ).toEqual({
      reasoning: "",
      content: "ok",
      calls: [{ name: "search", arguments: '{"query": "a', complete: false }],
    });
  });
});

describe("text that comes later than its token", () => {
  const pieces = (
    ...chunks: readonly { readonly text: string; readonly tokenIds: readonly number[] }[]
  ): string[] => {
    const reader = new TokenPieces(vocabulary, ["<a>", "</a>"], ["<a>", "</a>"]);
    const all = [...chunks.flatMap((chunk) => reader.push(chunk)), ...reader.finish()];
    return all.map(({ text, isToken }) => (isToken ? `token ${text}` : text));
  };
  const vocabulary = new ToyVocabulary(["<a>", "</a>"], special);
  const id = (token: string): number => vocabulary.tokenId(token)!;

  test.each([
    [
      "in two parts",
      [
        ["x<", "<a>"],
        ["a>y", "y"],
      ],
      ["x", "token <a>", "y"],
    ],
    [
      "behind text that was held",
      [
        ["", "<a>"],
        ["held<a>", "b"],
      ],
      ["held", "token <a>"],
    ],
    ["two markers at once", [["<a>b</a>", "<a>", "b", "</a>"]], ["token <a>", "b", "token </a>"]],
    ["a special token in the middle", [["x<|im_end|>y", "x", "<|im_end|>", "y"]], ["x", "y"]],
    [
      "spelled before it is a token",
      [
        ["<a>", "<"],
        ["<a>", "<a>"],
      ],
      ["<a>", "token <a>"],
    ],
    [
      "a token without text",
      [
        ["", "<a>"],
        ["b</a>", "</a>"],
      ],
      ["b", "token </a>"],
    ],
  ] as const)("%s", (_, chunks, expected) => {
    const given = chunks.map(([text, ...tokens]) => ({ text, tokenIds: tokens.map(id) }));
    expect(pieces(...given)).toEqual(expected);
  });
});
