/**
 * A device without arithmetic, for tests of the scheduler: it runs a step from the plan's arrays alone, against a simulated
 * token pool, lengths, page tables and KV memory. What it makes of them has to be what the host would compute (hostPlan.ts).
 * The KV of a token is a hash of everything that its group sees before it, as read through the page table, and the next token
 * is a hash of what all groups see. So a wrong page, a stale page, a page that a window gave up too early, a lost update or a
 * wrong id anywhere changes the output. Memory that nobody has written holds poison.
 */
import { type CacheGroupOptions, oneGroup } from "../../lib/schedule/cacheGroup.js";
import type { Request, RequestParams } from "../../lib/schedule/request.js";
import type { ScheduledStep } from "../../lib/schedule/scheduledStep.js";
import type { SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";
import {
  chooseLayout,
  fillPlan,
  type PlanField,
  type PlanLayout,
  paddedBatchSizes,
} from "../../lib/schedule/stepPlan.js";
import { stepInputs } from "../reference/stepInputs.js";
import { type HostPlan, hostPlan } from "./hostPlan.js";
import type { Random } from "./random.js";

export const vocabulary = 61;
const poison = -1;

function mix(hash: number, value: number): number {
  let h = Math.imul(hash ^ value, 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  return h ^ (h >>> 13);
}

/** The KV of a sequence starts from its adapter: the KV of two adapters differs for the same tokens. */
function seedOf({ adapterId = "" }: RequestParams): number {
  return [...adapterId].reduce((hash, char) => mix(hash, char.codePointAt(0)!), 7);
}

const nextToken = (logit: number) => (logit >>> 0) % vocabulary;
const firstSeen = ({ window }: CacheGroupOptions, position: number) =>
  window === 0 ? 0 : Math.max(0, position - window + 1);

/** Reads and writes the KV of one sequence, by group and position, and its slot, by layer. */
interface Memory {
  read(group: number, position: number): number;
  write(group: number, position: number, value: number): void;
  readSlot(layer: number): number;
  writeSlot(layer: number, value: number): void;
}

/** What a sequence keeps. */
interface Kept {
  readonly groups: readonly CacheGroupOptions[];
  readonly slotLayers: number;
}

/** Runs the token at a position. @returns its logit */
function runToken(
  { groups, slotLayers }: Kept,
  { seed, token, position }: { seed: number; token: number; position: number },
  memory: Memory,
): number {
  let before = seed;
  for (const [g, group] of groups.entries())
    for (let p = firstSeen(group, position); p < position; p++) before = mix(before, memory.read(g, p));
  let logit = 1;
  for (const [g, group] of groups.entries()) {
    memory.write(g, position, mix(mix(mix(before, token), position), g));
    for (let p = firstSeen(group, position); p <= position; p++) logit = mix(logit, memory.read(g, p));
  }
  for (let layer = 0; layer < slotLayers; layer++) {
    const state = position === 0 ? mix(seed, layer) : memory.readSlot(layer);
    memory.writeSlot(layer, mix(mix(state, token), position));
    logit = mix(logit, memory.readSlot(layer));
  }
  return logit;
}

/** What the device must produce for a request, computed without pages, rows, steps or batches. */
export class Alone {
  readonly #kv: number[][];
  readonly #slot: number[] = [];
  readonly #logits: number[] = [];
  readonly #seed: number;
  readonly #kept: Kept;

  constructor(params: RequestParams, kept: Kept) {
    this.#seed = seedOf(params);
    this.#kept = kept;
    this.#kv = kept.groups.map(() => []);
  }

  push(token: number): void {
    const [kv, slot] = [this.#kv, this.#slot];
    const call = { seed: this.#seed, token, position: this.#logits.length };
    const logit = runToken(this.#kept, call, {
      read: (group, position) => kv[group]![position]!,
      write: (group, position, value) => void (kv[group]![position] = value),
      readSlot: (layer) => slot[layer]!,
      writeSlot: (layer, value) => void (slot[layer] = value),
    });
    this.#logits.push(logit);
  }

  logit(position: number): number {
    return this.#logits[position]!;
  }
}

/** Of a request some of whose tokens come without sampling: which ones, and where, is by chance. */
export interface JumpingParams extends RequestParams {
  readonly jumps?: number;
}

/** The ids that come next at a position whatever is sampled, at most `room`; none where it is sampled. */
export function idsToJump({ jumps, stopTokenIds }: JumpingParams, position: number, room: number): number[] {
  if (jumps === undefined) return [];
  const hash = mix(mix(7, jumps), position) >>> 0;
  const ids = Array.from({ length: hash % 7 }, (_, i) => nextToken(mix(hash, i)));
  return ids.filter((id) => !stopTokenIds?.has(id)).slice(0, room);
}

/** Tokens that the request generates when it runs alone, and why it ends. */
export function generateAlone(
  prompt: readonly number[],
  params: JumpingParams,
  options: Pick<SchedulerOptions, "maxModelLen" | "groups" | "slotLayers">,
) {
  const { maxModelLen, groups = oneGroup, slotLayers = 0 } = options;
  const alone = new Alone(params, { groups, slotLayers });
  for (const token of prompt) alone.push(token);
  const tokens = [...prompt];
  const limit = Math.min(prompt.length + params.maxTokens, maxModelLen);
  for (;;) {
    const jump = idsToJump(params, tokens.length, limit - tokens.length);
    for (const token of jump.length > 0 ? jump : [nextToken(alone.logit(tokens.length - 1))]) {
      tokens.push(token);
      alone.push(token);
    }
    if (params.stopTokenIds?.has(tokens.at(-1)!)) return { tokens, alone, reason: "stop" as const };
    if (tokens.length === limit) return { tokens, alone, reason: "length" as const };
  }
}

export interface PromptLogitResult {
  readonly request: Request;
  readonly position: number;
  readonly logit: number;
}

/** What comes back from a step. */
export interface StepResult {
  readonly sampledIds: Int32Array;
  readonly promptLogits: readonly PromptLogitResult[];
}

/** A step as it ran: what a real device would be given, and what it would have to make of it. */
export interface RanStep {
  readonly step: ScheduledStep;
  readonly layout: PlanLayout;
  readonly data: Int32Array;
  readonly expected: HostPlan & { readonly tokens: readonly number[] };
  readonly sampledIds: Int32Array;
}

export class FakeDevice {
  readonly #options: SchedulerOptions;
  readonly #batchSizes: readonly number[];
  readonly #random: Random;
  readonly #tokenPool: Int32Array[];
  /** [G and one for slots][R][W] */
  readonly #pageTables: Int32Array[][];
  readonly #groups: readonly CacheGroupOptions[];
  readonly #slotLayers: number;
  /** Tokens that there is room for in a block. */
  readonly #blockTokens: number;
  #lengths: readonly number[];
  readonly #kv: Int32Array;

  /** @param onStep called with every step, after it has run */
  constructor(
    options: SchedulerOptions,
    random: Random,
    readonly onStep?: (ran: RanStep) => void,
  ) {
    const { maxSequences, maxModelLen, pageSize, numBlocks } = options;
    const { groups = oneGroup, slotLayers = 0 } = options;
    this.#options = options;
    this.#groups = groups;
    this.#slotLayers = slotLayers;
    this.#random = random;
    this.#batchSizes = paddedBatchSizes(maxSequences);
    const rows = Array.from({ length: maxSequences + 1 }, (_, row) => row);
    const fill = (row: number) => (row === maxSequences ? 0 : poison);
    const mostPages = Math.max(1, ...groups.map(({ pagesPerBlock }) => pagesPerBlock));
    const width = Math.ceil(maxModelLen / pageSize) + mostPages - 1;
    this.#tokenPool = rows.map((row) => new Int32Array(maxModelLen).fill(fill(row)));
    const table = (size: number) => rows.map((row) => new Int32Array(size).fill(fill(row)));
    this.#pageTables = [...groups.map(() => table(width)), table(slotLayers)];
    this.#lengths = rows.map(() => 0);
    this.#blockTokens = mostPages * pageSize;
    this.#kv = Int32Array.from({ length: numBlocks * this.#blockTokens }, () => random.below(0x7fffffff));
  }

  run(step: ScheduledStep): StepResult {
    const layout = chooseLayout(step, this.#batchSizes);
    const data = new Int32Array(layout.length).fill(0x7fffffff);
    fillPlan(step, layout, data);
    const field = (name: PlanField) =>
      data.subarray(layout.offsets[name], layout.offsets[name] + layout.sizes[name]);
    this.#upload(step);
    this.#updatePages(field("updateRows"), field("updateCols"), field("updatePages"));
    const inputs = this.#makeInputs(step, layout, field);
    this.#copy(step.copies.beforeModel);
    const logits = this.#forward(step, field, inputs);
    this.#copy(step.copies.afterModel);
    const wanted = Array.from(field("logitIndices"), (index) => logits[index]!);
    const sampledIds = Int32Array.from(wanted.slice(0, layout.numSamples), nextToken);
    for (const [i, row] of field("sampleRows").entries()) {
      if (row >= 0) this.#tokenPool[row]![inputs.samplePositions[i]!] = sampledIds[i]!;
    }
    this.onStep?.({ step, layout, data, expected: inputs, sampledIds });
    const promptLogits = step.promptLogits.map(({ sequence, position }, i) => {
      return { request: sequence.request, position, logit: wanted[step.samples.length + i]! };
    });
    return { sampledIds, promptLogits };
  }

  #upload(step: ScheduledStep): void {
    for (const { row, tokens } of step.admissions) {
      this.#tokenPool[row]!.fill(poison);
      this.#tokenPool[row]!.set(tokens);
    }
    for (const { row, first, tokens } of step.appended) this.#tokenPool[row]!.set(tokens, first);
  }

  /** In random order, as threads would: two updates of one entry are a race. */
  #updatePages(rows: Int32Array, cols: Int32Array, pages: Int32Array): void {
    const seen = new Set<string>();
    for (const i of this.#random.shuffle([...rows.keys()])) {
      if (rows[i]! < 0) continue;
      const [group, row] = [Math.floor(rows[i]! / this.#lengths.length), rows[i]! % this.#lengths.length];
      const key = `${group},${row},${cols[i]}`;
      if (seen.has(key)) throw new Error(`page table entry ${key} is updated twice in a step`);
      seen.add(key);
      this.#pageTables[group]![row]![cols[i]!] = pages[i]!;
    }
  }

  /** From the tables, as the device makes them; they have to be what the host knows. */
  #makeInputs(step: ScheduledStep, layout: PlanLayout, field: (name: PlanField) => Int32Array) {
    const expected = hostPlan(step, layout, this.#options.pageSize, this.#groups);
    const { lengths, ...inputs } = stepInputs({
      ...{ rows: field("rows"), starts: field("starts"), cuSeqlensQ: field("cuSeqlensQ") },
      logitIndices: field("logitIndices").subarray(0, layout.numSamples),
      ...{
        lengths: this.#lengths,
        tokenPool: this.#tokenPool,
        pageTables: this.#pageTables.slice(0, this.#groups.length),
      },
      pageSizes: this.#groups.map(() => this.#options.pageSize),
    });
    this.#lengths = lengths;
    for (const name of ["positions", "slots", "contextLens", "samplePositions"] as const) {
      if (inputs[name].join() !== expected[name].join())
        throw new Error(`step ${step.index}: ${name} are ${inputs[name]}, expected ${expected[name]}`);
    }
    return { ...expected, tokens: inputs.tokens };
  }

  /** Runs the sequences in random order: one that reads what another writes in the same step gets poison or luck. */
  #forward(
    step: ScheduledStep,
    field: (name: PlanField) => Int32Array,
    { tokens, positions, slots, contextLens }: RanStep["expected"],
  ): Int32Array {
    const [rows, cuSeqlensQ] = [field("rows"), field("cuSeqlensQ")];
    const logits = new Int32Array(tokens.length);
    const written = new Set<number>();
    for (const b of this.#random.shuffle([...contextLens.keys()])) {
      const row = rows[b]!;
      if (cuSeqlensQ[b + 1]! <= cuSeqlensQ[b]!)
        throw new Error(`sequence ${b} of step ${step.index} is empty`);
      const seed = seedOf(step.sequences[b]?.request.params ?? { maxTokens: 1 });
      for (let t = cuSeqlensQ[b]!; t < cuSeqlensQ[b + 1]!; t++) {
        const [position, token] = [positions[t]!, tokens[t]!];
        if (token === poison) throw new Error(`token ${t} at position ${position} is not in the token pool`);
        const own = (group: number) => slots[group * tokens.length + t]!;
        const slotBlock = (layer: number) => this.#pageTables[this.#groups.length]![row]![layer]!;
        logits[t] = runToken(
          { groups: this.#groups, slotLayers: row === step.dummyRow ? 0 : this.#slotLayers },
          { seed, token, position },
          {
            read: (group, at) => this.#readKv(group, row, at),
            write: (group, _, value) => this.#writeKv(group, own(group), value, written),
            readSlot: (layer) => this.#kv[slotBlock(layer) * this.#blockTokens]!,
            writeSlot: (layer, value) => this.#writeSlot(slotBlock(layer), value, written),
          },
        );
      }
    }
    return logits;
  }

  #readKv(group: number, row: number, position: number): number {
    const { pageSize } = this.#options;
    const page = this.#pageTables[group]![row]![Math.floor(position / pageSize)]!;
    if (page === poison) throw new Error(`row ${row}: no page for position ${position}`);
    return this.#kv[this.#placeOf(group, page * pageSize + (position % pageSize))]!;
  }

  #writeKv(group: number, slot: number, value: number, written: Set<number>): void {
    if (slot === -1) return;
    const place = this.#placeOf(group, slot);
    if (place < this.#blockTokens || place >= this.#kv.length)
      throw new Error(`slot ${slot} is out of range`);
    if (written.has(place)) throw new Error(`slot ${slot} is written twice in a step`);
    written.add(place);
    this.#kv[place] = value;
  }

  /** A slot may be written for every token of its sequence, but by no other. */
  #writeSlot(block: number, value: number, written: Set<number>): void {
    const place = block * this.#blockTokens;
    if (block < 1 || place >= this.#kv.length) throw new Error(`block ${block} of a slot is out of range`);
    written.add(place);
    this.#kv[place] = value;
  }

  /** One after the other, as the device does. */
  #copy(copies: ScheduledStep["copies"]["beforeModel"]): void {
    for (const { from, to } of copies) {
      const start = from * this.#blockTokens;
      this.#kv.copyWithin(to * this.#blockTokens, start, start + this.#blockTokens);
    }
  }

  /** Of a slot in the pool, whose blocks belong to one group now and to another later. */
  #placeOf(group: number, slot: number): number {
    const tokens = this.#groups[group]!.pagesPerBlock * this.#options.pageSize;
    return Math.floor(slot / tokens) * this.#blockTokens + (slot % tokens);
  }
}
