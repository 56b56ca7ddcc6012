/**
 * Recognises a file that is not what its name says by its first bytes, so that an error can name it.
 */

/** Starts of files that are found under the names of others. */
const contents: readonly (readonly [start: string, what: string])[] = [
  [
    "version https://git-lfs.github.com/spec/",
    "a Git LFS pointer, not the file itself: `git lfs pull` in the clone fetches it",
  ],
  ["GGUF", "a GGUF file, whose name has to end in .gguf"],
  ["PK\x03\x04", "a zip archive, as PyTorch writes: pickles are not read"],
  ["\x80\x02\x8a\x0a", "a PyTorch pickle, which is not read"],
  ["\x1f\x8b\x08", "a gzip archive"],
  ["\x89HDF", "an HDF5 file"],
  ["<!DOCTYPE", "a web page: the download went wrong"],
  ["<html", "a web page: the download went wrong"],
];

/** Bytes that `nameContent` has to see. */
export const contentBytes = 64;

/**
 * @param start the first bytes of a file that is not what its name says, as Latin-1 text
 * @returns what it is, or undefined
 */
export function nameContent(start: string): string | undefined {
  return contents.find(([magic]) => start.startsWith(magic))?.[1];
}
