/** Whom to preempt when no block is left. */
import type { KvPages } from "./kvPages.js";
import type { Request } from "./request.js";
import type { StepBuilder } from "./scheduledStep.js";

/**
 * Of the least urgent requests the one that loses least by starting over; of equals the one that was admitted last. Never one that the step runs
 * already: its blocks would be read after they have been given away.
 *
 * @param running by priority, in order of admission
 * @param requester who needs a block, and may be the victim itself
 */
export function chooseVictim(
  running: readonly Request[],
  step: StepBuilder,
  requester: Request,
  kv: KvPages,
): Request {
  let victim = requester;
  let least = kv.recomputeTokens(requester);
  for (const request of running) {
    if (step.includes(request) || request.priority < victim.priority) continue;
    const cost = kv.recomputeTokens(request);
    if (request.priority === victim.priority && cost > least) continue;
    victim = request;
    least = cost;
  }
  return victim;
}
