/**
 * Shares the event loop with the rest of the process: long work of this package that runs on it goes through one queue, in
 * order, and stops after a few milliseconds per turn however many callers there are. Urgent work goes first, and leaves the rest
 * a step in every turn. There is one queue per thread because there is one event loop per thread. What the work is, is not
 * known here.
 */

/** Work that may be interrupted where it yields: for nothing, or for a promise that it waits for while others go on. */
export type Steps<Result> = Generator<Promise<unknown> | undefined, Result, unknown>;

interface Job {
  readonly queue: Job[];
  readonly steps: Steps<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** What the promise gave that it waited for. */
  arrived: { readonly value?: unknown; readonly error?: unknown } | undefined;
}

/** Time after which a turn ends, in milliseconds; the step that is running then is finished first. */
export const turnMs = 3;

/** In order of arrival; jobs that wait for a promise are not in them. */
const urgentJobs: Job[] = [];
const jobs: Job[] = [];
let isQueued = false;
/** When the work of this turn of the event loop has to end; undefined in a turn without work so far. */
let turnEnd: number | undefined;
/** Work arrived when this turn was over, perhaps by what brought it: the next turn is left to timers and I/O. */
let isUsedUp = false;
let isResting = false;

/**
 * Runs work after that of earlier callers. It starts in this turn if there is time left in it, never before the caller's own
 * synchronous code has ended: who hands over hundreds of jobs has used up the turn by that.
 *
 * @param options isUrgent: results that somebody waits for, of work that has been done
 * @returns what the steps return
 * @throws what they throw
 */
export function inTurns<Result>(
  steps: Steps<Result>,
  { isUrgent = false }: { readonly isUrgent?: boolean } = {},
): Promise<Result> {
  const queue = isUrgent ? urgentJobs : jobs;
  return new Promise<unknown>((resolve, reject) => {
    enqueue({ queue, steps, resolve, reject, arrived: undefined });
  }) as Promise<Result>;
}

/** Waits for a promise inside of steps. */
export function* waitFor<Value>(promise: Promise<Value>): Steps<Value> {
  return (yield promise) as Value;
}

/** Runs steps to their end at once. They must not wait for a promise. */
export function runNow<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

function enqueue(job: Job): void {
  job.queue.push(job);
  if (turnEnd === undefined) startTurn();
  if (isQueued) return;
  isQueued = true;
  queueMicrotask(() => {
    isQueued = false;
    if (performance.now() >= turnEnd!) isUsedUp = true;
    else if (!isResting) work(turnEnd!);
  });
}

function startTurn(): void {
  turnEnd = performance.now() + turnMs;
  setImmediate(nextTurn);
}

function nextTurn(): void {
  const rests = isUsedUp && !isResting;
  isUsedUp = isResting = false;
  turnEnd = undefined;
  if (urgentJobs.length + jobs.length === 0) return;
  startTurn();
  isResting = rests;
  if (!isResting) work(turnEnd!);
}

function work(end: number): void {
  workOn(urgentJobs, end);
  // Urgent work may come without end.
  if (jobs.length > 0) workOn(jobs, Math.max(end, performance.now()));
}

/** Works until `end`, and does one step at least. */
function workOn(queue: Job[], end: number): void {
  let numDone = 0;
  while (numDone < queue.length) {
    if (advance(queue[numDone]!, end)) numDone++;
    if (performance.now() >= end) break;
  }
  queue.splice(0, numDone);
}

/** @returns true when the job has ended or waits for a promise, false when the turn is over */
function advance(job: Job, end: number): boolean {
  try {
    do {
      const { arrived } = job;
      job.arrived = undefined;
      const isFailure = arrived !== undefined && "error" in arrived;
      const step = isFailure ? job.steps.throw(arrived.error) : job.steps.next(arrived?.value);
      if (step.done) {
        job.resolve(step.value);
        return true;
      }
      if (step.value !== undefined) {
        resumeAfter(job, step.value);
        return true;
      }
    } while (performance.now() < end);
  } catch (error) {
    job.reject(error);
    return true;
  }
  return false;
}

function resumeAfter(job: Job, promise: Promise<unknown>): void {
  const resume = (arrived: Job["arrived"]): void => {
    job.arrived = arrived;
    enqueue(job);
  };
  promise.then(
    (value) => resume({ value }),
    (error: unknown) => resume({ error }),
  );
}
