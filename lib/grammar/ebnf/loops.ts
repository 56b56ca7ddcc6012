/**
 * Rules that are themselves again at one of their ends: `a ::= x a | y` is (x)* y (Arden's lemma; it holds whatever x and y are, also where
 * they refer to the rule inside).
 */
import { type GrammarNode, type GrammarRule, namesIn, sequence } from "./grammarText.js";

export interface Loop {
  /** What stands before the rule itself, or behind it: any of these. */
  readonly again: readonly GrammarNode[];
  /** What has not the rule itself at that end; at least one. */
  readonly rest: readonly GrammarNode[];
}

const empty: GrammarNode = { kind: "sequence", parts: [] };

/** @returns undefined where the rule is not itself again at this end, or elsewhere as well, but inside of what recurs */
export function loopOf({ name, body }: GrammarRule, end: "right" | "left"): Loop | undefined {
  const loop = split(body, name, end);
  return loop === undefined || loop.again.length === 0 || loop.rest.length === 0 ? undefined : loop;
}

function split(node: GrammarNode, name: string, end: "right" | "left"): Loop | undefined {
  if (![...namesIn(node)].some((one) => one.name === name)) return { again: [], rest: [node] };
  switch (node.kind) {
    case "name":
      return { again: [empty], rest: [] };
    case "choice": {
      const parts = node.parts.map((part) => split(part, name, end));
      if (parts.includes(undefined)) return undefined;
      const loops = parts as readonly Loop[];
      return { again: loops.flatMap(({ again }) => again), rest: loops.flatMap(({ rest }) => rest) };
    }
    case "sequence": {
      const last = end === "right" ? node.parts.at(-1)! : node.parts[0]!;
      const others = end === "right" ? node.parts.slice(0, -1) : node.parts.slice(1);
      const loop = split(last, name, end);
      if (!loop || others.some((part) => [...namesIn(part)].some((one) => one.name === name)))
        return undefined;
      const whole = (part: GrammarNode): GrammarNode =>
        sequence(end === "right" ? [...others, part] : [part, ...others]);
      return { again: loop.again.map(whole), rest: loop.rest.map(whole) };
    }
    case "repeat": {
      if (node.min !== 0 || node.max !== 1) return undefined;
      const loop = split(node.of, name, end);
      return loop && { again: loop.again, rest: [empty, ...loop.rest] };
    }
    case "text":
    case "class":
    case "pattern":
      return undefined;
  }
}
