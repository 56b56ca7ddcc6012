/** What somebody types or pipes into a chat, message by message. Ctrl-C is passed on. */
import { createInterface, type Interface } from "node:readline";
import { styled } from "./terminal.js";

/** Puts lines together: those between two """, and those behind which a \ stands. */
export class MessageLines {
  #lines: string[] = [];
  #isQuoted = false;

  /** Whether a message has begun that goes on. */
  get isOpen(): boolean {
    return this.#isQuoted || this.#lines.length > 0;
  }

  /** @returns the message that the line ends; undefined: it goes on */
  push(line: string): string | undefined {
    if (!this.#isQuoted && this.#lines.length === 0 && line.startsWith('"""')) {
      this.#isQuoted = true;
      line = line.slice(3);
      if (line === "") return undefined;
    }
    if (this.#isQuoted) {
      const isLast = line.endsWith('"""');
      const text = isLast ? line.slice(0, -3) : line;
      if (!isLast || text !== "") this.#lines.push(text);
      return isLast ? this.#take() : undefined;
    }
    if (line.endsWith("\\")) {
      this.#lines.push(line.slice(0, -1));
      return undefined;
    }
    this.#lines.push(line);
    return this.#take();
  }

  /** What there is of a message that nothing ended. */
  rest(): string | undefined {
    return this.isOpen ? this.#take() : undefined;
  }

  #take(): string {
    const text = this.#lines.join("\n");
    this.#lines = [];
    this.#isQuoted = false;
    return text;
  }
}

export class ChatInput implements Disposable {
  readonly isTerminal = process.stdin.isTTY === true;
  readonly #readline: Interface;
  readonly #lines = new MessageLines();
  readonly #messages: string[] = [];
  /** Lines of one turn of the event loop: what is pasted is one message. */
  #pasted: string[] = [];
  #hasEnded = false;
  #wake: (() => void) | undefined;

  /** @param onInterrupt Ctrl-C */
  constructor(onInterrupt: () => void) {
    const { isTerminal } = this;
    this.#readline = createInterface({
      input: process.stdin,
      terminal: isTerminal,
      ...(isTerminal && { output: process.stdout, prompt: this.#mark() }),
    });
    this.#readline.on("SIGINT", onInterrupt); // a terminal that is read key by key sends no signal
    this.#readline.on("line", (line) => this.#take(line));
    this.#readline.on("close", () => {
      this.#flush();
      const rest = this.#lines.rest();
      if (rest !== undefined && !isTerminal) this.#messages.push(rest);
      this.#hasEnded = true;
      this.#wake?.();
    });
  }

  /** @returns undefined at the end */
  async next(): Promise<string | undefined> {
    while (this.#messages.length === 0 && !this.#hasEnded) {
      if (this.isTerminal) this.prompt();
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#messages.shift();
  }

  /** Begins a new line; what is typed and not sent goes. @returns whether there was any */
  drop(): boolean {
    const hasText = this.#readline.line !== "" || this.#lines.isOpen;
    process.stdout.write("\n");
    if (!hasText) return false;
    this.#lines.rest();
    this.#readline.write(null, { ctrl: true, name: "e" });
    this.#readline.write(null, { ctrl: true, name: "u" });
    this.prompt();
    return true;
  }

  prompt(): void {
    this.#readline.setPrompt(this.#mark());
    this.#readline.prompt(true);
  }

  /** As if the input ended here. */
  end(): void {
    this.#messages.length = 0;
    this.#readline.close();
  }

  [Symbol.dispose](): void {
    this.#readline.close();
  }

  #take(line: string): void {
    if (!this.isTerminal) return this.#push(line);
    this.#pasted.push(line);
    if (this.#pasted.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const text = this.#pasted.join("\n");
    const hasLines = this.#pasted.length > 0;
    this.#pasted = [];
    if (hasLines) this.#push(text);
  }

  #push(line: string): void {
    const message = this.#lines.push(line);
    if (message !== undefined) this.#messages.push(message);
    this.#wake?.();
  }

  #mark(): string {
    return styled("cyan", this.#lines.isOpen ? ". " : "> ");
  }
}
