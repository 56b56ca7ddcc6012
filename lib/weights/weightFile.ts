/**
 * An open file whose bytes a stream reads to a device: off the JavaScript thread, in stream order.
 */
import { byteLength } from "../device/dtype.js";
import { type Handle, native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import { streamHandle } from "../device/streamHandle.js";
import type { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";

export class WeightFile {
  readonly #handle: Handle;
  readonly path: string;
  #closed = false;

  /**
   * Shares an open file with its owner, who may close it.
   *
   * @param descriptor of a regular file that is open for reading
   * @param path named in errors
   * @throws ArgumentTypeError if the descriptor is none
   */
  constructor(descriptor: number, path: string) {
    this.#handle = native.openFile(descriptor, path);
    this.path = path;
  }

  /**
   * Copies bytes of the file over a contiguous tensor, or over a part of it.
   *
   * @param byteOffset of the first byte in the file
   * @param bytes how many
   * @param start where they go, in bytes from the start of the tensor
   * @throws ArgumentRangeError if the bytes do not fit. A file that ends before them is an ExecutionError, which names the
   * file and the offset, at the next wait on the stream.
   */
  copyTo(stream: Stream, tensor: Tensor, byteOffset: number, bytes: number, start = 0): void {
    const room = byteLength(tensor.dtype, tensor.numel);
    if (!(tensor.isPacked && start >= 0 && start + bytes <= room && byteOffset >= 0)) {
      throw new ArgumentRangeError(
        `copyTo: bytes [${byteOffset}, ${byteOffset + bytes}) of ${this.path} do not fit at byte ` +
          `${start} of a tensor of ${room} bytes`,
      );
    }
    native.copyFile(
      streamHandle("copyTo", stream, tensor.device),
      this.#handle,
      byteOffset,
      tensor.memory.handle,
      tensor.byteOffset + start,
      bytes,
    );
  }

  /** Ends the share once queued copies have run. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    native.closeFile(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
