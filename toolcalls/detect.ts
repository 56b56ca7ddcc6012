/**
 * Which family a checkpoint belongs to, found out by rendering its chat template: the family is the one whose parser reads back a
 * call that the template writes. No name of a model is looked at.
 */
import { isDeepStrictEqual } from "node:util";
import type { ChatMessage } from "../lib/index.js";
import type { ToolDefinition } from "./events.js";
import { families, reasonings } from "./families.js";
import { type HistoryForm, plainHistory, toTemplateMessages } from "./history.js";
import { OutputParser } from "./parser.js";
import type { ReasoningSyntax, ToolSyntax } from "./syntax.js";
import { findThinkingSwitch } from "./thinkingSwitch.js";
import type { Vocabulary } from "./tokenPieces.js";

/** Renders a chat with the checkpoint's template. Throws, or rejects, what the template does not take. */
export type RenderChat = (
  messages: readonly ChatMessage[],
  options: {
    readonly tools?: readonly object[];
    readonly templateOptions?: Readonly<Record<string, unknown>>;
  },
) => string | Promise<string>;

/** How a checkpoint writes calls and thoughts, and what its template wants of the history. */
export interface ChatFormat {
  /** Undefined: calls are not known, all is text. */
  readonly syntax: ToolSyntax | undefined;
  readonly reasoning: ReasoningSyntax | undefined;
  readonly history: HistoryForm;
  /** Whether the template tells the model of `tools`. Where it does not, a chat with tools is an error. */
  readonly takesTools: boolean;
  /** The variable of the template that turns thoughts on and off. */
  readonly thinkingSwitch?: string | undefined;
}

const question = "probe question";
const answer = "probe answer";
const thought = "probe thought";
const words = "probe words";
const result = "probe result";
const ids = ["probe0001", "probe0002"];
const callArguments = { probe_key: "probe value", probe_count: 7 };
const probeTool: ToolDefinition & { readonly type: "function" } = {
  type: "function",
  function: {
    name: "probe_tool",
    description: "a tool",
    parameters: {
      type: "object",
      properties: {
        probe_key: { type: "string", description: "a key" },
        probe_count: { type: "integer", description: "a count" },
      },
      required: ["probe_key"],
    },
  },
};
const user: ChatMessage = { role: "user", content: question };

/** A message with calls, and results, as a client sends them. */
function conversation(numCalls: number, fields: Readonly<Record<string, unknown>> = {}): ChatMessage[] {
  const called = ids.slice(0, numCalls);
  const toolCalls = called.map((id) => ({
    ...{ id, type: "function" },
    function: { name: "probe_tool", arguments: JSON.stringify(callArguments) },
  }));
  const results = called.map((id) => ({ role: "tool", tool_call_id: id, content: result }));
  return [user, { role: "assistant", content: null, ...fields, tool_calls: toolCalls }, ...results];
}

/** What the template writes for the assistant's turn. */
interface Turn {
  /** From the end of the prompt on, and from the end of the question on: a call without markers counts only at the beginning. */
  readonly texts: readonly string[];
  readonly length: number;
}

class Prober {
  readonly #render: RenderChat;
  /** Whether the template reads `tools`. */
  readonly takesTools: boolean;
  /** The prompt of the question. */
  readonly #prompt: string | undefined;
  readonly #turns = new Map<string, Promise<Turn | undefined>>();

  private constructor(render: RenderChat, withTools: string | undefined, without: string | undefined) {
    this.#render = render;
    this.takesTools = withTools !== undefined;
    this.#prompt = withTools ?? without;
  }

  static async of(render: RenderChat): Promise<Prober> {
    const text = async (options: object): Promise<string | undefined> => rendered(render, [user], options);
    return new Prober(render, await text({ tools: [probeTool] }), await text({}));
  }

  get prompt(): string | undefined {
    return this.#prompt;
  }

