// Contract: a process and a worker thread that generate end by themselves, and may end in the middle of work.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const fixture = fileURLToPath(new URL("fixtures/generate.ts", import.meta.url));

/** Runs the fixture. A hang is a failure, too: it is killed, and its signal shows. */
async function run(mode: string) {
  const child = spawn(process.execPath, ["--import", "tsx", fixture, mode], { timeout: 50_000 });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
  const [status, signal] = await new Promise<[number | null, string | null]>((resolve) =>
    child.once("close", (...end) => resolve(end)),
  );
  return { status, signal, stdout, stderr };
}

describe("the end of a process", () => {
  it.each([
    { mode: "close", status: 0, stdout: "400\n", stderr: "" },
    { mode: "forget", status: 0, stdout: "", stderr: "" },
    { mode: "exit", status: 0, stdout: "", stderr: "" },
    { mode: "throw", status: 1, stdout: "", stderr: expect.stringContaining("planned") as string },
    { mode: "unread", status: 0, stdout: "unread\n", stderr: "" },
  ])("$mode", async ({ mode, ...expected }) => {
    expect(await run(mode)).toEqual({ signal: null, ...expected });
  });
});

describe("worker threads", () => {
  it.each([
    { mode: "workers", stdout: "30\n" },
    { mode: "terminate", stdout: "terminated\n" },
  ])("$mode", async ({ mode, stdout }) => {
    expect(await run(mode)).toEqual({ status: 0, signal: null, stdout, stderr: "" });
  });
});
