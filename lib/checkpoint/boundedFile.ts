/**
 * Opens files whose names and contents come from somebody else: regular files only, opened without waiting, and never read
 * beyond a limit, whatever the size that the file system tells (a pipe, a device or a file of /proc has none).
 * The callers give the errors their type.
 */
import { constants } from "node:fs";
import { open, stat, type FileHandle } from "node:fs/promises";

const chunkBytes = 1 << 16;

/** A file that is there and cannot be taken. */
export class FileProblem extends Error {}

/**
 * Opens a regular file for reading, links followed.
 *
 * @throws the error of the file system (see isNotFound); FileProblem for anything that is not a regular file
 */
export async function openRegularFile(file: string): Promise<FileHandle> {
  requireRegular(await stat(file)); // first: to open a device may set something off
  // Another thing may have taken the name meanwhile: opening a pipe must not wait for its writer.
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    requireRegular(await handle.stat());
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Reads a whole file.
 *
 * @param maxBytes longest file that is read
 * @throws as openRegularFile; FileProblem for a file of more bytes
 */
export async function readBoundedFile(file: string, maxBytes: number): Promise<Buffer> {
  const handle = await openRegularFile(file);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) throw new FileProblem(`expected at most ${maxBytes} bytes, got ${size}`);
    let bytes = Buffer.allocUnsafe(size + 1); // one more, which stays empty when the size is true
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, length);
      length += bytesRead;
      if (bytesRead === 0) return bytes.subarray(0, length);
      if (length > maxBytes) throw new FileProblem(`expected at most ${maxBytes} bytes, got more`);
      if (length === bytes.length) {
        const room = Math.min(Math.max(2 * length, chunkBytes), maxBytes + 1);
        bytes = Buffer.concat([bytes], room);
      }
    }
  } finally {
    await handle.close();
  }
}

/** @throws FileProblem for anything that is not a regular file */
export function requireRegular(info: { isFile(): boolean; isDirectory(): boolean }): void {
  if (!info.isFile()) throw new FileProblem(info.isDirectory() ? "it is a folder" : "not a regular file");
}
