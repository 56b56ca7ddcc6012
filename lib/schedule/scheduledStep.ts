/**
 * What one step runs, as objects: which tokens of which request, what has to be uploaded before, and what comes back.
 * A step is self-contained: it stays valid when its requests end or are preempted after it was planned.
 * `StepBuilder` is the scheduler's half-filled step; `fillPlan` (stepPlan.ts) turns the finished one into arrays.
 */
import { type CacheGroup, updatesPerToken } from "./cacheGroup.js";
import type { StepCopies } from "./kvPages.js";
import type { FinishReason, Request } from "./request.js";

/** Tokens [start, start + count) of one request. */
export interface ScheduledSequence {
  readonly request: Request;
  readonly row: number;
  readonly start: number;
  /** >= 1 */
  readonly count: number;
  /** Index of token `start` among the T tokens of the step. */
  readonly firstToken: number;
  /**
   * An id is sampled behind each of the last `numSamples` of these tokens, at most `count`. The scheduler makes 1 where they reach the
   * end of the known and in-flight tokens, so that token start + count is sampled, and else 0; a draft's 1 + k tokens have 1 + k.
   */
  readonly numSamples: number;
  /** Whether the row's last step ended at `start`, so that the device knows it; false when the step admits the request. */
  readonly continues: boolean;
}

/** The whole content of a token pool row, to be written before the step runs. */
export interface Admission {
  readonly request: Request;
  readonly row: number;
  /** Prompt ids, and after a preemption the generated ids so far. They go to columns [0, tokens.length). */
  readonly tokens: Int32Array;
}

/** Ids that a running request has got without sampling them, to be written before the step runs. They go to columns from `first` on. */
export interface AppendedIds {
  readonly row: number;
  readonly first: number;
  readonly tokens: Int32Array;
}

/**
 * pageTables[group][row][col] = page, to be written before the step runs. Behind the groups comes the table of slots, whose columns
 * are layers and whose pages are blocks. No (group, row, col) occurs twice in a step.
 */
export interface PageUpdate {
  readonly group: number;
  readonly row: number;
  readonly col: number;
  readonly page: number;
}

/** A token whose logits are needed, because an id is sampled behind it or its request asked for them. */
export interface LogitRow {
  readonly sequence: ScheduledSequence;
  /** Position of the token whose hidden state is used; the logits are about position + 1. */
  readonly position: number;
}

/** Every scheduled step must be run, in order of `index`, even if all its requests have ended meanwhile. */
export interface ScheduledStep {
  readonly index: number;
  /**
   * "decode": every sequence runs one token and samples once, and there are no more page updates than `updatesPerDecode` of each,
   * so the step fits a captured graph. "mixed": anything else.
   */
  readonly kind: "decode" | "mixed";
  readonly sequences: readonly ScheduledSequence[];
  readonly admissions: readonly Admission[];
  readonly appended: readonly AppendedIds[];
  readonly pageUpdates: readonly PageUpdate[];
  /** Blocks to be copied before and after the model runs. */
  readonly copies: StepCopies;
  /** Page updates of one token at most: the pages of a block in every group. */
  readonly updatesPerDecode: number;
  /** Logit rows [0, S), sampled from: those of each sequence in order of position, one sequence behind the other. */
  readonly samples: readonly LogitRow[];
  /** Logit rows [S, N), wanted at prompt positions where nothing is sampled. */
  readonly promptLogits: readonly LogitRow[];
  /** T */
  readonly numTokens: number;
  /** Row of the page table and token pool that padding uses: the one after the last request row. */
  readonly dummyRow: number;
}

/** A sampled token that has reached its request. */
export interface CommittedToken {
  readonly request: Request;
  readonly tokenId: number;
  /** Index of the token in the sequence. */
  readonly position: number;
  /** Row of the sampled ids, log probabilities and so on that belong to it. */
  readonly sampleIndex: number;
  /** Set when this token ended the request. */
  readonly finishReason: FinishReason | null;
}

