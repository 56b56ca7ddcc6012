/**
 * A prompt's keys and values (and states of layers that keep such) in a file: another process of the same model need not compute them
 * again. What is restored is in the prefix cache: prompts that begin alike find it.
 */
import { createHash } from "node:crypto";
import { describe, readArguments, readOptions } from "../arguments.js";
import { greedySpec, makeRequest, type RequestSpec } from "../engine/requestSpec.js";
import { ArgumentRangeError, ArgumentTypeError, CapacityError } from "../errors.js";
import { inTurns } from "../eventLoop.js";
import type { StateLayout, StateSpec } from "../nn/state.js";
import { CacheGroup } from "../schedule/cacheGroup.js";
import type { PrefixLoan, PrefixLoans } from "../schedule/prefixLoans.js";
import type { Request } from "../schedule/request.js";
import type { ChatMessage } from "../text/chatTemplate.js";
import {
  chatPromptOptionNames,
  type ChatPromptOptions,
  isChat,
  preparePrompt,
  requireNoChatOptions,
} from "./chatOptions.js";
import { requireHead } from "./generateOptions.js";
import type { Intake } from "./intake.js";
import type { Parts } from "./parts.js";
import { checkPromptLength, type Prompt } from "./prompt.js";
import { promptIds } from "./promptIds.js";
import { runRequest } from "./requests.js";
import { SessionFile, type SessionPlace, writeSession } from "./sessionFile.js";
import { usedRanges } from "./sessionLayout.js";
import { checkSignal, checkText } from "./validate.js";

