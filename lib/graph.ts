/**
 * A recorded sequence of op calls that one native call replays. What changes between replays (ids, lengths, page tables)
 * is data in tensors that were written before; shapes and addresses are fixed.
 */
import { streamHandle } from "./arguments.js";
import type { Device } from "./device.js";
import { type Handle, native } from "./native.js";
import type { Stream } from "./stream.js";

export class Graph {
  readonly #handle: Handle;
  readonly #device: Device;
  #disposed = false;

  private constructor(handle: Handle, device: Device) {
    this.#handle = handle;
    this.#device = device;
  }

  /** For `stream.capture()`. @internal */
  static create(handle: Handle, device: Device): Graph {
    return new Graph(handle, device);
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

  [Symbol.dispose](): void {
    this.dispose();
  }
}
