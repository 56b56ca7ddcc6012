/**
 * Reads what a model writes while it writes it: thoughts, answer and calls of tools. One state machine over marker texts and marker
 * tokens runs the table of families; it looks at each character a bounded number of times, and nothing that was written is lost:
 * markup that turns out to be no call is text.
 */
import { ToolTypes } from "./argumentTypes.js";
import { CallWriter } from "./callWriter.js";
import type { ToolEvent } from "./events.js";
import { readHeader } from "./harmony.js";
import {
  compile,
  type CompiledState,
  findEdge,
  type Machine,
  markersOf,
  states,
  tokenMarkers,
} from "./machine.js";
import type { ParserOptions } from "./parserOptions.js";
import { type Reader, readerOf } from "./readers.js";
import type { Action, EntryEdge, ToolSyntax } from "./syntax.js";
import { type TextKind, TextSink } from "./textSink.js";
import { heldBack, type OutputChunk, slices, TokenPieces } from "./tokenPieces.js";
import { maxNameChars } from "./written.js";

/** Markup that may become a call waits this long for its name. */
const maxAttemptChars = 65_536;

export class OutputParser {
  readonly #syntax: ToolSyntax | undefined;
  readonly #machine: Machine;
  readonly #pieces: TokenPieces;
  readonly #sink = new TextSink();
  readonly #calls: CallWriter;
  #state: CompiledState;
  /** Text that may be the beginning of a marker. */
  #held = "";
  /** Markup since the last text, while no call is open; within one, that of an argument that has no key yet. */
  #raw = "";
  /** Where that markup goes if it is no call. */
  #back: TextKind = "content";
  #isBare = false;
  #collected = "";
  #name: string | undefined;
  #id: string | undefined;
  #reader: Reader | undefined;

  constructor(options: ParserOptions) {
    const { syntax, reasoning, tools, vocabulary, keepsSpecialTokens, startsInReasoning } = options;
    // Harmony's messages are read without tools, too: they say what is thought and what is answer.
    this.#syntax = tools.length > 0 || syntax?.initial !== undefined ? syntax : undefined;
    this.#calls = new CallWriter(this.#sink, new ToolTypes(tools), this.#syntax);
    const all = states(this.#syntax, reasoning);
    const markers = markersOf(all);
    this.#pieces = new TokenPieces(
      vocabulary,
      markers,
      tokenMarkers(markers, this.#syntax),
      keepsSpecialTokens,
    );
    this.#machine = compile(all, this.#pieces.tokens);
    const initial = this.#syntax?.initial ?? (startsInReasoning && reasoning ? "opening" : "start");
    this.#state = this.#machine.get(initial)!;
  }

  /** What comes next is thought, unless a marker says otherwise. */
  get isInReasoning(): boolean {
    const { name } = this.#state;
    return name === "reasoning" || name === "opening";
  }

  /** Takes the next piece of the output. @returns what is certain now */
  push(chunk: OutputChunk): ToolEvent[] {
    for (const { text, isToken } of this.#pieces.push(chunk)) {
      if (isToken) this.#token(text);
      else this.#text(text);
    }
    return this.#sink.take();
  }

  /** Ends the output. @returns what was held back; a call that is not over ends as incomplete */
  finish(): ToolEvent[] {
    for (const { text } of this.#pieces.finish()) this.#text(text);
    this.#flushHeld();
    const { open } = this.#calls;
    if (open) {
      this.#calls.arguments(open.abandonValue() + open.json(this.#reader?.unfinished ?? ""));
      this.#calls.end(this.#raw);
    } else if (this.#raw !== "") this.#fail("");
    this.#sink.flush();
    return this.#sink.take();
  }

  #text(text: string): void {
    for (const slice of slices(text)) {
      let rest = this.#held + slice;
      this.#held = "";
      while (rest !== "") rest = this.#step(rest);
    }
  }

  #token(text: string): void {
    this.#flushHeld();
    for (;;) {
      const edge = this.#state.tokenEdges.get(text);
      if (!edge) break;
      this.#follow(edge);
      if (!edge.keep) return;
    }
    let rest = text;
    while (rest !== "") rest = this.#plain(this.#state, rest);
  }

  #flushHeld(): void {
    let rest = this.#held;
    this.#held = "";
    while (rest !== "") rest = this.#plain(this.#state, rest);
  }

  /** Reads the beginning of a text in the state that is reached. @returns what is left of it */
  #step(text: string): string {
    const state = this.#state;
    if (state.end !== undefined) return this.#read(state, text);
    const found = findEdge(text, state.textEdges);
    const numHeld = found ? 0 : heldBack(text, state.texts);
    const before = text.slice(0, found ? found.at : text.length - numHeld);
    if (before !== "") {
      const left = this.#plain(state, before);
      if (left !== "" || this.#state !== state) return left + text.slice(before.length);
    }
    if (!found) {
      this.#held = text.slice(before.length);
      return "";
    }
    const { edge, at } = found;
    this.#follow(edge);
    return text.slice(edge.keep ? at : at + edge.on.length);
  }