  /** The text; undefined if the template does not take the messages. */
  text(
    messages: readonly ChatMessage[],
    options: Parameters<RenderChat>[1] = {},
  ): Promise<string | undefined> {
    return rendered(this.#render, messages, options);
  }

  /** The same messages in the same form are rendered once. */
  turn(messages: readonly ChatMessage[], form: HistoryForm): Promise<Turn | undefined> {
    const converted = toTemplateMessages(messages, form);
    const key = JSON.stringify(converted);
    const turn = this.#turns.get(key) ?? this.#turn(converted);
    this.#turns.set(key, turn);
    return turn;
  }

  async #turn(messages: readonly ChatMessage[]): Promise<Turn | undefined> {
    const options = this.takesTools ? { tools: [probeTool] } : {};
    const text = await this.text(messages, options);
    if (text === undefined) return undefined;
    const turn = text.slice(text.lastIndexOf(question) + question.length);
    const prompt = this.#prompt;
    const isPrefix = prompt !== undefined && text.startsWith(prompt);
    return { texts: isPrefix ? [text.slice(prompt.length), turn] : [turn], length: text.length };
  }

  /** Whether the template writes all calls so that the family's parser reads them. */
  async reads(syntax: ToolSyntax, form: HistoryForm, numCalls: number, fields = {}): Promise<boolean> {
    return reads(syntax, await this.turn(conversation(numCalls, fields), form), numCalls);
  }
}

async function rendered(
  render: RenderChat,
  messages: readonly ChatMessage[],
  options: Parameters<RenderChat>[1],
): Promise<string | undefined> {
  try {
    return await render(messages, options);
  } catch {
    return undefined;
  }
}

const reads = (syntax: ToolSyntax, turn: Turn | undefined, numCalls: number): boolean =>
  turn?.texts.some((text) => numProbeCalls(syntax, text) === numCalls) ?? false;

function numProbeCalls(syntax: ToolSyntax, text: string): number {
  const options = { syntax, reasoning: undefined, tools: [probeTool], startsInReasoning: false };
  const parser = new OutputParser(options);
  const jsons = new Map<number, string>();
  const names = new Map<number, string>();
  for (const event of [...parser.push({ text }), ...parser.finish()]) {
    if (event.type === "callStart") names.set(event.index, event.name);
    if (event.type === "arguments") jsons.set(event.index, (jsons.get(event.index) ?? "") + event.text);
  }
  return [...names].filter(([index, name]) => {
    return name === "probe_tool" && isDeepStrictEqual(parsed(jsons.get(index)), callArguments);
  }).length;
}

function parsed(json = ""): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** Rows instead of what is found; null: none. */
export interface KnownFormat {
  readonly syntax?: ToolSyntax | null | undefined;
  readonly reasoning?: ReasoningSyntax | null | undefined;
}

/**
 * Finds the format of a checkpoint.
 *
 * @param render `(messages, options) => llm.renderChat(messages, options)`; its template is rendered some fifty times
 * @param vocabulary `llm.tokenizer`: tokens that only one family has, and markers of thoughts that are tokens, count where the
 * template says nothing
 * @param known what is not looked for
 */
export async function detectFormat(
  render: RenderChat,
  vocabulary?: Vocabulary | null,
  known: KnownFormat = {},
): Promise<ChatFormat> {
  const prober = await Prober.of(render);
  const candidates = known.syntax === undefined ? families : known.syntax === null ? [] : [known.syntax];
  const found = (await readBack(prober, candidates)) ?? hinted(prober, vocabulary ?? undefined, known.syntax);
  const { syntax, form } = found ?? { syntax: undefined, form: plainHistory };
  const history = await refine(prober, syntax, form);
  const { takesTools } = prober;
  const thinkingSwitch = await findThinkingSwitch(render);
  // Harmony's messages say themselves what is thought.
  const isImplied = known.reasoning === null || syntax?.initial !== undefined;
  const reasoning =
    known.reasoning ?? (isImplied ? undefined : await findReasoning(prober, vocabulary ?? undefined));
  return { syntax, reasoning, history, takesTools, thinkingSwitch };
}

