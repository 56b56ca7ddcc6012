/** Events as blocks: thoughts, answer and calls one after another, each with a beginning and an end. */
import type { ToolEvent } from "./events.js";

/** A piece of what the model wrote, as far as it is known. */
export type Block =
  | { readonly type: "reasoning" | "content"; readonly text: string }
  | {
      readonly type: "call";
      readonly id: string;
      readonly name: string;
      /** The JSON of its arguments. */
      readonly text: string;
      /** The arguments are a whole JSON object. */
      readonly complete: boolean;
    };

/** `index` counts the blocks. One ends before the next starts. */
export type BlockEvent =
  /** Its text is empty. */
  | { readonly type: "start"; readonly index: number; readonly block: Block }
  | { readonly type: "delta"; readonly index: number; readonly block: Block; readonly text: string }
  /** The block is whole. */
  | { readonly type: "end"; readonly index: number; readonly block: Block };

/** Whether an answer that has ended is calls to run: the last of them is whole, which one is not that a stop or the length cut off. */
export function endsInCalls(blocks: readonly Block[]): boolean {
  const last = blocks.filter(({ type }) => type === "call").at(-1);
  return last?.type === "call" && last.complete;
}

export class BlockReader {
  readonly #blocks: Block[] = [];
  #isOpen = false;

  /** All that have started. */
  get blocks(): readonly Block[] {
    return this.#blocks;
  }

  push(events: readonly ToolEvent[]): BlockEvent[] {
    return events.flatMap((event) => this.#one(event));
  }

  /** Nothing more comes. */
  finish(): BlockEvent[] {
    return this.#end();
  }

  #one(event: ToolEvent): BlockEvent[] {
    switch (event.type) {
      case "reasoning":
      case "content": {
        const before =
          this.#isOpen && this.#last.type === event.type ? [] : this.#start({ type: event.type, text: "" });
        return [...before, this.#add(event.text)];
      }
      case "callStart":
        return this.#start({ type: "call", id: event.id, name: event.name, text: "", complete: false });
      case "arguments":
        return [this.#add(event.text)];
      case "callEnd":
        this.#change({ complete: event.complete });
        return this.#end();
    }
  }

  get #last(): Block {
    return this.#blocks.at(-1)!;
  }

  get #index(): number {
    return this.#blocks.length - 1;
  }

  #change(fields: Partial<Block>): void {
    this.#blocks[this.#index] = { ...this.#last, ...fields } as Block;
  }

  #add(text: string): BlockEvent {
    this.#change({ text: this.#last.text + text });
    return { type: "delta", index: this.#index, block: this.#last, text };
  }

  #start(block: Block): BlockEvent[] {
    const before = this.#end();
    this.#blocks.push(block);
    this.#isOpen = true;
    return [...before, { type: "start", index: this.#index, block }];
  }

  #end(): BlockEvent[] {
    if (!this.#isOpen) return [];
    this.#isOpen = false;
    return [{ type: "end", index: this.#index, block: this.#last }];
  }
}
