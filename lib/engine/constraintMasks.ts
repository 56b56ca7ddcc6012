/**
 * The masks of a step: of samples whose request has a constraint, the tokens that may come; of the others, all. Made when all tokens
 * before are known, while the device runs the model, in turns, since one may take a large part of a millisecond and there may be hundreds;
 * those that take longer are made on other threads, all at once.
 */
import { WarploopError } from "../errors.js";
import { type Steps, waitFor } from "../eventLoop.js";
import type { Request } from "../schedule/request.js";
import type { ScheduledStep } from "../schedule/scheduledStep.js";
import { asError } from "../thrown.js";
import type { Constraint } from "./constraint.js";
import { tokensToCome } from "./jumpAhead.js";
import type { SpecMap } from "./packStep.js";
import type { RequestSpec } from "./requestSpec.js";

/** Whether a sample of the step has to wait for the tokens before it. */
export function isConstrained(step: ScheduledStep, specs: SpecMap): boolean {
  return step.samples.some(({ sequence }) => specs.get(sequence.request)!.constraint !== undefined);
}

export interface MaskListener {
  /** The constraint of the request threw. */
  fail(request: Request, error: Error): void;
  /** These tokens come next, and what is sampled now does not count. */
  jump(request: Request, tokens: readonly number[]): void;
}

/** A sample of a request with a constraint. */
interface ConstrainedSample {
  readonly index: number;
  readonly request: Request;
  readonly spec: RequestSpec;
  readonly constraint: Constraint;
}

/** @returns [samples, ceil(V / 32)]; a row without a token is for the sampler to report */
export function* constraintMasks(
  step: ScheduledStep,
  specs: SpecMap,
  listener: MaskListener,
): Steps<Int32Array> {
  const samples = step.samples.flatMap(({ sequence: { request } }, index): ConstrainedSample[] => {
    const spec = specs.get(request)!;
    return spec.constraint ? [{ index, request, spec, constraint: spec.constraint }] : [];
  });
  yield* preparations(samples, listener);
  const { vocabSize } = samples[0]!.constraint;
  const width = Math.ceil(vocabSize / 32);
  const words = new Int32Array(step.samples.length * width).fill(-1);
  for (const { index, request, spec, constraint } of samples) {
    yield; // what ends its request in the meantime is seen to
    if (isDropped(request)) continue;
    const row = words.subarray(index * width, (index + 1) * width);
    try {
      const tokens = tokensToCome(request, spec);
      if (tokens.length === 0) constraint.fillMask(row);
      else if (spec.report.logprobs !== undefined) allow(row.fill(0), tokens[0]!);
      else {
        listener.jump(request, tokens);
        continue; // it may have ended, and its constraint with it
      }
    } catch (error) {
      row.fill(-1);
      listener.fail(request, asError(error));
      continue;
    }
    const setEnd = constraint.isAccepting ? allow : forbid; // also of those that are text
    for (const id of request.params.stopTokenIds ?? []) if (id < vocabSize) setEnd(row, id);
  }
  return words;
}

/** A constraint that has taken long is seen before any other goes on: they may share what is being made. */
function* preparations(samples: readonly ConstrainedSample[], listener: MaskListener): Steps<void> {
  const late: Promise<void>[] = [];
  for (const { request, constraint } of samples) {
    yield;
    if (isDropped(request)) continue;
    const fail = (error: unknown): void => listener.fail(request, asError(error));
    try {
      const prepared = constraint.prepare();
      if (prepared) late.push(prepared.catch(fail));
    } catch (error) {
      fail(error);
    }
  }
  if (late.length > 0) yield* waitFor(Promise.all(late));
}

/** Whether nothing is sampled of it any more. */
const isDropped = ({ status, discarded }: Request): boolean => status === "finished" || discarded > 0;

function allow(row: Int32Array, id: number): void {
  row[id >>> 5]! |= 1 << (id & 31);
}

function forbid(row: Int32Array, id: number): void {
  row[id >>> 5]! &= ~(1 << (id & 31));
}

/** Of a token that was sampled although it may not come. */
export function unexpectedToken({ id, tokens }: Request, tokenId: number): WarploopError {
  const message = `${id}: token ${tokens.length - 1}: its format does not allow ${tokenId}, which was sampled`;
  return new WarploopError("ERR_INTERNAL", message);
}
