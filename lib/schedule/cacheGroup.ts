/**
 * Cache groups: layers whose state lives equally long share a table of blocks. A group keeps all tokens of a sequence, or those
 * that its window still sees. All groups take their blocks from one pool; a block of a group holds `pagesPerBlock` pages of it.
 * Pure arithmetic: which blocks of a sequence a group needs. Not responsible for who holds which (KvPages).
 */

export interface CacheGroupOptions {
  /** Keys that a query of these layers sees, itself included; 0: all, so that every block stays until the request ends. */
  readonly window: number;
  /** Pages in a block. */
  readonly pagesPerBlock: number;
}

/** Layers that see everything, with one page in a block. */
export const oneGroup: readonly CacheGroupOptions[] = [{ window: 0, pagesPerBlock: 1 }];

/** The blocks that a request holds of a group: block i has the tokens [i * blockTokens, (i + 1) * blockTokens). */
export interface HeldBlocks {
  /** The i of blocks[0]: those before it lie behind the window. */
  first: number;
  /** Replaced when the request lets go of some, never cut: steps keep a reference. */
  blocks: number[];
  /** Blocks [0, sealed) have been offered to the prefix cache, or came from it. */
  sealed: number;
  /** Blocks [0, listed) are in the page table of the device, as far as they are held. */
  listed: number;
}

export class CacheGroup implements CacheGroupOptions {
  /** Of its page table. */
  readonly index: number;
  readonly window: number;
  readonly pagesPerBlock: number;
  /** Tokens of a block. */
  readonly blockTokens: number;
  /** Blocks that a sequence of any length needs at once, while no more than a chunk of it runs. */
  readonly mostBlocks: number;

  /** @param pageSize tokens of a page @param chunkTokens of one sequence in one step, at most */
  constructor(index: number, options: CacheGroupOptions, pageSize: number, chunkTokens: number) {
    this.index = index;
    this.window = options.window;
    this.pagesPerBlock = options.pagesPerBlock;
    this.blockTokens = pageSize * options.pagesPerBlock;
    // The tokens that a chunk sees, wherever in a block the first of them lies.
    const seen = options.window - 1 + chunkTokens;
    this.mostBlocks = options.window === 0 ? Infinity : Math.ceil((seen - 1) / this.blockTokens) + 1;
  }

  /** The first block that the token at position `start`, or any behind it, sees. */
  firstBlock(start: number): number {
    return this.window === 0 ? 0 : Math.floor(Math.max(0, start - this.window + 1) / this.blockTokens);
  }

  /** Blocks of so many tokens from the start of a sequence. */
  blocksFor(tokens: number): number {
    return Math.ceil(tokens / this.blockTokens);
  }

  /** Blocks that a sequence holds at once until it has so many tokens. */
  peakBlocks(tokens: number): number {
    return Math.min(this.blocksFor(tokens), this.mostBlocks);
  }
}

/** Page table entries that one more token may bring: those of a block in every group. */
export function updatesPerToken(groups: readonly Pick<CacheGroupOptions, "pagesPerBlock">[]): number {
  return groups.reduce((sum, { pagesPerBlock }) => sum + pagesPerBlock, 0);
}

/** What a sequence of so many tokens needs of the pool at once, at its longest. */
export function peakBlocks(groups: readonly CacheGroup[], tokens: number): number {
  return groups.reduce((sum, group) => sum + group.peakBlocks(tokens), 0);
}

/** The longest sequence, in tokens and at most `limit`, that so many blocks suffice for; 0 when not even one token's are there. */
export function longestSequence(groups: readonly CacheGroup[], blocks: number, limit: number): number {
  let [fits, tooLong] = [0, limit + 1];
  while (tooLong - fits > 1) {
    const tokens = Math.floor((fits + tooLong) / 2);
    if (peakBlocks(groups, tokens) <= blocks) fits = tokens;
    else tooLong = tokens;
  }
  return fits;
}
