/**
 * The file of a session: what the cache holds of a prompt, block by block as they lie in memory. It is a safetensors file, so that other
 * tools can look into it:
 *
 *     about     JSON: version, fingerprint of the model, layout of the state, length of the prefix (tokens)
 *     tokens    [T] i32 of the prompt, of which the cache held the first `length`
 *     group.N   [blocks, bytes of a block] of a cache group; those that are seen from behind the prefix
 *     slots     [layers, bytes of a block] of layers that keep a slot
 *     sha256    [32] of the contents of all before
 */
import { createHash, type Hash, randomUUID } from "node:crypto";
import { rename, rm, stat } from "node:fs/promises";
import { z } from "zod";
import { openSafetensors } from "../checkpoint/safetensors.js";
import { type TensorToWrite, writeSafetensors } from "../checkpoint/safetensorsWriter.js";
import type { Checkpoint, TensorEntry } from "../checkpoint/tensorFiles.js";
import { CheckpointError, SessionError } from "../errors.js";

const about = z.strictObject({
  version: z.literal(1),
  fingerprint: z.string(),
  layout: z.string(),
  length: z.int().min(1),
});

export type SessionAbout = Readonly<z.output<typeof about>>;

/** What a session has to fit. */
export interface SessionPlace extends Pick<SessionAbout, "fingerprint" | "layout"> {
  readonly blockBytes: number;
  /** Blocks of a prefix of so many tokens: of each group, and of slots. */
  readonly blocksOf: (length: number) => { readonly groups: readonly number[]; readonly slots: number };
  /** Tokens that a prompt has fewer than. */
  readonly contextLength: number;
  /** Tokens that lengths of prefixes are multiples of. */
  readonly unit: number;
}

const digestBytes = 32;
const maxAboutBytes = 4096;

/**
 * Writes a session; the file is there when it is whole.
 *
 * @param blocks as `place.blocksOf` counts them, groups first
 * @returns its bytes
 */
