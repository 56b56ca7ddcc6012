/** Numbers as people read them. */

/** "1.53 GB", "4.2 MB" */
export function size(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(bytes < 1e4 ? 1 : 0)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** "7.62 B", "3.1 M" */
export function parameters(count: number): string {
  if (count < 1e5) return String(count);
  return count < 1e9 ? `${(count / 1e6).toFixed(1)} M` : `${(count / 1e9).toFixed(2)} B`;
}

/** "4.48 MFLOP", "1.19 GFLOP", "790 TFLOP" */
export function flops(count: number): string {
  const [unit, name] = count < 1e9 ? [1e6, "M"] : count < 1e12 ? [1e9, "G"] : [1e12, "T"];
  return `${digits(count / unit)} ${name}FLOP`;
}

/** Three digits that count. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "-";
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** "0.12 s", "83 ms" */
export function duration(ms: number): string {
  return ms < 1000 ? `${digits(ms)} ms` : `${digits(ms / 1000)} s`;
}

/** "1 token", "8 tokens" */
export function count(number: number, name: string): string {
  return `${number} ${name}${number === 1 ? "" : "s"}`;
}
