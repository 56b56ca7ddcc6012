/** Arrays as rules. */
import type { GrammarSymbol } from "../syntax/rules.js";
import { type ArrayShape, arrayShape, type Contained } from "./containers.js";
import { type Conjunction, made, oppositeOf, schemaError } from "./schemaAt.js";
import type { ValueWriter } from "./valueWriter.js";

/** Of items, times how many of those that are contained. */
const maxCounted = 20_000;

/** The forms of arrays that are valid for all of these. @throws ArgumentRangeError */
export function arrayRules(list: Conjunction, to: ValueWriter): readonly (readonly GrammarSymbol[])[] {
  const shape = arrayShape(list);
  if (shape.min > shape.max) return [];
  if (shape.contains) return containing(shape, shape.contains, to);
  return plain(shape, to);
}

function plain(
  { prefix, rest, min, max }: ArrayShape,
  to: ValueWriter,
): readonly (readonly GrammarSymbol[])[] {
  const { grammar, punctuation, sequences } = to;
  const { comma } = punctuation;
  const rules: (readonly GrammarSymbol[])[] = [];
  const items = prefix.slice(0, max).map((one) => to.symbolOf(one));
  const first = (count: number): GrammarSymbol[] =>
    items.slice(0, count).flatMap((item, i) => (i === 0 ? [item] : [comma, item]));
  // Those that end within the prefix.
  for (let count = min; count < Math.min(items.length, max + 1); count++)
    rules.push(punctuation.enclosed("[]", first(count)));
  if (max < items.length) return rules;
  const [least, most] = [Math.max(0, min - items.length), max - items.length];
  if (most === 0) return [...rules, punctuation.enclosed("[]", first(items.length))];
  const item = to.symbolOf(rest);
  const more =
    items.length === 0
      ? [sequences.separated(item, comma, least, most)]
      : sequences.of(grammar.choice([[comma, item]]), least, most);
  return [...rules, punctuation.enclosed("[]", [...first(items.length), ...more])];
}

/** Item by item, counting those that are contained as far as it matters. */
function containing(
  { prefix, rest, min, max }: ArrayShape,
  { value, min: least, max: most }: Contained,
  to: ValueWriter,
): readonly (readonly GrammarSymbol[])[] {
  const { grammar, punctuation } = to;
  const length = max === Infinity ? Math.max(min, prefix.length + 1) : max;
  const hits = most === Infinity ? least : most;
  if ((length + 1) * (hits + 1) > maxCounted)
    throw schemaError(
      value.pointer.slice(0, value.pointer.lastIndexOf("/")),
      "contains",
      "too many items are counted",
    );
  // With a limit items that are not contained have to be so; without one it is the same to count too few.
  const other = most === Infinity ? [] : [made(value, "not contained", oppositeOf(value.schema))];
  // By how many items there are, and how many of them were counted: what comes before.
  const places = Array.from({ length: length + 1 }, () =>
    Array.from({ length: hits + 1 }, () => grammar.nonterminal()),
  );
  grammar.rule(places[0]![0]!, []);
  for (const [count, row] of places.entries()) {
    const next = places[count + 1] ?? (max === Infinity ? row : undefined);
    if (!next) break;
    const item = prefix[count] ?? rest;
    const comma = count === 0 ? [] : [punctuation.comma];
    const [contained, not] = [to.symbolOf([...item, value]), to.symbolOf([...item, ...other])];
    for (const [hit, place] of row.entries()) {
      grammar.rule(next[hit]!, [place, ...comma, not]);
      const more = row[hit + 1] === undefined ? (most === Infinity ? hit : undefined) : hit + 1;
      if (more !== undefined) grammar.rule(next[more]!, [place, ...comma, contained]);
    }
  }
  return places
    .slice(min)
    .flatMap((row) => row.slice(least).map((place) => punctuation.enclosed("[]", [place])));
}
