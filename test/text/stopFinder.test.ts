// Contract: a stop string with special tokens in it ends a text in which they are not shown, at the character where it is
// complete, whatever the pieces; stop strings without them see the shown text only.
import { describe, expect, test, vi } from "vitest";
import { runNow } from "../../lib/eventLoop.js";
import { prepareStops, StopFinder } from "../../lib/text/stopFinder.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { Random } from "../support/random.js";
import { byteLevelJson, spellsSpecial } from "./tokenizerFiles.js";

const specials = ["<|a|>", "<|b|>", "<|a|>x", "$^(.*)"];
const tokenizer = Tokenizer.parse(JSON.stringify(byteLevelJson(specials)), "t.json");
const special = (text: string): number => tokenizer.tokenId(text)!;

/** Text that is shown, or the id of a special token. */
type Item = string | number;

const unitsOf = (items: readonly Item[]): Item[] =>
  items.flatMap((item): Item[] => (typeof item === "string" ? [...item] : [item]));

interface Outcome {
  readonly text: string;
  readonly stopped: string | null;
}

function run(items: readonly Item[], stops: readonly string[], includeStop = false): Outcome {
  const finder = new StopFinder(runNow(prepareStops(stops, tokenizer)), { includeStop });
  let text = "";
  for (const item of items) {
    if (typeof item === "string") text += finder.push(item).text;
    else if (finder.watches(item)) text += finder.pushHidden(item).text;
  }
  return { text: text + finder.flush(), stopped: finder.stopped };
}

const [a, b] = [special("<|a|>"), special("<|b|>")];

test.each<[string, Item[], string[], string, string | null]>([
  ["a special token", ["Hi!", a, "more"], ["<|a|>"], "Hi!", "<|a|>"],
  ["as the first token", [a, "more"], ["<|a|>"], "", "<|a|>"],
  ["one that is no stop string", ["Hi!", b, "more"], ["<|a|>"], "Hi!more", null],
  ["with text behind it", ["Hi!", a, "\nmore"], ["<|a|>\n"], "Hi!", "<|a|>\n"],
  ["with other text behind it", ["Hi!", a, "more"], ["<|a|>\n"], "Hi!more", null],
  ["with text before it", ["x Hi", "!", a], ["Hi!<|a|>"], "x ", "Hi!<|a|>"],
  ["two of them", ["x", a, b, "y"], ["<|a|><|b|>"], "x", "<|a|><|b|>"],
  ["text between two", ["x", a, "yz", b, "w"], ["<|a|>yz<|b|>"], "x", "<|a|>yz<|b|>"],
  ["other text between two", ["x", a, "yy", b, "w"], ["<|a|>yz<|b|>"], "xyyw", null],
  ["one inside of which another starts", ["x", special("<|a|>x"), "w"], ["<|a|>x"], "x", "<|a|>x"],
  ["a special character of patterns", ["x", special("$^(.*)"), "w"], ["$^(.*)"], "x", "$^(.*)"],
  ["spelled by ordinary tokens", ["x<|", "a|>y"], ["<|a|>"], "x", "<|a|>"],
  ["a plain stop around a special token", ["fo", a, "ob"], ["foo", "<|b|>"], "", "foo"],
  ["a plain stop around one that is watched", ["fo", a, "ob"], ["foo", "<|a|>z"], "", "foo"],
  ["part of a special token", ["fo", a, "o"], ["|>", "<|b|>"], "foo", null],
  ["the special stop is complete first", ["ab", a, "cd"], ["abcd", "<|a|>"], "ab", "<|a|>"],
  ["the plain stop is complete first", ["ab", a, "cd"], ["<|a|>cd", "bc"], "a", "bc"],
  ["both at once: the longer", ["ab", a, "cd"], ["<|a|>c", "bc"], "ab", "<|a|>c"],
])("%s", (_, items, stops, text, stopped) => {
  expect(run(items, stops)).toEqual({ text, stopped });
  expect(run(items, stops, true)).toEqual({ text: text + (stopped ?? ""), stopped });
  expect(run(unitsOf(items), stops)).toEqual({ text, stopped });
});

