/** Turns of the event loop, for tests of work that leaves it its turns. */

/** Counts the turns until `work` is done. */
export async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let numTurns = 0;
  let isRunning = true;
  const turn = (): void => {
    numTurns++;
    if (isRunning) setImmediate(turn);
  };
  setImmediate(turn);
  await work();
  isRunning = false;
  return numTurns;
}
