/**
 * Tokens' positions, slots and lengths of a step as the host once computed them, from the requests themselves: the reference for
 * what `stepInputs` makes of the step's arrays and of what the device holds. To be called before anything else is planned.
 */
import type { CacheGroupOptions } from "../../lib/schedule/cacheGroup.js";
import type { ScheduledStep } from "../../lib/schedule/scheduledStep.js";
import type { PlanLayout } from "../../lib/schedule/stepPlan.js";

export interface HostPlan {
  /** [T] row of each token, and its place there */
  readonly tokenRows: number[];
  readonly positions: number[];
  /** [G * T], one group behind the other */
  readonly slots: number[];
  /** [B] */
  readonly contextLens: number[];
  /** [S] */
  readonly samplePositions: number[];
}

export function hostPlan(
  step: ScheduledStep,
  layout: PlanLayout,
  pageSize: number,
  groups: readonly CacheGroupOptions[],
): HostPlan {
  const padding = layout.numSequences - step.sequences.length;
  const plan: HostPlan = { tokenRows: [], positions: [], slots: [], contextLens: [], samplePositions: [] };
  for (const { row, start, count, numSamples } of step.sequences) {
    for (let position = start; position < start + count; position++) {
      plan.tokenRows.push(row);
      plan.positions.push(position);
    }
    plan.contextLens.push(start + count);
    for (let i = numSamples - 1; i >= 0; i--) plan.samplePositions.push(start + count - i);
  }
  for (const [group, { pagesPerBlock }] of groups.entries()) {
    for (const { request, start, count } of step.sequences) {
      const { first, blocks } = request.held[group]!;
      for (let position = start; position < start + count; position++) {
        const place = position % (pageSize * pagesPerBlock);
        const block = blocks[Math.floor(position / (pageSize * pagesPerBlock)) - first]!;
        plan.slots.push(block * pageSize * pagesPerBlock + place);
      }
    }
    for (let i = 0; i < padding; i++) plan.slots.push(-1);
  }
  for (let i = 0; i < padding; i++) {
    plan.tokenRows.push(step.dummyRow);
    plan.positions.push(0);
    plan.contextLens.push(1);
    plan.samplePositions.push(1);
  }
  return plan;
}