/** The tokens that ids are sampled behind. */
export function sampledRows(sequences: readonly ScheduledSequence[]): LogitRow[] {
  return sequences.flatMap((sequence) => {
    const { start, count, numSamples } = sequence;
    const first = start + count - numSamples;
    return Array.from({ length: numSamples }, (_, i) => ({ sequence, position: first + i }));
  });
}

/** A step while the scheduler fills it. */
export class StepBuilder {
  readonly #sequences: ScheduledSequence[] = [];
  readonly #admissions: Admission[] = [];
  readonly #appended: AppendedIds[] = [];
  readonly #pageUpdates: PageUpdate[] = [];
  readonly #promptLogits: LogitRow[] = [];
  readonly #planned = new Set<Request>();
  readonly #groups: readonly CacheGroup[];
  #numTokens = 0;

  constructor(groups: readonly CacheGroup[]) {
    this.#groups = groups;
  }

  get isEmpty(): boolean {
    return this.#sequences.length === 0;
  }

  get numTokens(): number {
    return this.#numTokens;
  }

  /** True when the step runs tokens of the request already; it may not lose its blocks any more. */
  includes(request: Request): boolean {
    return this.#planned.has(request);
  }

  /** The next `count` tokens of a running request. */
  addChunk(request: Request, count: number): void {
    const { row, cachedLen: start, appendedFrom: first } = request;
    if (first < Infinity) this.#appended.push({ row, first, tokens: request.tokens.view(first) });
    request.appendedFrom = Infinity;
    const firstLogit = request.needsPromptLogits ? Math.max(start, request.logitsPlanned) : Infinity;
    const numSamples = request.advance(count) ? 1 : 0;
    const sequence: ScheduledSequence = {
      ...{ request, row, start, count },
      firstToken: this.#numTokens,
      numSamples,
      continues: this.#admissions.at(-1)?.request !== request,
    };
    this.#sequences.push(sequence);
    this.#planned.add(request);
    this.#numTokens += count;
    const endLogit = Math.min(start + count - numSamples, request.promptLength);
    for (let position = firstLogit; position < endLogit; position++)
      this.#promptLogits.push({ sequence, position });
  }

  /** Upload of the ids and the slot of a request that has just got its row. */
  addAdmission(request: Request): void {
    const { row, slot } = request;
    request.appendedFrom = Infinity;
    this.#admissions.push({ request, row, tokens: request.tokens.view() });
    const group = this.#groups.length;
    for (const [col, page] of slot.entries()) this.#pageUpdates.push({ group, row, col, page });
  }

  /** Page table entries of the blocks that a running request has got since it was here last. */
  addBlocks({ row, held }: Request): void {
    for (const { index: group, pagesPerBlock } of this.#groups) {
      const own = held[group]!;
      const end = own.first + own.blocks.length;
      for (; own.listed < end; own.listed++) {
        const [col, page] = [own.listed, own.blocks[own.listed - own.first]!].map((x) => x * pagesPerBlock);
        for (let i = 0; i < pagesPerBlock; i++)
          this.#pageUpdates.push({ group, row, col: col! + i, page: page! + i });
      }
    }
  }

  build(index: number, dummyRow: number, copies: StepCopies): ScheduledStep {
    const sequences = this.#sequences;
    const samples = sampledRows(sequences);
    const oneEach = this.#numTokens === sequences.length && samples.length === sequences.length;
    const updatesPerDecode = updatesPerToken(this.#groups);
    // Only an admission can bring several blocks of a group for one sequence.
    const fits = this.#pageUpdates.length <= sequences.length * updatesPerDecode;
    const kind = oneEach && fits ? "decode" : "mixed";
    return {
      index,
      kind,
      sequences,
      samples,
      ...{ admissions: this.#admissions, appended: this.#appended },
      pageUpdates: this.#pageUpdates,
      ...{ copies, updatesPerDecode },
      promptLogits: this.#promptLogits,
      numTokens: this.#numTokens,
      dummyRow,
    };
  }
}
