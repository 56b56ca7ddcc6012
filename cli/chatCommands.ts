/** What a chat does for lines that begin with "/". A new one is a row here. */
import { closest, distance } from "fastest-levenshtein";
import type { LLM } from "../lib/index.js";
import { type Answer, describeAnswer } from "./answer.js";
import type { Conversation } from "./conversation.js";
import { CommandError } from "./failure.js";
import { count, digits } from "./format.js";
import { loadChat, saveChat } from "./savedChat.js";
import { table } from "./terminal.js";

export interface ChatState {
  readonly llm: LLM;
  /** As it was given. */
  readonly model: string;
  readonly conversation: Conversation;
  last: Answer | undefined;
  /** Of /save and /load. */
  file: string | undefined;
}

/** What is said, on lines of their own; or what the chat does next. */
type Outcome = string | "exit" | "answer";

interface ChatCommand {
  readonly name: string;
  readonly argument?: string;
  readonly about: string;
  readonly run: (state: ChatState, argument: string) => Outcome | Promise<Outcome>;
}

const rows: readonly ChatCommand[] = [
  { name: "help", about: "this list", run: () => help() },
  {
    name: "clear",
    about: "forget all turns; the system message stays",
    run(state) {
      state.conversation.clear();
      state.last = undefined;
      return "all turns are forgotten";
    },
  },
  {
    name: "system",
    argument: "[text]",
    about: "what the model is told before everything else; without a text: nothing",
    run({ conversation }, text) {
      conversation.system = text === "" ? undefined : text;
      return text === "" ? "there is no system message" : "the system message is set";
    },
  },
  {
    name: "retry",
    about: "another answer to the last message",
    run: ({ conversation }) => (conversation.unanswer() ? "answer" : "there is no message yet"),
  },
  { name: "save", argument: "<file>", about: "write the talk to a file (JSON)", run: save },
  { name: "load", argument: "<file>", about: "go on with a talk from a file", run: load },
  { name: "stats", about: "tokens and speeds of the last answer; how full the context is", run: stats },
  { name: "exit", about: "end; so does Ctrl-D", run: () => "exit" },
];

/** @throws CommandError for a name that there is not, or what the command refuses */
export async function runChatCommand(state: ChatState, line: string): Promise<Outcome> {
  const [, name = "", argument = ""] = /^\/(\S*)\s*([\s\S]*)$/.exec(line) ?? [];
  const row = rows.find((one) => one.name === name || (one.name === "exit" && /^(bye|quit)$/.test(name)));
  if (row) return row.run(state, argument.trim());
  const known = rows.map((one) => one.name);
  const likely = closest(name, known);
  const hint = distance(name, likely) <= 2 ? `did you mean /${likely}?` : "/help lists what there is;";
  throw new CommandError(`there is no /${name}: ${hint} a space in front makes it a message`);
}

function help(): string {
  const lines = rows.map(({ name, argument = "", about }) => [`/${name} ${argument}`.trim(), about]);
  const keys = [
    ['"""', "begins and ends a message of several lines; so does a \\ at the end of a line"],
    ["Ctrl-C", "stops an answer"],
  ];
  return table([...lines, ...keys], 2).join("\n");
}

function fileOf(state: ChatState, argument: string): string {
  const file = argument === "" ? state.file : argument;
  if (file === undefined) throw new CommandError("expected the name of a file, such as /save talk.json");
  return file;
}

async function save(state: ChatState, argument: string): Promise<Outcome> {
  const file = fileOf(state, argument);
  const { model, conversation } = state;
  await saveChat(file, { model, messages: conversation.messages }, file === state.file);
  state.file = file;
  return `${count(conversation.turns, "turn")} written to ${file}`;
}

async function load(state: ChatState, argument: string): Promise<Outcome> {
  const file = fileOf(state, argument);
  state.conversation.restore(await loadChat(file));
  state.file = file;
  state.last = undefined;
  return `${count(state.conversation.turns, "turn")} of ${file}`;
}

function stats({ llm, conversation, last }: ChatState): Outcome {
  const { contextLength, device, isa, generatedTokens } = llm.stats();
  const { turns, forgotten } = conversation;
  const seen = forgotten === 0 ? "" : `, of which the model does not see the first ${forgotten}`;
  return [
    ...(last ? [`last answer: ${describeAnswer(last)}`] : []),
    `talk: ${count(turns, "turn")}${seen}${last ? `; ${fullness(last, contextLength)}` : ""}`,
    `since the start: ${count(generatedTokens, "token")} on ${device} (${isa})`,
  ].join("\n");
}

/** Of the context with the last answer. */
function fullness({ usage: { promptTokens, completionTokens } }: Answer, contextLength: number): string {
  const tokens = promptTokens + completionTokens;
  return `${tokens} of ${contextLength} tokens with the last answer (${digits((100 * tokens) / contextLength)} %)`;
}
