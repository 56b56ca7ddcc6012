/** Draws download progress on a terminal: one bar per file on stderr, nothing where stderr is not a terminal. */
import cliProgress from "cli-progress";
import type { DownloadProgress } from "../checkpoint/hub.js";

export interface ProgressBar {
  /** Pass as `onProgress`. */
  readonly onProgress: (progress: DownloadProgress) => void;
  /** Ends the current bar and gives the cursor back. Call it in a `finally`. */
  readonly stop: () => void;
}

/**
 * Makes a progress bar.
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
  const onProgress = (progress: DownloadProgress): void => {
    if (progress.file !== file) {
      stop();
      bar = new cliProgress.SingleBar({ stream, format: barFormat, formatValue, hideCursor: true });
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
