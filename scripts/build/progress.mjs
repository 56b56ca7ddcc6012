// What a build shows while it runs: one line. On a terminal it is rewritten in place and gives way to the last word; below
// node_modules npm keeps the output of install scripts to itself, so there the line goes to the terminal behind it.
import { closeSync, openSync, writeSync } from "node:fs";

const clearLine = "\r\x1b[K";

/** @param {string} message */
export function say(message) {
  console.log(`[warploop] ${message}`);
}

/**
 * Says something to who waits for `npm install`, past npm. Without a terminal nobody waits.
 * @param {string} message
 */
export function sayToTerminal(message) {
  try {
    const terminal = openSync("/dev/tty", "w");
    writeSync(terminal, `${clearLine}[warploop] ${message}\n`); // over npm's spinner
    closeSync(terminal);
  } catch {
    // no terminal
  }
}

/** How far the compiler is: one line, rewritten in place, on a terminal; nothing elsewhere. */
export class Progress {
  #start = performance.now();
  #shown = false;

  /** @param {string} output everything that the build tool has printed so far */
  show(output) {
    if (!process.stdout.isTTY) return;
    // ninja prints [12/60], make [ 20%], and gyp's make one line a file
    const step = output.match(/^\[ *\d+(\/\d+|%)\]/gm)?.at(-1) ?? output.match(/CXX\(target\)/g)?.length;
    if (step === undefined) return;
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(0);
    process.stdout.write(`${clearLine}[warploop] compiling: ${step}, ${seconds} s`);
    this.#shown = true;
  }

  end() {
    if (this.#shown) process.stdout.write(clearLine);
  }
}
