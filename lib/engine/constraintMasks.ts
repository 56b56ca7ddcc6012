/**
 * The masks of a step: of samples whose request has a constraint, the tokens that may come; of the others, all. Made when all tokens
 * before are known, while the device runs the model, in turns, since one may take a large part of a millisecond and there may be hundreds.
 */
import { WarploopError } from "../errors.js";
import type { Steps } from "../eventLoop.js";
import type { Request } from "../schedule/request.js";
import type { ScheduledStep } from "../schedule/scheduledStep.js";
import { asError } from "../thrown.js";
import { tokensToCome } from "./jumpAhead.js";
import type { SpecMap } from "./packStep.js";

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

/** @returns [samples, ceil(V / 32)]; a row without a token is for the sampler to report */
export function* constraintMasks(
  step: ScheduledStep,
  specs: SpecMap,
  listener: MaskListener,
): Steps<Int32Array> {
  const asked = step.samples.map(({ sequence }) => specs.get(sequence.request)!);
  const { vocabSize } = asked.find(({ constraint }) => constraint)!.constraint!;
  const width = Math.ceil(vocabSize / 32);
  const words = new Int32Array(step.samples.length * width).fill(-1);
  for (const [i, spec] of asked.entries()) {
    const { constraint } = spec;
    const { request } = step.samples[i]!.sequence;
    if (constraint) yield; // what ends its request in the meantime is seen to
    if (!constraint || request.status === "finished" || request.discarded > 0) continue;
    const row = words.subarray(i * width, (i + 1) * width);
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
    if (!constraint.isAccepting) continue;
    for (const id of request.params.stopTokenIds ?? []) if (id < vocabSize) allow(row, id);
  }
  return words;
}

function allow(row: Int32Array, id: number): void {
  row[id >>> 5]! |= 1 << (id & 31);
}

/** Of a token that was sampled although it may not come. */
export function unexpectedToken({ id, tokens }: Request, tokenId: number): WarploopError {
  const message = `${id}: token ${tokens.length - 1}: its format does not allow ${tokenId}, which was sampled`;
  return new WarploopError("ERR_INTERNAL", message);
}
