/**
 * A recorded sequence of op calls that one native call replays. What changes between replays (ids, lengths, page tables)
 * is data in tensors that were written before; shapes and addresses are fixed.
 */
import { type ConstructKey, constructKey, printsAsText, requireKey } from "../construct.js";
import type { Device } from "./device.js";
import { type Handle, native } from "./native.js";
import type { Stream } from "./stream.js";
import { streamHandle } from "./streamHandle.js";

export class Graph {
  readonly #handle: Handle;
  readonly #device: Device;
  #disposed = false;

  private constructor(key: ConstructKey, handle: Handle, device: Device) {
    requireKey(key, "Graph", "stream.capture(body)");
    this.#handle = handle;
    this.#device = device;
  }

  /** For `stream.capture()`. @internal */
  static create(handle: Handle, device: Device): Graph {
    return new Graph(constructKey, handle, device);
  }

  /** Queues the whole recording on a stream of the device it was recorded on. @throws ArgumentTypeError for another */
  replay(stream: Stream): void {
    native.replay(streamHandle("replay", stream, this.#device), this.#handle);
  }

  /** Ends the graph; queued replays still run. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    native.disposeGraph(this.#handle);
  }

  /** What console.log shows. */
  toString(): string {
    return `Graph on ${this.#device.name}${this.#disposed ? ", closed" : ""}`;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
printsAsText(Graph);
