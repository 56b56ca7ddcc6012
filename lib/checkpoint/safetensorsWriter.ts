/**
 * Writes a safetensors file front to back: the header says where each tensor lies before there is one, so sizes have to be known.
 *
 * Source: github.com/huggingface/safetensors, README "Format".
 */
import { type FileHandle, open } from "node:fs/promises";

/** The header ends at a multiple of it, so that tensors are aligned in the file. */
const alignment = 8;

export interface TensorToWrite {
  readonly name: string;
  /** As the format calls it: "BF16" */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
}

/** Length and text of the header. */
export function encodeHeader(tensors: readonly TensorToWrite[]): Uint8Array {
  let end = 0;
  const entries = tensors.map(({ name, dtype, shape, bytes }) => {
    const start = end;
    end += bytes;
    return [name, { dtype, shape, data_offsets: [start, end] }] as const;
  });
  // "format" is what transformers asks for.
  const json = JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(entries) });
  const length = Math.ceil(Buffer.byteLength(json) / alignment) * alignment;
  const header = Buffer.alloc(8 + length, " ");
  header.writeBigUInt64LE(BigInt(length));
  header.write(json, 8);
  return header;
}

/**
 * @param contents bytes of the tensors in their order, in pieces
 * @throws RangeError if they are not as many as was said
 */
export async function writeSafetensors(
  file: string,
  tensors: readonly TensorToWrite[],
  contents: AsyncIterable<Uint8Array>,
): Promise<void> {
  const handle = await open(file, "wx");
  try {
    await writeFully(handle, encodeHeader(tensors));
    let written = 0;
    for await (const piece of contents) {
      await writeFully(handle, piece);
      written += piece.length;
    }
    const expected = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
    if (written !== expected) throw new RangeError(`${file}: expected ${expected} bytes, got ${written}`);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;)
    done += (await handle.write(bytes, done, bytes.length - done)).bytesWritten;
}
