// What a build shows while it runs. On a terminal one line, which is rewritten in place and gives way to the last word; in a log a
// line every half minute; below node_modules npm keeps the output of install scripts to itself, so there a line goes to the terminal
// behind it.
import { closeSync, openSync, writeSync } from "node:fs";

const clearLine = "\r\x1b[K";
const logPause = 30_000; // milliseconds

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

/**
 * How far the compiler is.
 * @param {string} output everything that the build tool has printed so far
 * @returns {string | undefined} undefined: it has not begun
 */
function stepOf(output) {
  const [, done, of, percent] = output.match(/^\[ *(?:(\d+)\/(\d+)|(\d+)%)\]/gm)?.at(-1)?.match(step) ?? [];
  if (done) return `${done} of ${of} files`; // ninja
  if (percent) return `${percent} %`; // make of CMake
  const files = output.match(/CXX\(target\)/g)?.length; // make of gyp, which does not know how many there are
  return files === undefined ? undefined : `${files} ${files === 1 ? "file" : "files"}`;
}
const step = /(?:(\d+)\/(\d+)|(\d+)%)/;

/** @param {number} milliseconds */
function lengthOf(milliseconds) {
  const seconds = milliseconds / 1000;
  return seconds < 120 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(0)} min`;
}

/** Says on stderr how far the compiler is. */
export class Progress {
  #start = performance.now();
  #stream;
  /** @type {string | undefined} */
  #step;
  #isShown = false;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /**
   * @param {{ stream?: Pick<NodeJS.WriteStream, "write" | "isTTY">, isBrief?: boolean }} [how] isBrief: nothing where there is no
   *   terminal
   */
  constructor({ stream = process.stderr, isBrief = false } = {}) {
    this.#stream = stream;
    if (!stream.isTTY && !isBrief) this.#timer = setInterval(() => this.#write("", "\n"), logPause).unref();
  }

  /** @param {string} output everything that the build tool has printed so far */
  show(output) {
    this.#step = stepOf(output);
    if (this.#stream.isTTY) this.#write(clearLine, "");
  }

  /** @param {string} before @param {string} after */
  #write(before, after) {
    if (this.#step === undefined) return;
    const elapsed = lengthOf(performance.now() - this.#start);
    this.#stream.write(`${before}[warploop] compiling: ${this.#step}, ${elapsed}${after}`);
    this.#isShown = true;
  }

  end() {
    clearInterval(this.#timer);
    if (this.#isShown && this.#stream.isTTY) this.#stream.write(clearLine);
  }
}
