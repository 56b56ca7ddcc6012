/** The requests that run: the most urgent first, those of equal priority in order of admission. */
import type { Request } from "./request.js";

/** Adds a request behind all that are as urgent. */
export function addRunning(running: Request[], request: Request): void {
  let place = running.length;
  while (place > 0 && running[place - 1]!.priority > request.priority) place--;
  running.splice(place, 0, request);
}

/** A copy, a list for each priority: the requests may be preempted meanwhile. */
export function byPriority(running: readonly Request[]): Request[][] {
  const lists: Request[][] = [];
  for (const request of running) {
    const last = lists.at(-1);
    if (last?.[0]!.priority === request.priority) last.push(request);
    else lists.push([request]);
  }
  return lists;
}
