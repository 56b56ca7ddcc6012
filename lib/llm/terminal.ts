/** What a terminal shows, all of it on stderr: bars of downloads and of many prompts, and lines. The only file of lib/ that prints. */
import { createRequire } from "node:module";
import type cliProgress from "cli-progress";
import type { DownloadProgress } from "../checkpoint/hub.js";

export const isTerminal = (): boolean => process.stderr.isTTY === true;

/** Not by an import: a bundle of ES modules that had taken it in would not load, and so not say what is wrong with bundles. */
function newBar(options: cliProgress.Options): cliProgress.SingleBar {
  const require = createRequire(import.meta.url);
  const { SingleBar } = require("cli-progress") as typeof cliProgress;
  return new SingleBar(options);
}

/** One line, where stderr is a terminal. */
export function printLine(text: string): void {
  if (isTerminal()) process.stderr.write(`warploop: ${text}\n`);
}

/** Bytes of something that has a name. */
type FileProgress = Pick<DownloadProgress, "file" | "loaded" | "total">;

export interface ProgressBar {
  /** Pass as `onProgress`. */
  readonly onProgress: (progress: FileProgress) => void;
  /** Ends the current bar and gives the cursor back. Call it in a `finally`. */
  readonly stop: () => void;
}

/**
 * A bar per file; nothing where `stream` is no terminal.
 *
 * @param stream where it is drawn
 */
export function createProgressBar(stream: NodeJS.WriteStream = process.stderr): ProgressBar {
  if (!stream.isTTY) return { onProgress: () => {}, stop: () => {} };
  let bar: cliProgress.SingleBar | undefined;
  let file: string | undefined;
  const stop = (): void => {
    bar?.stop();
    bar = undefined;
    file = undefined;
  };
  const onProgress = (progress: FileProgress): void => {
    if (progress.file !== file) {
      stop();
      bar = newBar({ stream, format: barFormat, formatValue, hideCursor: true });
      file = progress.file;
      bar.start(progress.total, progress.loaded, { file });
    }
    bar?.update(progress.loaded);
    if (progress.loaded === progress.total) stop();
  };
  return { onProgress, stop };
}

const barFormat = "{file} {bar} {percentage}% | {value}/{total} MB | {eta_formatted}";

function formatValue(value: number, _options: cliProgress.Options, type: cliProgress.ValueType): string {
  return type === "value" || type === "total" ? (value / 1e6).toFixed(1) : String(value);
}

export interface PromptBar {
  /** A prompt is done. @param tokens it has got */
  readonly add: (tokens: number) => void;
  readonly stop: () => void;
}

/** A bar that counts prompts and tokens per second; without `isShown` it prints nothing. */
export function createPromptBar(total: number, isShown: boolean): PromptBar {
  if (!isShown) return { add: () => undefined, stop: () => undefined };
  const format = "{bar} {value}/{total} prompts | {rate} tokens/s | {eta_formatted} left";
  const bar = newBar({ format, stream: process.stderr, hideCursor: true });
  const start = performance.now();
  let tokens = 0;
  bar.start(total, 0, { rate: "0" });
  return {
    add: (more) => {
      tokens += more;
      bar.increment({ rate: ((tokens / (performance.now() - start)) * 1000).toFixed(0) });
    },
    stop: () => bar.stop(),
  };
}
