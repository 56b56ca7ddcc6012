/** The calls of one output: which is open, and what is said of it. */
import { type ToolTypes } from "./argumentTypes.js";
import { makeId, readName } from "./callIds.js";
import { OpenCall } from "./openCall.js";
import type { ToolSyntax } from "./syntax.js";
import type { TextSink } from "./textSink.js";

export class CallWriter {
  readonly #sink: TextSink;
  readonly #tools: ToolTypes;
  readonly #syntax: ToolSyntax | undefined;
  #open: OpenCall | undefined;
  #numCalls = 0;

  constructor(sink: TextSink, tools: ToolTypes, syntax: ToolSyntax | undefined) {
    this.#sink = sink;
    this.#tools = tools;
    this.#syntax = syntax;
  }

  /** The call that has begun and has no end. */
  get open(): OpenCall | undefined {
    return this.#open;
  }

  /**
   * Begins a call.
   *
   * @param written the name as the model wrote it
   * @param id that the model wrote beside it
   * @param isBare only the name of an offered tool makes it a call
   * @returns false if it is none
   */
  start(written: string, id: string | undefined, isBare: boolean): boolean {
    const ids = this.#syntax?.ids ?? "openai";
    const read = readName(ids, written);
    const { name } = read;
    if (name === "" || (isBare && !this.#tools.has(name))) return false;
    const index = this.#numCalls++;
    this.#open = new OpenCall(index, this.#tools.typesOf(name), this.#syntax?.values);
    this.#sink.drop();
    this.#sink.event({ type: "callStart", index, id: makeId(ids, name, index, read.id ?? id), name });
    return true;
  }

  /** Hands out JSON of the arguments, which the open call has noted. */
  arguments(text: string | undefined): void {
    if (!this.#open || text === undefined || text === "") return;
    this.#sink.event({ type: "arguments", index: this.#open.index, text });
  }

  /** Ends the open call, if there is one. @param rest text that belongs to nothing: it comes behind the call */
  end(rest: string): void {
    if (!this.#open) return;
    const { index, isComplete, stray } = this.#open;
    this.#sink.event({ type: "callEnd", index, complete: isComplete });
    this.#open = undefined;
    const text = stray + rest;
    if (text.trim() !== "") this.#sink.add("content", text.trimStart());
  }
}
