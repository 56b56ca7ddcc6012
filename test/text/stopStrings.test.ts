// Contract: the text ends at the stop string that is complete first, whatever the pieces; nothing of a stop string is shown
// early, and nothing else is held back.
import { describe, expect, test } from "vitest";
import { StopStringMatcher } from "../../lib/text/stopStrings.js";
import { Random } from "../support/random.js";

interface Outcome {
  readonly text: string;
  readonly stopped: string | null;
}

/** The specification: of all places where a stop string ends the first, and there the longest. */
function expected(text: string, stops: readonly string[], includeStop: boolean): Outcome {
  for (let end = 1; end <= text.length; end++) {
    const found = stops
      .filter((stop) => text.slice(0, end).endsWith(stop))
      .sort((a, b) => b.length - a.length)[0];
    if (found === undefined) continue;
    return { text: text.slice(0, includeStop ? end : end - found.length), stopped: found };
  }
  return { text, stopped: null };
}

/** Length of the longest end of a text that may become a stop string. */
function numUndecided(text: string, stops: readonly string[]): number {
  const isPrefix = (end: string): boolean =>
    stops.some((stop) => stop.length > end.length && stop.startsWith(end));
  for (let start = 0; start < text.length; start++)
    if (isPrefix(text.slice(start))) return text.length - start;
  return 0;
}

function run(pieces: readonly string[], stops: readonly string[], includeStop: boolean): Outcome {
  const matcher = new StopStringMatcher(stops, { includeStop });
  let [text, seen, stopped] = ["", "", null as string | null];
  for (const piece of pieces) {
    const step = matcher.push(piece);
    text += step.text;
    seen += piece;
    stopped = step.stopped;
    expect(matcher.stopped).toBe(stopped);
    if (stopped === null) expect(seen.length - text.length).toBe(numUndecided(seen, stops));
  }
  return { text: text + matcher.flush(), stopped };
}

/** Cuts a text after character i where bit i of the mask is set. */
function cutBy(text: string, mask: number): string[] {
  const pieces = [""];
  for (let i = 0; i < text.length; i++) {
    pieces[pieces.length - 1] += text.charAt(i);
    if (mask & (1 << i)) pieces.push("");
  }
  return pieces;
}

test.each<[string, string[], string, string | null]>([
  ["no stop strings", [], "no stop strings", null],
  ["one two END three", ["END"], "one two ", "END"],
  ["END", ["END"], "", "END"],
  ["ENEND", ["END"], "EN", "END"],
  ["ends with EN", ["END"], "ends with EN", null],
  ["abcd", ["abcd", "bc"], "a", "bc"],
  ["xab", ["b", "ab"], "x", "ab"],
  ["aaab", ["aab"], "a", "aab"],
  ["여우 🦊끝", ["🦊끝", "🦉"], "여우 ", "🦊끝"],
  ["여우 🦉", ["🦊"], "여우 🦉", null],
  ["a\n\nUser:", ["\nUser:", "\n\n\n"], "a\n", "\nUser:"],
  ["same", ["a", "a"], "s", "a"],
])("%s, stops %j", (text, stops, shown, stopped) => {
  expect(run([text], stops, false)).toEqual({ text: shown, stopped });
  expect(run([...text], stops, true)).toEqual({ text: shown + (stopped ?? ""), stopped });
});

describe("random stops over two letters", () => {
  const random = new Random(5);
  const word = (length: number): string => Array.from({ length }, () => "ab"[random.integer(0, 2)]).join("");

  test.each(Array.from({ length: 40 }, (_, i) => i))("all ways to cut text %i", () => {
    const text = word(random.integer(1, 10));
    const stops = Array.from({ length: random.integer(1, 4) }, () => word(random.integer(1, 6)));
    const includeStop = random.integer(0, 2) === 0;
    const outcome = expected(text, stops, includeStop);
    for (let mask = 0; mask < 1 << (text.length - 1); mask++) {
      expect(run(cutBy(text, mask), stops, includeStop)).toEqual(outcome);
    }
  });

  test("long texts, random cuts", () => {
    for (let i = 0; i < 200; i++) {
      const text = word(200);
      const stops = [word(random.integer(4, 9)), word(random.integer(4, 9)), "aaaaaaaaab"];
      const pieces: string[] = [];
      for (let at = 0; at < text.length;) pieces.push(text.slice(at, (at += random.integer(0, 12))));
      expect(run(pieces, stops, false)).toEqual(expected(text, stops, false));
    }
  });
});

test("after the stop nothing comes any more", () => {
  const matcher = new StopStringMatcher(["x"]);
  expect(matcher.push("axb")).toEqual({ text: "a", stopped: "x" });
  expect(matcher.push("c")).toEqual({ text: "", stopped: "x" });
  expect(matcher.flush()).toBe("");
});

test("flush gives what was held back, and starts afresh", () => {
  const matcher = new StopStringMatcher(["abc"]);
  expect(matcher.push("ab").text + matcher.flush()).toBe("ab");
  expect(matcher.push("c")).toEqual({ text: "c", stopped: null });
});

test.each<[unknown, string, string]>([
  ["END", "ERR_ARGUMENT_TYPE", "stops"],
  [["a", 5], "ERR_ARGUMENT_TYPE", "stops[1]"],
  [["a", ""], "ERR_ARGUMENT_RANGE", "stops[1]"],
])("refuses %j", (stops, code, part) => {
  const make = (): StopStringMatcher => new StopStringMatcher(stops as string[]);
  expect(make).toThrow(expect.objectContaining({ code }));
  expect(make).toThrow(part);
});