export interface RestoreSessionOptions {
  /** Requests find it with this salt alone, as with that of `generate`. Default "". */
  readonly cacheSalt?: string | undefined;
  /** Ends it; the call rejects with the reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Those of `chat` that change the prompt are for messages. */
export interface SaveSessionOptions extends RestoreSessionOptions, ChatPromptOptions {}

export interface Session {
  /** Of the prompt. */
  readonly tokenIds: Int32Array;
  /** How many of the first of them the cache holds: whole pages. */
  readonly cachedTokens: number;
  /** Of the file. */
  readonly bytes: number;
}

/** What it needs of a loaded model. */
export interface SessionKeeper extends Parts {
  readonly intake: Intake;
}

const optionNames = ["cacheSalt", "signal"] as const;
/** Blocks that are read together, and bytes that are written before the device is waited for. */
const blocksTogether = 32;
const bytesTogether = 64 << 20;
let nextSession = 1;

/** @throws as LLM.saveSession does */
export async function saveSession(
  file: string,
  prompt: Prompt | readonly ChatMessage[],
  given: SaveSessionOptions,
  keeper: SessionKeeper,
): Promise<Session> {
  const options = readOptions("saveSession", given, [...optionNames, ...chatPromptOptionNames]);
  const { cacheSalt, signal } = checked(file, options);
  const { loans, place } = openCache("saveSession", keeper);
  requireHead(keeper.context);
  const tokenIds = await idsOf(prompt, options, keeper, signal);
  checkPromptLength("prompt", tokenIds.length, keeper.context);
  if (tokenIds.length <= place.unit)
    throw new ArgumentRangeError(
      `saveSession: prompt: expected more tokens than a page has (${place.unit}), got ${tokenIds.length}`,
    );
  const loan = await computed(tokenIds, loans, { ...keeper, cacheSalt, signal });
  try {
    const { length } = loan;
    const blocks = readBlocks(loan, keeper, signal);
    const check = (): void => {
      if (!loans.isValid(loan))
        throw new CapacityError("saveSession: the cache has lost the prompt meanwhile");
    };
    const bytes = await writeSession(file, { length, tokens: tokenIds }, place, thenCheck(blocks, check));
    return { tokenIds, cachedTokens: length, bytes };
  } finally {
    loans.giveBack(loan);
  }
}

/** @throws as LLM.restoreSession does */
export async function restoreSession(
  file: string,
  given: RestoreSessionOptions,
  keeper: SessionKeeper,
): Promise<Session> {
  const { cacheSalt, signal } = checked(file, readOptions("restoreSession", given, optionNames));
  const { loans, place } = openCache("restoreSession", keeper);
  signal?.throwIfAborted();
  await using session = await SessionFile.open(file, place);
  const { tokens: tokenIds, length: cachedTokens, bytes } = session;
  const request = requestFor(tokenIds, sessionSpec(cacheSalt));
  await inTurns(keeper.engine.hashPrompt(request));
  if (loans.lengthOf(request) < cachedTokens) {
    const loan = loans.take(request, cachedTokens);
    try {
      await writeBlocks(loan, session.blocks(), keeper, signal);
      loans.register(loan);
    } finally {
      loans.giveBack(loan);
    }
  }
  return { tokenIds, cachedTokens, bytes };
}

function checked(
  file: unknown,
  { cacheSalt, signal }: RestoreSessionOptions,
): { readonly cacheSalt: string; readonly signal: AbortSignal | undefined } {
  if (typeof file !== "string" || file === "")
    throw new ArgumentTypeError(`file: expected a path, got ${describe(file)}`);
  return { cacheSalt: checkText("cacheSalt", cacheSalt, ""), signal: checkSignal(signal) };
}

/** @throws ArgumentRangeError without a prefix cache */
function openCache(
  caller: string,
  { engine: { loans }, runner, model, context }: SessionKeeper,
): { readonly loans: PrefixLoans; readonly place: SessionPlace } {
  if (!loans)
    throw new ArgumentRangeError(`${caller}: expected a model that is loaded with prefixCache: true`);
  const { layout } = runner;
  const groups = layout.groups.map((group, i) => new CacheGroup(i, group, layout.pageSize, 1));
  const blocksOf: SessionPlace["blocksOf"] = (length) => ({
    groups: groups.map((group) => length / group.blockTokens - group.firstBlock(length)),
    slots: layout.slotLayers,
  });
  const place = {
    ...{ fingerprint: model.shape.fingerprint, layout: layoutName(layout, model.state) },
    ...{ blockBytes: layout.blockBytes, blocksOf, unit: loans.unit, contextLength: context.contextLength },
  };
  return { loans, place };
}

function layoutName(layout: StateLayout, state: readonly StateSpec[]): string {
  return createHash("sha256")
    .update(JSON.stringify([layout, state]))
    .digest("hex");
}

async function idsOf(
  prompt: Prompt | readonly ChatMessage[],
  { cacheSalt: _, signal: __, ...options }: SaveSessionOptions,
  keeper: SessionKeeper,
  signal: AbortSignal | undefined,
): Promise<Int32Array> {
  if (!readArguments("prompt", () => isChat(prompt))) {
    requireNoChatOptions("saveSession", prompt, options);
    return promptIds(prompt as Prompt, keeper, { name: "prompt", signal });
  }
  const messages = prompt as readonly ChatMessage[];
  const text = preparePrompt("saveSession", messages, options, keeper.chats, keeper.tokenizer);
  const ids = await inTurns(keeper.intake.encode({ text, addSpecialTokens: false }, signal));
  signal?.throwIfAborted();
  return ids;
}

function sessionSpec(cacheSalt: string): RequestSpec {
  const spec = greedySpec(1);
  return { ...spec, schedule: { ...spec.schedule, cacheSalt } };
}

/** Stands for the tokens in the cache; no lookup includes the last one, so there is one more. */
function requestFor(tokenIds: Int32Array, spec: RequestSpec): Request {
  const longer = new Int32Array(tokenIds.length + 1);
  longer.set(tokenIds);
  return makeRequest(`session-${nextSession++}`, longer, spec);
}

/** The blocks of a prompt, which is run if they are not there. @throws CapacityError */
async function computed(
  tokenIds: Int32Array,
  loans: PrefixLoans,
  { engine, cacheSalt, signal }: SessionKeeper & ReturnType<typeof checked>,
): Promise<PrefixLoan> {
  const spec = sessionSpec(cacheSalt);
  const probe = requestFor(tokenIds, spec);
  await inTurns(engine.hashPrompt(probe));
  const wanted = Math.floor((tokenIds.length - 1) / loans.unit) * loans.unit;
  if (loans.lengthOf(probe) < wanted)
    await runRequest(engine, makeRequest(`${probe.id}-prompt`, tokenIds, spec, probe.pageHashes), spec, {
      ...{ caller: "saveSession", signal },
    });
  const loan = loans.lend(probe);
  if (loan.length >= wanted) return loan;
  loans.giveBack(loan);
  throw new CapacityError(
    "saveSession: the cache had no room to keep the prompt; try again when fewer requests run",
  );
}

/** What of each block its pages have; the rest, which may be of others, is zero. */
async function* readBlocks(
  loan: PrefixLoan,
  { runner, stream, model }: SessionKeeper,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  const { pool } = runner.state;
  const ranges = usedRanges(runner.layout, model.state);
  const blocks = [
    ...loan.blocks.flatMap((list, group) => list.map((block) => ({ block, used: ranges.groups[group]! }))),
    ...loan.slot.map((block, column) => ({ block, used: ranges.slots[column]! })),
  ];
  for (let at = 0; at < blocks.length; at += blocksTogether) {
    signal?.throwIfAborted();
    const some = blocks.slice(at, at + blocksTogether);
    const reads = await Promise.all(some.map(({ block }) => pool.slice(0, block, block + 1).read(stream)));
    for (const [i, bytes] of (reads as Uint8Array[]).entries()) {
      const own = new Uint8Array(bytes.length);
      for (const [start, end] of some[i]!.used) own.set(bytes.subarray(start, end), start);
      yield own;
    }
  }
}

async function* thenCheck<T>(items: AsyncIterable<T>, check: () => void): AsyncGenerator<T> {
  yield* items;
  check();
}

async function writeBlocks(
  { blocks, slot }: PrefixLoan,
  contents: AsyncIterable<Uint8Array>,
  { runner, stream }: SessionKeeper,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { pool } = runner.state;
  const targets = [...blocks.flat(), ...slot].values();
  let queued = 0;
  for await (const bytes of contents) {
    signal?.throwIfAborted();
    const block = targets.next().value!;
    pool.slice(0, block, block + 1).write(stream, bytes);
    if ((queued += bytes.length) < bytesTogether) continue;
    await stream.synchronize();
    queued = 0;
  }
}
