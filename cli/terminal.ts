/** What a terminal shows. Results go to stdout, everything about them to stderr; colours and bars only where a terminal is. */
import { styleText } from "node:util";
import cliProgress from "cli-progress";
import type { LoadProgress } from "../lib/index.js";
import { size } from "./format.js";

type Style = Parameters<typeof styleText>[0];

/** Whether a stream shows colours: it is a terminal, and nobody asked for none (https://no-color.org). */
function hasColours(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env["NO_COLOR"] && process.env["TERM"] !== "dumb";
}

/** A text in a style, where `stream` shows one. */
export function styled(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return hasColours(stream) ? styleText(style, text, { validateStream: false }) : text;
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One object, for a program that reads it. */
export function printJson(value: object): void {
  print(JSON.stringify(value, null, 2));
}

/** A line about what happens, on stderr. */
export function note(text: string): void {
  process.stderr.write(`${styled("dim", text, process.stderr)}\n`);
}

/** A line on stderr about what went wrong. */
export function printError(text: string): void {
  process.stderr.write(`${styled("red", "warploop:", process.stderr)} ${text}\n`);
}

/**
 * Text of a model for stdout. What a model writes must not move the cursor or rename the window: control characters but line breaks and
 * tabs become a sign where stdout is a terminal.
 */
export function shown(text: string): string {
  return process.stdout.isTTY ? text.replaceAll(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, "\u{fffd}") : text;
}

/** Columns, the first `left` of which stand to the left, and the others, numbers, to the right. */
export function table(rows: readonly (readonly string[])[], left = 1): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column < left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    );
    return cells.join("  ").trimEnd();
  });
}

/** Rows of a name and what is said of it. */
export function facts(rows: readonly (readonly [name: string, text: string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, text]) => `${styled("dim", name.padEnd(width))}  ${text}`);
}

export interface LoadBar {
  /** For `LLM.load` and what else fetches a model. */
  readonly onProgress: (progress: LoadProgress) => void;
  /** Ends the bar and gives the cursor back. Call it in a `finally`. */
  readonly stop: () => void;
}

/** A bar for each file that is downloaded, and one for the weights; where stderr is no terminal, nothing. */
export function loadBar(): LoadBar {
  const stream = process.stderr;
  if (!stream.isTTY) return { onProgress: () => undefined, stop: () => undefined };
  let bar: cliProgress.SingleBar | undefined;
  let shownKey: string | undefined;
  const stop = (): void => {
    bar?.stop();
    bar = undefined;
  };
  const onProgress = ({ phase, file, message, loaded, total }: LoadProgress): void => {
    if (message !== undefined) {
      if (phase === "device" && !message.startsWith("device cpu")) note(message);
      return;
    }
    const key = `${phase} ${file ?? ""}`;
    if (key !== shownKey) {
      stop();
      const isDownload = phase === "download";
      const name = isDownload ? (file ?? "download") : "loading weights";
      const format = isDownload ? `${barFormat}  {eta_formatted} left` : barFormat;
      bar = new cliProgress.SingleBar({ stream, format, hideCursor: true, clearOnComplete: !isDownload });
      bar.start(total, loaded, { name, done: size(loaded), all: size(total) });
      shownKey = key;
    }
    bar?.update(loaded, { done: size(loaded) });
    if (loaded === total) stop();
  };
  return { onProgress, stop };
}

const barFormat = "{name} {bar} {percentage}%  {done} of {all}";
