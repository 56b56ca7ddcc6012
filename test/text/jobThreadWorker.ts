/** Jobs of jobThread.test.ts. */
import { serveJobs } from "../../lib/text/jobServer.js";

serveJobs(({ kind, value }: { readonly kind: string; readonly value?: unknown }): unknown => {
  if (kind === "throw") throw new Error(String(value));
  if (kind === "exit") process.exit(0);
  const kept: number[][] = [];
  while (kind === "loop" || kind === "grow") if (kind === "grow") kept.push(new Array<number>(1000).fill(1));
  return value;
});