export async function writeSession(
  file: string,
  { length, tokens }: { readonly length: number; readonly tokens: Int32Array },
  place: SessionPlace,
  blocks: AsyncIterable<Uint8Array>,
): Promise<number> {
  const { fingerprint, layout } = place;
  const told = Buffer.from(
    JSON.stringify({ version: 1, fingerprint, layout, length } satisfies SessionAbout),
  );
  const tensors = tensorsOf(told.length, tokens.length, length, place);
  async function* contents(): AsyncGenerator<Uint8Array> {
    const hash = createHash("sha256");
    const ids = new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
    for (const piece of [told, ids]) yield hashed(hash, piece);
    for await (const block of blocks) yield hashed(hash, block);
    yield hash.digest();
  }
  const partial = `${file}.${randomUUID()}.partial`; // others may write the same file, also in this process
  try {
    await writeSafetensors(partial, tensors, contents());
    const { size } = await stat(partial);
    await rename(partial, file);
    return size;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

function tensorsOf(
  aboutBytes: number,
  numTokens: number,
  length: number,
  { blockBytes, blocksOf }: SessionPlace,
): TensorToWrite[] {
  const bytesOf = (name: string, ...shape: number[]): TensorToWrite => {
    return { name, dtype: "U8", shape, bytes: shape.reduce((product, size) => product * size, 1) };
  };
  const { groups, slots } = blocksOf(length);
  return [
    bytesOf("about", aboutBytes),
    { name: "tokens", dtype: "I32", shape: [numTokens], bytes: 4 * numTokens },
    ...groups.map((count, i) => bytesOf(`group.${i}`, count, blockBytes)),
    ...(slots > 0 ? [bytesOf("slots", slots, blockBytes)] : []),
    bytesOf("sha256", digestBytes),
  ];
}

function hashed(hash: Hash, piece: Uint8Array): Uint8Array {
  hash.update(piece);
  return piece;
}

/** A session that fits, open. */
export class SessionFile {
  readonly file: string;
  readonly length: number;
  readonly tokens: Int32Array;
  readonly bytes: number;
  readonly #checkpoint: Checkpoint;
  readonly #blockBytes: number;
  readonly #hash: Hash;

  private constructor(
    file: string,
    { length, tokens }: { readonly length: number; readonly tokens: Int32Array },
    checkpoint: Checkpoint,
    blockBytes: number,
    hash: Hash,
  ) {
    this.file = file;
    this.length = length;
    this.tokens = tokens;
    this.#checkpoint = checkpoint;
    this.#blockBytes = blockBytes;
    this.#hash = hash;
    const ends = [...checkpoint.tensors.values()].map(
      ({ byteOffset, byteLength }) => byteOffset + byteLength,
    );
    this.bytes = Math.max(...ends); // tensors fill the file
  }

  /** @throws SessionError for one that is damaged, or of another model; CheckpointError ERR_CHECKPOINT_MISSING */
  static async open(file: string, place: SessionPlace): Promise<SessionFile> {
    const checkpoint = await openSafetensors(file).catch((cause: unknown) => {
      const isDamaged = cause instanceof CheckpointError && cause.code === "ERR_CHECKPOINT_FORMAT";
      throw isDamaged ? new SessionError(file, cause.message.replace(`${file}: `, ""), { cause }) : cause;
    });
    try {
      const hash = createHash("sha256");
      const { length } = await readAbout(file, checkpoint, place, hash);
      const entry = entryOf(file, checkpoint, "tokens");
      const numTokens = entry.shape[0] ?? 0;
      const { contextLength, unit, blockBytes } = place;
      if (numTokens >= contextLength)
        throw new SessionError(
          file,
          `tokens: got ${numTokens}, the context has room for ${contextLength - 1}`,
        );
      checkTensors(
        file,
        checkpoint,
        tensorsOf(entryOf(file, checkpoint, "about").byteLength, numTokens, length, place),
      );
      if (length % unit !== 0 || length > numTokens)
        throw new SessionError(
          file,
          `about: length: got ${length} of ${numTokens} tokens in pages of ${unit}`,
        );
      const tokens = new Int32Array(numTokens);
      const bytes = new Uint8Array(tokens.buffer);
      await checkpoint.read(entry, bytes);
      hash.update(bytes);
      return new SessionFile(file, { length, tokens }, checkpoint, blockBytes, hash);
    } catch (error) {
      await checkpoint.close();
      throw error;
    }
  }

  /** Its blocks in their order; at the end the sum is compared. Once. @throws SessionError */
  async *blocks(): AsyncGenerator<Uint8Array> {
    for (const entry of this.#checkpoint.tensors.values()) {
      if (!/^(group\.\d+|slots)$/.test(entry.name)) continue;
      for (let start = 0; start < entry.byteLength; start += this.#blockBytes) {
        const block = new Uint8Array(this.#blockBytes);
        await this.#checkpoint.read(entry, block, start);
        yield hashed(this.#hash, block);
      }
    }
    const digest = new Uint8Array(digestBytes);
    await this.#checkpoint.read(entryOf(this.file, this.#checkpoint, "sha256"), digest);
    if (!this.#hash.digest().equals(digest))
      throw new SessionError(this.file, "damaged: its contents are not those that were written");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#checkpoint.close();
  }
}

function entryOf(file: string, { tensors }: Checkpoint, name: string): TensorEntry {
  const entry = tensors.get(name);
  if (entry) return entry;
  throw new SessionError(file, `expected a file of saveSession, which has a tensor "${name}"`);
}

async function readAbout(
  file: string,
  checkpoint: Checkpoint,
  place: SessionPlace,
  hash: Hash,
): Promise<SessionAbout> {
  const entry = entryOf(file, checkpoint, "about");
  if (entry.byteLength > maxAboutBytes)
    throw new SessionError(file, `about: expected at most ${maxAboutBytes} bytes, got ${entry.byteLength}`);
  const bytes = new Uint8Array(entry.byteLength);
  await checkpoint.read(entry, bytes);
  hash.update(bytes);
  let told: SessionAbout;
  try {
    told = about.parse(JSON.parse(Buffer.from(bytes).toString()));
  } catch (cause) {
    throw new SessionError(file, "about: expected what this version of saveSession writes", { cause });
  }
  if (told.fingerprint !== place.fingerprint) {
    const options = "weights, config and options dtype, kvDtype, quantize and activations";
    throw new SessionError(file, `of another model: expected one with the same ${options}`);
  }
  if (told.layout !== place.layout)
    throw new SessionError(file, "its pages are laid out for another context length, or by another version");
  return told;
}

function checkTensors(file: string, { tensors }: Checkpoint, expected: readonly TensorToWrite[]): void {
  const show = (name: string, dtype: string, shape: readonly number[]): string =>
    `${name} [${shape.join(", ")}] ${dtype.toLowerCase()}`;
  const got = [...tensors.values()].map(({ name, dtype, shape }) => show(name, dtype, shape));
  const wanted = expected.map(({ name, dtype, shape }) => show(name, dtype, shape));
  const differs = Array.from({ length: Math.max(got.length, wanted.length) }, (_, i) => i).find(
    (i) => got[i] !== wanted[i],
  );
  if (differs === undefined) return;
  throw new SessionError(
    file,
    `expected ${wanted[differs] ?? "no more tensors"}, got ${got[differs] ?? "none"}`,
  );
}