/** The specification: the shown text and all text grow by one unit or one token; the first stop string that ends one wins. */
function expected(items: readonly Item[], stops: readonly string[], includeStop: boolean): Outcome {
  const watched = runNow(prepareStops(stops, tokenizer)).special;
  const inAll = new Set(stops.filter((stop) => spellsSpecial(tokenizer, stop)));
  let all: { readonly unit: string; readonly isShown: boolean }[] = [];
  const shownOf = (entries: typeof all) => entries.filter(({ isShown }) => isShown).map(({ unit }) => unit);
  for (const unit of unitsOf(items)) {
    const isShown = typeof unit === "string";
    if (!isShown && !watched?.tokens.has(unit)) continue;
    all = [...all, ...[...(isShown ? unit : tokenizer.tokenText(unit)!)].map((u) => ({ unit: u, isShown }))];
    const [allText, shownText] = [all.map((entry) => entry.unit).join(""), shownOf(all).join("")];
    const found = stops.flatMap((stop) => {
      if (inAll.has(stop) && allText.endsWith(stop))
        return [[stop, shownOf(all.slice(0, -stop.length)).length] as const];
      if (isShown && shownText.endsWith(stop)) return [[stop, shownText.length - stop.length] as const];
      return [];
    });
    const longest = found.sort(([s], [t]) => t.length - s.length)[0];
    if (longest === undefined) continue;
    const [stop, length] = longest;
    return { text: shownText.slice(0, length) + (includeStop ? stop : ""), stopped: stop };
  }
  return { text: shownOf(all).join(""), stopped: null };
}

describe("random texts", () => {
  test.each([1, 2, 3])("seed %i", (seed) => {
    const random = new Random(seed);
    const item = (): Item => [a, b, "x", "y", "xy", "yx"][random.integer(0, 6)]!;
    const spell = (items: readonly Item[]): string =>
      items.map((part) => (typeof part === "string" ? part : tokenizer.tokenText(part)!)).join("");
    let numStopped = 0;
    for (let i = 0; i < 500; i++) {
      const items = Array.from({ length: random.integer(0, 12) }, item);
      const stops = Array.from({ length: random.integer(1, 4) }, () =>
        spell(Array.from({ length: random.integer(1, 4) }, item)),
      );
      const includeStop = random.integer(0, 2) === 0;
      const outcome = run(items, stops, includeStop);
      expect({ items, stops, ...outcome }).toEqual({ items, stops, ...expected(items, stops, includeStop) });
      if (outcome.stopped !== null) numStopped++;
    }
    expect(numStopped).toBeGreaterThan(100);
  });
});

test("text is held back only while it may belong to a stop string", () => {
  const stops = ["!<|a|>\n"];
  const finder = new StopFinder(runNow(prepareStops(stops, tokenizer)), { includeStop: false });
  expect(finder.push("Hi").text).toBe("Hi");
  expect(finder.push("!").text).toBe("");
  expect(finder.pushHidden(a).text).toBe("");
  expect(finder.push("x").text).toBe("!x");
  expect(finder.push("!").text).toBe("");
  expect(finder.flush()).toBe("!");
});

test.each([
  ["one long string", [`${"a".repeat(200_000)}<|a|>`]],
  ["thousands of short ones", Array.from({ length: 20_000 }, (_, i) => `stop ${i}`)],
  ["hundreds of long ones", Array.from({ length: 400 }, (_, i) => `${"b".repeat(240)}${i}<|b|>`)],
])("stop strings are prepared in small steps: %s", (_, stops) => {
  const units = stops.reduce((sum, stop) => sum + stop.length, 0);
  const specialAt = vi.spyOn(tokenizer, "specialAt");
  const steps = prepareStops(stops, tokenizer);
  let [numSteps, most, before] = [0, 0, 0];
  for (let step = steps.next(); !step.done; step = steps.next()) {
    numSteps++;
    most = Math.max(most, specialAt.mock.calls.length - before);
    before = specialAt.mock.calls.length;
  }
  specialAt.mockRestore();
  expect(most).toBeLessThanOrEqual(4096);
  expect(numSteps).toBeGreaterThan((1.9 * units) / 2048); // looked at for tokens, and put into the automaton
});
