/** The states of one parser: those of the family, and what all share. Says which markers are looked for in the text, and which are tokens. */
import type { Edge, EntryEdge, ReasoningSyntax, State, ToolSyntax } from "./syntax.js";

export interface CompiledState extends State {
  readonly name: string;
  readonly isOutside: boolean;
  /** Edges whose markers are looked for in the text, and their markers. */
  readonly textEdges: readonly EntryEdge[];
  readonly texts: readonly string[];
  readonly tokenEdges: ReadonlyMap<string, EntryEdge>;
}

export type Machine = ReadonlyMap<string, CompiledState>;

/** Where text stands that belongs to no call. */
const outside: ReadonlySet<string> = new Set(["start", "opening", "content", "reasoning"]);

/** The states by name. */
export function states(
  syntax: ToolSyntax | undefined,
  reasoning: ReasoningSyntax | undefined,
): Readonly<Record<string, State>> {
  const entries = syntax?.entries ?? [];
  const marked = entries.filter(({ bare }) => bare === undefined);
  const open = reasoning ? [{ on: reasoning.open, to: "opening" }] : [];
  const close = reasoning ? [{ on: reasoning.close, to: "start" }] : [];
  // Spelled in the middle of an answer it is a word like others.
  const tokens = open.map((edge): Edge => ({ ...edge, tokenOnly: true }));
  return {
    start: { rule: "blank", edges: [...entries, ...open], otherwise: "content" },
    content: { rule: "content", edges: [...entries.filter(({ bare }) => bare !== "start"), ...tokens] },
    opening: { rule: "blank", edges: [...open, ...close, ...marked], otherwise: "reasoning" },
    reasoning: { rule: "reasoning", edges: [...close, ...marked] },
    ...syntax?.states,
  };
}

/** All markers of these states. */
export function markersOf(all: Readonly<Record<string, State>>): readonly string[] {
  return [...new Set(Object.values(all).flatMap(({ edges = [] }) => edges.map(({ on }) => on)))];
}

/** In brackets of their own: not "(", "=" and the like, which many vocabularies have. */
const tokenForm = /^(?:<[^<>\s]+>|\[\/?[A-Z_]+\])$/;

/** Those that count as tokens where a vocabulary has them. */
export function tokenMarkers(markers: readonly string[], syntax: ToolSyntax | undefined): readonly string[] {
  return markers.filter((marker) => tokenForm.test(marker) && !syntax?.spelled?.includes(marker));
}

/** @param tokens markers that count as tokens only */
export function compile(all: Readonly<Record<string, State>>, tokens: ReadonlySet<string>): Machine {
  return new Map(
    Object.entries(all).map(([name, state]) => {
      const edges: readonly EntryEdge[] = state.edges ?? [];
      const textEdges = edges.filter(({ on, tokenOnly }) => !tokens.has(on) && tokenOnly !== true);
      const compiled: CompiledState = {
        ...state,
        ...{ name, isOutside: outside.has(name), textEdges },
        texts: textEdges.map(({ on }) => on),
        tokenEdges: new Map(edges.map((edge) => [edge.on, edge])),
      };
      return [name, compiled];
    }),
  );
}

/** The first marker in a text, of two at the same place the longer one; undefined also where a longer one may still come there. */
export function findEdge(
  text: string,
  edges: readonly EntryEdge[],
): { readonly at: number; readonly edge: EntryEdge } | undefined {
  let found: { readonly at: number; readonly edge: EntryEdge } | undefined;
  for (const edge of edges) {
    const at = text.indexOf(edge.on);
    if (at < 0) continue;
    const isFirst = !found || at < found.at || (at === found.at && edge.on.length > found.edge.on.length);
    if (isFirst) found = { at, edge };
  }
  const rest = found ? text.slice(found.at) : "";
  return edges.some(({ on }) => on.length > rest.length && rest !== "" && on.startsWith(rest))
    ? undefined
    : found;
}