  /** Text without a marker. @returns what is left, for the state that is reached then */
  #plain(state: CompiledState, text: string): string {
    switch (state.rule) {
      case "content":
      case "reasoning":
        this.#sink.add(state.rule, text);
        return "";
      case "blank":
        return this.#blank(state, text);
      case "gap":
        this.#calls.open?.addStray(text);
        return "";
      case "collect":
        return this.#collect(state, text);
      case "value":
        this.#calls.arguments(this.#calls.open?.value(text));
        return "";
      case "json":
      case "envelope":
      case "python":
        return this.#read(state, text);
    }
  }

  #blank(state: CompiledState, text: string): string {
    const rest = text.trimStart();
    const space = text.slice(0, text.length - rest.length);
    if (state.isOutside) this.#sink.lead(space);
    else if (this.#raw !== "") this.#raw += space;
    if (rest === "") return "";
    if (state.otherwise === undefined) return this.#fail(rest);
    if (!state.isOutside && state.otherwise === "content") this.#sink.add(this.#back, this.#raw);
    this.#enter(state.otherwise);
    return rest;
  }

  #collect(state: CompiledState, text: string): string {
    const isAllowed = (length: number): boolean => {
      const collected = this.#collected + text.slice(0, length);
      return collected.length <= maxNameChars && state.allowed!.test(collected);
    };
    // Up to the character that is not allowed, however the text is cut: what follows it is read once more.
    let length = text.length;
    if (!isAllowed(length)) for (length = 0; isAllowed(length + 1);) length++;
    this.#collected += text.slice(0, length);
    this.#raw += text.slice(0, length);
    return length === text.length ? "" : this.#fail(text.slice(length));
  }

  #read(state: CompiledState, text: string): string {
    const reader = (this.#reader ??= readerOf(state.rule, this.#isBare));
    const { end, status, json, name } = reader.push(text);
    const rest = text.slice(end);
    if (!this.#calls.open) this.#raw += text.slice(0, end);
    if (name !== undefined && !this.#start(name)) return this.#fail(rest);
    const { open } = this.#calls;
    this.#calls.arguments(open?.json(json));
    if (status === "more" && this.#raw.length <= maxAttemptChars) return rest;
    if (!open) return this.#fail(rest);
    if (status === "stop") this.#calls.arguments(open.json(reader.unfinished));
    if (state.rule !== "python") this.#calls.end("");
    this.#enter(state.end!);
    return rest;
  }

  #follow(edge: EntryEdge): void {
    const from = this.#state;
    if (from.isOutside) {
      this.#back = from.rule === "reasoning" || from.name === "opening" ? "reasoning" : "content";
      this.#isBare = edge.bare !== undefined;
    }
    const marker = edge.keep ? "" : edge.on;
    for (const action of edge.do ?? []) {
      if (this.#act(action)) continue;
      const rest = this.#fail(marker);
      this.#sink.add(this.#back, rest);
      return;
    }
    if (edge.do?.includes("message")) return;
    const target = this.#machine.get(edge.to)!;
    if (target.isOutside || edge.closes || edge.do?.includes("end")) this.#raw = "";
    else if (this.#calls.open) this.#raw = target.rule === "collect" ? marker : "";
    else this.#raw += marker;
    if (edge.to === "start" || edge.to === "opening") this.#sink.drop();
    this.#enter(edge.to);
    if (edge.collects) this.#collected = marker;
  }

  /** @returns false if this is no call */
  #act(action: Action): boolean {
    const text = this.#collected.trim();
    switch (action) {
      case "name":
        this.#name = text;
        break;
      case "id":
        this.#id = text;
        break;
      case "start":
        return this.#start(this.#name ?? text);
      case "key":
        if (!this.#start(this.#name ?? "")) return false;
        this.#calls.arguments(this.#calls.open!.key(text));
        break;
      case "flag":
        this.#calls.open?.flag(text);
        break;
      case "value":
        this.#calls.arguments(this.#calls.open?.endValue());
        break;
      case "end":
        if (!this.#calls.open) return false;
        this.#calls.arguments(this.#calls.open.close());
        this.#calls.end("");
        break;
      case "message":
        return this.#message(this.#collected);
    }
    this.#collected = "";
    return true;
  }

  #message(header: string): boolean {
    const { state, name } = readHeader(header);
    if (name !== undefined && !this.#start(name)) return false;
    this.#sink.drop();
    this.#raw = "";
    this.#enter(state);
    return true;
  }

  /** Begins a call, if none is open. @returns false if its name is none */
  #start(written: string): boolean {
    if (this.#calls.open) return true;
    if (!this.#calls.start(written, this.#id, this.#isBare)) return false;
    this.#raw = this.#collected = "";
    this.#name = this.#id = undefined;
    this.#back = "content";
    return true;
  }

  /** The markup is no call, or cannot go on: what of it is in no event is text. @returns what is left */
  #fail(rest: string): string {
    const raw = this.#raw;
    this.#raw = "";
    if (this.#calls.open) this.#calls.end(raw);
    else this.#sink.add(this.#back, raw);
    this.#name = this.#id = undefined;
    this.#enter(this.#back);
    return rest;
  }

  #enter(name: string): void {
    this.#state = this.#machine.get(name)!;
    this.#collected = "";
    this.#reader = undefined;
  }
}
