/** Ctrl-C and SIGTERM: the first asks a command to end, a second one ends the process. */
import { exit } from "./command.js";
import { Interrupted } from "./failure.js";

/** 128 and the number of the signal, as shells have it. */
const statusOf = { SIGINT: exit.interrupted, SIGTERM: 143 } as const;

export interface Interrupt extends Disposable {
  /** Its reason is an `Interrupted`. */
  readonly signal: AbortSignal;
}

/** Listens from now until it is disposed. */
export function onInterrupt(): Interrupt {
  const abort = new AbortController();
  const listen = (name: NodeJS.Signals): void => {
    const status = statusOf[name as keyof typeof statusOf];
    if (abort.signal.aborted) process.exit(status);
    abort.abort(new Interrupted(status));
  };
  for (const name of Object.keys(statusOf)) process.on(name as NodeJS.Signals, listen);
  const dispose = (): void => {
    for (const name of Object.keys(statusOf)) process.off(name, listen);
  };
  return { signal: abort.signal, [Symbol.dispose]: dispose };
}
