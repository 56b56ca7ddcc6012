/** A vocabulary with all that tokens may be: bytes, overlapping words, parts of characters, one text twice, none, special ones. */
import { controlBytes, specialByte } from "../../lib/grammar/syntax/controlTokens.js";

const words = [
  ...["a", "ab", "abc", "abcd", "b", "ba", "bb", "aa", "aaa", "aaaa", "c", "ca", "x", "xy", "xyz", "y", "z"],
  ...["{", "}", "[", "]", '"', '":', '",', '{"', '{"a', '{"a":', '"}', "[]", "{}", "[[", "]]", "],", "},{"],
  ...[",", ",,", ":", ": ", " ", "  ", "\n", "\n\n", "\t", "\\", '\\"', "\\u00", "\\n", "/", "'", "#", "//"],
  ...["0", "1", "2", "9", "10", "12", "123", "-", "-1", ".", ".5", "0.5", "e", "e+", "E-", "1e", "00", "-0"],
  ...["true", "false", "null", "tr", "ue", "nul", "l", "t", "f", "n", "if", "else", "then", "end", " end"],
  ...["é", "ée", "éé", "ß", "是", "是否", "😀", "😀a", "a😀", "\u{80}", "\u{7ff}", "\u{800}", "\u{ffff}"],
  ...["(", ")", "((", "))", "()", ")(", "+", "*", "a+", "+a", "=", "==", "<", ">", "</", "A", "B", "Ab", "Z"],
  ...["the", " the", "he", "hello", "ello", " world", "world", "wor", "ld", "Hello", "HELLO", "a b", "b c"],
  ...["a,b", "a, b", "1,2", "1+2", '"a"', '"b":', '"a":1', '"":', "2024", "2024-", "-01", "-12", "T", "Z\n"],
];
const parts = [
  [0xc3],
  [0xa9],
  [0xa9, 0x61],
  [0xe6],
  [0xe6, 0x98],
  [0x98, 0xaf],
  [0xf0, 0x9f],
  [0xf0, 0x9f, 0x98],
];
const more = [
  [0x98, 0x80],
  [0x80],
  [0xbf],
  [0xff],
  [0xff, 0xfe],
  [0x00],
  [0x61, 0xc3],
  [0xed, 0xa0, 0x80],
  [0xc0, 0x80],
];
const special = ["<|end|>", "<think>", "a"];

export const testVocabulary: readonly Uint8Array[] = [
  new Uint8Array(),
  ...words.map((word) => Buffer.from(word)),
  ...[...parts, ...more].map((bytes) => Uint8Array.from(bytes)),
  ...special.map((text) => controlBytes([text, specialByte])),
  ...Array.from({ length: 127 - 32 }, (_, i) => Buffer.of(32 + i)), // most of them a second time
  new Uint8Array(),
  Buffer.from("a".repeat(40)),
  Buffer.from("plain text of more than thirty characters"),
  Buffer.from("ab"),
];
/** Tokens that no grammar of text has. */
export const noText = testVocabulary.flatMap((bytes, id) =>
  bytes.length === 0 || bytes[0] === 0xff ? [id] : [],
);

/** Those of a mask. */
export const tokensOf = (mask: Int32Array): number[] =>
  testVocabulary.flatMap((_, id) => ((mask[id >> 5]! >>> (id & 31)) & 1 ? [id] : []));