interface Found {
  readonly syntax: ToolSyntax;
  readonly form: HistoryForm;
}

/** The first family and form that is read back; of contents that stand for none the one for which less is written. */
async function readBack(prober: Prober, candidates: readonly ToolSyntax[]): Promise<Found | undefined> {
  for (const syntax of candidates) {
    for (const args of ["object", "text"] as const) {
      const forms = (["", null] as const).map((emptyContent) => {
        return { ...plainHistory, arguments: args, emptyContent, ids: syntax.ids };
      });
      const turns = await Promise.all(forms.map((form) => prober.turn(conversation(1), form)));
      const lengths = turns.map((turn) => (reads(syntax, turn, 1) ? turn!.length : Infinity));
      const shortest = Math.min(...lengths);
      if (shortest < Infinity) return { syntax, form: forms[lengths.indexOf(shortest)]! };
    }
  }
  return undefined;
}

/** What the template tells the model of calls, where it does not render any; else tokens that only one family has. */
function hinted(
  prober: Prober,
  vocabulary: Vocabulary | undefined,
  known: ToolSyntax | null | undefined,
): Found | undefined {
  if (known === null) return undefined;
  const { prompt = "" } = prober;
  const syntax =
    known ??
    families.find(({ hint }) => prober.takesTools && hint.test(prompt)) ??
    families.find(({ token }) => token !== undefined && vocabulary?.tokenId(token) !== undefined);
  return syntax && { syntax, form: { ...plainHistory, ids: syntax.ids } };
}

async function refine(
  prober: Prober,
  syntax: ToolSyntax | undefined,
  form: HistoryForm,
): Promise<HistoryForm> {
  const reasoningField = await findReasoningField(prober, form);
  const withField = { ...form, reasoningField };
  if (!syntax || !(await prober.reads(syntax, form, 1))) return withField;
  const isSingle = !(await prober.reads(syntax, withField, 2));
  const contentApart = !(await prober.reads(syntax, withField, 1, { content: words }));
  const both = { content: words, reasoning: thought };
  const joinsThoughts =
    reasoningField !== null && !contentApart && !(await prober.reads(syntax, withField, 1, both));
  return { ...withField, isSingle, contentApart, joinsThoughts };
}

async function findReasoningField(prober: Prober, form: HistoryForm): Promise<string | null> {
  for (const field of ["reasoning_content", "thinking", "reasoning"]) {
    const wanted = { ...form, reasoningField: field };
    const withCall = toTemplateMessages(conversation(1, { reasoning: thought }), wanted);
    const alone = toTemplateMessages(
      [user, { role: "assistant", content: answer, reasoning: thought }],
      wanted,
    );
    const texts = [
      await prober.text(withCall, prober.takesTools ? { tools: [probeTool] } : {}),
      await prober.text(alone),
    ];
    if (texts.some((text) => text?.includes(thought))) return field;
  }
  return null;
}

async function findReasoning(
  prober: Prober,
  vocabulary: Vocabulary | undefined,
): Promise<ReasoningSyntax | undefined> {
  const isToken = (text: string): boolean => vocabulary?.tokenId(text) !== undefined;
  const switches = [{}, { enable_thinking: false }, { enable_thinking: true }, { thinking: true }];
  const prompts = await Promise.all(
    switches.map((templateOptions) => prober.text([user], { templateOptions })),
  );
  const said = [{ role: "assistant", content: answer, reasoning_content: thought }] as const;
  prompts.push(await prober.text([user, ...said]));
  for (const one of reasonings) {
    if (prompts.some((text) => text?.includes(one.open) || text?.includes(one.close))) return one;
    // Some templates say nothing of thoughts but take them out of what the assistant said.
    const content = `${one.open}${thought}${one.close}${answer}`;
    const text = await prober.text([user, { role: "assistant", content }, user]);
    if (text?.includes(answer) && !text.includes(thought)) return one;
    if (isToken(one.open) && isToken(one.close)) return one;
  }
  return undefined;
}
