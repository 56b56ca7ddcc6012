/**
 * From a scheduled step, and what is known of its requests, to the plain data that a runner gets, and back: which results about
 * prompts belong to which request. Pure.
 */
import type { HostSequence } from "../nn/step.js";
import type { Request } from "../schedule/request.js";
import type { ScheduledSequence, ScheduledStep } from "../schedule/scheduledStep.js";
import { chooseLayout, fillPlan } from "../schedule/stepPlan.js";
import type { DeviceStep, PromptReads, PromptResult } from "./deviceStep.js";
import type { RequestSpec } from "./requestSpec.js";
import { packSampling } from "./sampling.js";

/** Knows every request of a step, also those that have ended since it was planned. */
export interface SpecMap {
  get(request: Request): RequestSpec | undefined;
}

/** Something about the prompt of a request: what comes after position `position`. */
export interface PromptPosition extends PromptResult {
  readonly request: Request;
  readonly position: number;
}

/** @param batchSizes of the runner that gets it */
export function packStep(step: ScheduledStep, batchSizes: readonly number[], specs: SpecMap): DeviceStep {
  const prompt = packPrompt(step, specs);
  const wantsHidden = prompt?.hidden.includes(1) ?? false; // which a captured step does not leave
  const layout = chooseLayout(step, wantsHidden ? [] : batchSizes);
  const ints = new Int32Array(layout.length);
  fillPlan(step, layout, ints);
  const asked = step.samples.map(({ sequence }) => specs.get(sequence.request)!);
  const wantsLogprobs = asked.some(({ report }) => report.logprobs !== undefined);
  return {
    index: step.index,
    layout,
    ints,
    sequences: layout.kind === "mixed" ? step.sequences.map(hostSequence) : null,
    tokenWrites: [...step.admissions.map(({ row, tokens }) => ({ row, first: 0, tokens })), ...step.appended],
    copies: step.copies,
    sampling: packSampling(step.samples, asked, layout.numSamples),
    sampleLogprobs: wantsLogprobs ? Int32Array.from(asked, ({ report }) => report.logprobs ?? -1) : null,
    prompt,
  };
}

function hostSequence({ row, start, count }: ScheduledSequence): HostSequence {
  return { row, start, count };
}

/** The results about prompts of a step that `packStep` made, with their requests. */
export function promptPositions(
  step: ScheduledStep,
  results: readonly PromptResult[],
  specs: SpecMap,
): PromptPosition[] {
  if (results.length === 0) return [];
  return promptRows(step, specs).map(({ request, position }, i) => {
    const isInside = position + 1 < request.promptLength; // else the token behind it was generated
    const result = results[i]!;
    return { ...result, request, position, logprobs: isInside ? result.logprobs : null };
  });
}

interface PromptRow {
  readonly request: Request;
  readonly position: number;
}

/** In the order of `PromptReads`. */
function promptRows(step: ScheduledStep, specs: SpecMap): PromptRow[] {
  const between = step.promptLogits.map(({ sequence: { request }, position }) => ({ request, position }));
  const last = endedPrompts(step, specs).map((i) => step.samples[i]!);
  return [...between, ...last.map(({ sequence: { request }, position }) => ({ request, position }))];
}

/** Samples at the last position of a prompt of which something is asked for. */
function endedPrompts(step: ScheduledStep, specs: SpecMap): number[] {
  const ended: number[] = [];
  for (const [i, { sequence, position }] of step.samples.entries()) {
    const { request } = sequence;
    if (position + 1 !== request.promptLength) continue;
    const { promptLogits, promptHidden } = specs.get(request)!.report;
    if (promptLogits || promptHidden !== "none") ended.push(i);
  }
  return ended;
}

function packPrompt(step: ScheduledStep, specs: SpecMap): PromptReads | null {
  const sampleRows = endedPrompts(step, specs);
  if (step.promptLogits.length + sampleRows.length === 0) return null;
  const rows = promptRows(step, specs);
  const reports = rows.map(({ request }) => specs.get(request)!.report);
  return {
    sampleRows: Int32Array.from(sampleRows),
    nextIds: Int32Array.from(rows, ({ request, position }) => request.tokens.at(position + 1) ?? 0),
    logprobs: Int32Array.from(reports, ({ promptLogprobs = -1 }) => promptLogprobs),
    logits: Uint8Array.from(reports, ({ promptLogits }) => Number(promptLogits)),
    hidden: Uint8Array.from(reports, ({ promptHidden }) => Number(promptHidden !== "none")),
  };
}
