/**
 * A file mapped into memory whose bytes a stream copies to a device: off the JavaScript thread, in stream order.
 */
import { byteLength } from "../dtype.js";
import { ArgumentRangeError } from "../errors.js";
import { type Handle, native } from "../native.js";
import type { Stream } from "../stream.js";
import type { Tensor } from "../tensor.js";

export class MappedFile {
  readonly #handle: Handle;
  readonly path: string;
  /** Size of the file when it was mapped. */
  readonly bytes: number;
  #closed = false;

  /** @throws ArgumentTypeError if the file cannot be opened or mapped */
  constructor(path: string) {
    const { handle, bytes } = native.mapFile(path);
    this.#handle = handle;
    this.path = path;
    this.bytes = bytes;
  }

  /**
   * Copies bytes of the file over a contiguous tensor, or over a part of it.
   *
   * @param byteOffset of the first byte in the file
   * @param bytes how many
   * @param start where they go, in bytes from the start of the tensor
   * @throws ArgumentRangeError if either range leaves its file or tensor. A file that has become shorter meanwhile is an
   * ExecutionError at the next wait on the stream.
   */
  copyTo(stream: Stream, tensor: Tensor, byteOffset: number, bytes: number, start = 0): void {
    const room = byteLength(tensor.dtype, tensor.numel);
    if (!(tensor.isPacked && start >= 0 && start + bytes <= room && byteOffset + bytes <= this.bytes)) {
      throw new ArgumentRangeError(
        `copyTo: bytes [${byteOffset}, ${byteOffset + bytes}) of ${this.path} (${this.bytes} bytes) do not fit at byte ` +
          `${start} of a tensor of ${room} bytes`,
      );
    }
    native.copyFile(
      stream.handle,
      this.#handle,
      byteOffset,
      tensor.memory.handle,
      tensor.byteOffset + start,
      bytes,
    );
  }

  /** Unmaps the file once queued copies have run. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.unmapFile(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
