/** Hands out answer and thoughts. White space at their end waits: before a call, and before the end of thoughts, it is dropped. */
import { addEvent, type ToolEvent } from "./events.js";

export type TextKind = "content" | "reasoning";

export class TextSink {
  #events: ToolEvent[] = [];
  #kind: TextKind = "content";
  #held = "";
  /** White space where an answer may begin. */
  #lead = "";
  #isAtStart = true;

  /** White space that belongs to the answer if one follows: all of it at the start, elsewhere without the line breaks at its front. */
  lead(space: string): void {
    this.#lead += space;
  }

  add(kind: TextKind, text: string): void {
    if (text === "") return;
    if (kind !== this.#kind) this.#held = "";
    const lead = this.#isAtStart ? this.#lead : this.#lead.replace(/^[\r\n]+/, "");
    const whole = kind === "content" ? lead + text : text;
    const kept = whole.trimEnd();
    this.#kind = kind;
    this.#lead = "";
    this.#isAtStart = false;
    if (kept === "") {
      this.#held += whole;
      return;
    }
    addEvent(this.#events, { type: kind, text: this.#held + kept });
    this.#held = whole.slice(kept.length);
  }

  /** A call or thoughts begin, or end: white space between is dropped. */
  drop(): void {
    this.#held = this.#lead = "";
    this.#isAtStart = false;
  }

  /** Nothing follows. */
  flush(): void {
    if (this.#isAtStart) this.#held = this.#lead;
    if (this.#held !== "") addEvent(this.#events, { type: this.#kind, text: this.#held });
    this.#held = "";
  }

  event(event: ToolEvent): void {
    addEvent(this.#events, event);
  }

  /** The events since the last call. */
  take(): ToolEvent[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}
