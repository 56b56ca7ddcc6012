/** Reads numbers and strings of a GGUF header one after another, and never beyond the file. What they mean is header.ts. */
import { CheckpointError } from "../errors.js";

/** There are bytes in the file that are needed and were not given. */
export class TooShort extends Error {}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Real strings are chat templates of up to 30 KB; a key has at most 65535 bytes. */
const maxStringBytes = 16_000_000;

export class Cursor {
  readonly file: string;
  readonly fileSize: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  /** @param bytes the first ones of the file, or all of a list */
  constructor(bytes: Uint8Array, fileSize: number, file: string) {
    this.file = file;
    this.fileSize = fileSize;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes that have been read. */
  get at(): number {
    return this.#at;
  }

  /** Bytes of the file behind them. */
  get left(): number {
    return this.fileSize - this.#at;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** One from 2^53 on is rounded, and fits nowhere. */
  u64(): number {
    const at = this.#take(8);
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  /** A value of a type of fixed size; integers from 2^53 on are rounded. */
  number(type: number): number {
    const view = this.#view;
    switch (type) {
      case 0:
      case 7:
        return view.getUint8(this.#take(1));
      case 1:
        return view.getInt8(this.#take(1));
      case 2:
        return view.getUint16(this.#take(2), true);
      case 3:
        return view.getInt16(this.#take(2), true);
      case 4:
        return this.u32();
      case 5:
        return view.getInt32(this.#take(4), true);
      case 6:
        return shortest(view.getFloat32(this.#take(4), true));
      case 10:
        return this.u64();
      case 11:
        return Number(view.getBigInt64(this.#take(8), true));
      default:
        return view.getFloat64(this.#take(8), true);
    }
  }

  /** @param what named in errors */
  string(what: string, maxBytes = maxStringBytes): string {
    const length = this.u64();
    if (length > maxBytes) throw this.error(`${what}: expected at most ${maxBytes} bytes, got ${length}`);
    const at = this.#take(length, what);
    try {
      return utf8.decode(this.#bytes.subarray(at, at + length));
    } catch (cause) {
      throw this.error(`${what}: not UTF-8`, cause);
    }
  }

  text(length: number, encoding: BufferEncoding): string {
    const at = this.#take(length);
    return Buffer.from(this.#bytes.subarray(at, at + length)).toString(encoding);
  }

  skip(length: number, what: string): void {
    this.#take(length, what);
  }

  /** A copy of the bytes from an earlier place to this one. */
  since(start: number): Uint8Array {
    return this.#bytes.slice(start, this.#at);
  }

  error(problem: string, cause?: unknown): CheckpointError {
    return formatError(this.file, problem, cause);
  }

  #take(length: number, what = "the header"): number {
    const at = this.#at;
    if (length > this.left)
      throw this.error(`truncated: ${what}: ${length} bytes, but ${this.left} are left`);
    if (at + length > this.#bytes.length) throw new TooShort();
    this.#at += length;
    return at;
  }
}

export function formatError(file: string, problem: string, cause?: unknown): CheckpointError {
  const options = cause === undefined ? undefined : { cause };
  return new CheckpointError("ERR_CHECKPOINT_FORMAT", `${file}: ${problem}`, { file }, options);
}

/** The number with the fewest digits that is the same in f32: 1e-6, not 9.999999974752427e-7. It is what was meant. */
export function shortest(value: number): number {
  if (!Number.isFinite(value)) return value;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
