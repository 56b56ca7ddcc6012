/** `warploop chat`: a talk on the terminal, or with what is piped into it, a message a line. */
import type { ChatOptions } from "../lib/index.js";
import { follow } from "./answer.js";
import { type ChatState, runChatCommand } from "./chatCommands.js";
import { ChatInput } from "./chatInput.js";
import { type CommandDefinition, exit } from "./command.js";
import { Conversation } from "./conversation.js";
import { CommandError } from "./failure.js";
import { count } from "./format.js";
import { onInterrupt } from "./interrupt.js";
import { loadLlm } from "./loadLlm.js";
import { loadFlags, loadOptionsOf } from "./loadOptions.js";
import { sampleFlags, sampleOptionsOf, templateFlags, templateOptionsOf } from "./sampleOptions.js";
import { note, print, printError, shown } from "./terminal.js";

export const command: CommandDefinition = {
  usage: "<model>",
  about:
    "Talks with a model. /help lists what a chat can do besides: clear, save, load, retry. When the context is full the oldest turns are " +
    "no longer shown to the model. Ctrl-C stops an answer, Ctrl-D ends. What is piped in is a message a line.",
  options: [...templateFlags, ...sampleFlags, ...loadFlags],
  examples: [
    "chat Qwen/Qwen3-0.6B",
    'chat Qwen/Qwen3-0.6B --system "You are terse." --temperature 0.7',
    "chat org/name:Q4_K_M --context 16k --kv-dtype int8",
    'printf "Hello\\nWhat did I say?\\n" | npx warploop chat models/tiny-moe',
  ],
  async run([model = ""], parsed) {
    const { llm } = await loadInterruptibly(model, parsed);
    try {
      const generation = { ...sampleOptionsOf(parsed), ...templateOptionsOf(parsed) };
      // A model without a chat template says so before anybody has typed; and threads have started.
      await llm
        .chat([{ role: "user", content: "Hello" }], { ...generation, maxTokens: 1, minTokens: 0 })
        .result();
      const conversation = new Conversation(parsed["system"] as string | undefined);
      return await talk({ llm, model, conversation, last: undefined, file: undefined }, generation);
    } finally {
      await llm.close();
    }
  },
};

async function loadInterruptibly(model: string, parsed: Readonly<Record<string, unknown>>) {
  using interrupt = onInterrupt();
  return await loadLlm(model, { ...loadOptionsOf(parsed), signal: interrupt.signal });
}

/** @returns the exit status */
async function talk(state: ChatState, generation: ChatOptions): Promise<number> {
  let answering: AbortController | undefined;
  let status: number = exit.fine;
  let wasWarned = false;
  const interrupt = (): void => {
    if (answering) return answering.abort();
    if (input.isTerminal && input.drop()) return;
    if (input.isTerminal && !wasWarned) {
      wasWarned = true;
      note("Ctrl-C again ends the chat; so does Ctrl-D");
      return input.prompt();
    }
    status = exit.interrupted;
    input.end();
  };
  using input = new ChatInput(interrupt);
  process.on("SIGINT", interrupt);
  try {
    if (input.isTerminal) note(`${state.llm.toString()}; /help says what a chat can do`);
    for (let line = await input.next(); line !== undefined; line = await input.next()) {
      wasWarned = false;
      if (line.trim() === "") continue;
      if (line.startsWith("/")) {
        const outcome = await commanded(state, line);
        if (outcome === "exit") break;
        if (outcome !== "answer") continue;
      } else {
        state.conversation.ask(line);
      }
      answering = new AbortController();
      await answer(state, { ...generation, signal: answering.signal });
      answering = undefined;
    }
  } finally {
    process.off("SIGINT", interrupt);
  }
  return status;
}

/** Says what a command says. @returns what is next */
async function commanded(state: ChatState, line: string): Promise<string> {
  try {
    const outcome = await runChatCommand(state, line);
    if (outcome !== "exit" && outcome !== "answer") note(outcome);
    return outcome;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    printError(error.message);
    return "";
  }
}

/** Answers the last message. An answer that is stopped stays as it is; a message that cannot be answered is taken back. */
async function answer(state: ChatState, generation: ChatOptions): Promise<void> {
  const { llm, conversation } = state;
  const { contextLength } = llm.stats();
  try {
    await makeRoom(state, generation);
    const stream = llm.chat(conversation.prompt, generation);
    state.last = await follow(stream, (text) => process.stdout.write(shown(text)));
    conversation.answer(state.last.text);
    if (!state.last.text.endsWith("\n")) print("");
    const { finishReason, usage } = state.last;
    const isFull = usage.promptTokens + usage.completionTokens >= contextLength;
    if (finishReason === "length" && isFull) note("the context is full: the answer ends here");
  } catch (error) {
    const { code, message } = error as { readonly code?: unknown; readonly message: string };
    conversation.undo();
    if (llm.stats().state !== "running" || typeof code !== "string") throw error;
    printError(`${message}; the message is taken back`);
  }
}

/** The oldest turns are not shown to the model any more when the context is full, which is said. */
async function makeRoom({ llm, conversation }: ChatState, generation: ChatOptions): Promise<void> {
  const { templateOptions, maxTokens = Infinity } = generation;
  const { contextLength } = llm.stats();
  const room = Math.min(maxTokens, Math.ceil(contextLength / 4));
  const { dropped } = await llm.fitChat(conversation.prompt, { templateOptions, room });
  const turns = dropped.filter(({ role }) => role === "user").length;
  conversation.forget(turns);
  if (turns === 0) return;
  note(
    `the context of ${contextLength} tokens is full: the model no longer sees the oldest ${count(turns, "turn")}`,
  );
}
