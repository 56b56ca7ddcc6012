/**
 * Listens to signals of the caller, who may hand one signal to thousands of generations: each signal gets one listener, however
 * many wait for it (Node warns of a leak beyond ten).
 */

interface Fanout {
  readonly calls: Set<() => void>;
  readonly listener: () => void;
}

const fanouts = new WeakMap<AbortSignal, Fanout>();

/**
 * Calls once when the signal fires; never if it has fired already.
 * @param call a function of its own for each use; does not throw
 * @returns ends the wait; idempotent
 */
export function onAbort(signal: AbortSignal, call: () => void): () => void {
  const { calls } = fanouts.get(signal) ?? listenTo(signal);
  calls.add(call);
  return () => {
    if (calls.delete(call) && calls.size === 0) stopListening(signal);
  };
}

function listenTo(signal: AbortSignal): Fanout {
  const calls = new Set<() => void>();
  const listener = (): void => {
    fanouts.delete(signal);
    for (const call of calls) call();
  };
  const fanout = { calls, listener };
  fanouts.set(signal, fanout);
  signal.addEventListener("abort", listener, { once: true });
  return fanout;
}

function stopListening(signal: AbortSignal): void {
  const fanout = fanouts.get(signal);
  if (fanout?.calls.size !== 0) return; // it has fired, or somebody waits again
  fanouts.delete(signal);
  signal.removeEventListener("abort", fanout.listener);
}
