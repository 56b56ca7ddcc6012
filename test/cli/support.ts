/** Runs the command line: in this process, where nothing is loaded, or as a user does. */
import {
  type ChildProcessWithoutNullStreams,
  spawn,
  type SpawnOptionsWithoutStdio,
} from "node:child_process";
import path from "node:path";
import { vi } from "vitest";
import { main } from "../../cli/index.js";
import { root } from "../../scripts/build/nativeSources.mjs";

export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export const tiny = path.join(root, "models/tiny-moe");

/** Without a process of its own. */
export async function ranHere(...args: readonly string[]): Promise<Ran> {
  const texts = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    vi.spyOn(process[name], "write").mockImplementation((text) => {
      texts[name] += String(text);
      return true;
    }),
  );
  try {
    const status = await main(args);
    return { status, ...texts };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

interface Given extends SpawnOptionsWithoutStdio {
  readonly input?: string;
  /** Called with what stdout has so far. */
  readonly onText?: (text: string, child: ChildProcessWithoutNullStreams) => void;
  /** The same for stderr. */
  readonly onError?: (text: string, kill: (signal: NodeJS.Signals) => void) => void;
}

/** In a process. */
export function ran(
  args: readonly string[],
  { input = "", onText, onError, ...options }: Given = {},
): Promise<Ran> {
  const child = spawn(process.execPath, [path.join(root, "scripts/cli.mjs"), ...args], options);
  const texts = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    texts.stdout += text;
    onText?.(texts.stdout, child);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    texts.stderr += text;
    onError?.(texts.stderr, (signal) => child.kill(signal));
  });
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, ...texts }));
  });
}
