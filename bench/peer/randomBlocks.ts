/**
 * Random weights in blocks, for files of half a billion of them: random codes need no quantiser, and one pool of blocks serves all
 * matrices of a type and a size of weights, each from a place of its own. Speed does not depend on the codes.
 */
import { blockDecoders } from "../../test/reference/storedFormats.js";
import { toStorage } from "../../test/support/dtype.js";
import { tensorTypes } from "../../test/support/gguf/format.js";
import { elements, nameHash, nextWord, type RandomTensor } from "../support/randomValues.js";

/** An f16 number of a block: where it stands, and how large it is beside the first. */
type Half = readonly [at: number, size: number];

/** Sizes are such that weights have mean 0: what is added is minus, what is subtracted plus the mean of the codes. */
const halves = {
  q8_0: [[0, 1]],
  q4_0: [[0, 1]],
  q4_1: [
    [0, 1],
    [2, -7.5],
  ],
  q5_0: [[0, 1]],
  q5_1: [
    [0, 1],
    [2, -15.5],
  ],
  q4_k: [
    [0, 1],
    [2, 7.5],
  ],
  q5_k: [
    [0, 1],
    [2, 15.5],
  ],
  q6_k: [[208, 1]],
  mxfp4_gguf: [], // an exponent, in its first byte
} as const satisfies Record<string, readonly Half[]>;

export type BlockType = keyof typeof halves;

export const isBlockType = (type: string): type is BlockType => Object.hasOwn(halves, type);
/** Weights of a block, all of one row. */
export const blockInputs = (type: BlockType): number => tensorTypes[type][1];

/** A prime: rows of any number of blocks, so many of them, all begin at different ones. 2 million weights at least, 17 MB at most. */
const poolBlocks = 65_521;
/** Blocks that say how large weights are with a scale of 1. */
const measuredBlocks = 512;
/** A byte that has codes, or scales of groups, in every type. */
const codeByte = 8;

export class RandomBlocks {
  readonly #seed: number;
  readonly #pools = new Map<string, Uint8Array>();

  constructor(seed: number) {
    this.#seed = seed;
  }

  /**
   * The bytes of a tensor whose weights have mean 0 and about the deviation of `tensor`, in pieces that stay as they are.
   *
   * @param shape rows are a multiple of a block; equal rows begin to come after 65,521 of them
   */
  *chunks(
    { name, std }: Pick<RandomTensor, "name" | "std">,
    shape: readonly number[],
    type: BlockType,
  ): Generator<Uint8Array> {
    const [, inputs, bytes] = tensorTypes[type];
    const pool = this.#pool(type, std);
    let at = nameHash(name) % poolBlocks;
    for (let left = elements(shape) / inputs; left > 0; at = 0) {
      const count = Math.min(left, poolBlocks - at);
      yield pool.subarray(at * bytes, (at + count) * bytes);
      left -= count;
    }
  }

  #pool(type: BlockType, std: number): Uint8Array {
    const key = `${type} ${std}`;
    let pool = this.#pools.get(key);
    if (!pool) {
      pool = randomBytes(poolBlocks * tensorTypes[type][2], this.#seed);
      setScales(pool.subarray(0, measuredBlocks * tensorTypes[type][2]), type, 1);
      setScales(pool, type, std / deviation(pool, type));
      this.#pools.set(key, pool);
    }
    return pool;
  }
}

function randomBytes(count: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(count / 4));
  let state = nameHash(`blocks of ${seed}`);
  for (let i = 0; i < words.length; i++) words[i] = state = nextWord(state);
  return new Uint8Array(words.buffer, 0, count);
}

/** Gives every block that scale, with a random sign where it may have one. */
function setScales(pool: Uint8Array, type: BlockType, scale: number): void {
  const bytes = tensorTypes[type][2];
  const places: readonly Half[] = halves[type];
  const bitsOf = (sign: number) =>
    toStorage(
      "f16",
      Float64Array.from(places, ([, size]) => sign * scale * size),
    );
  const bits = [bitsOf(1), bitsOf(-1)] as const;
  for (let at = 0; at < pool.length; at += bytes) {
    const chosen = bits[(pool[at + codeByte]! & 1) as 0 | 1];
    places.forEach(([place], i) => {
      pool[at + place] = chosen[i]! & 255;
      pool[at + place + 1] = chosen[i]! >> 8;
    });
    if (type === "mxfp4_gguf") pool[at] = 127 + Math.round(Math.log2(scale));
  }
}

/** Root of the mean square of the first blocks' weights. */
function deviation(pool: Uint8Array, type: BlockType): number {
  const [, inputs, bytes] = tensorTypes[type];
  let sum = 0;
  for (let block = 0; block < measuredBlocks; block++) {
    const weights = blockDecoders[type]!.decode(pool.subarray(block * bytes, (block + 1) * bytes));
    for (const weight of weights) sum += weight ** 2;
  }
  return Math.sqrt(sum / (measuredBlocks * inputs));
}
