// Contract: `pull`, `list`, `rm` and `info` with a hub: what was broken off goes on, models are listed by the names that other commands take,
// and nothing is removed unasked.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ago } from "../../cli/list.js";
import { commit, type HubServer, repoId, serveFolder } from "../support/hubServer.js";
import { ranHere, tiny } from "./support.js";

let server: HubServer;
let cache: string;
beforeEach(async () => {
  cache = await mkdtemp(path.join(tmpdir(), "warploop-pull-"));
  server = await serveFolder(tiny, cache);
});
afterEach(async () => {
  await server.stop();
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true, force: true });
});

const snapshot = () => path.join(cache, "models--org--tiny/snapshots", commit);

it("fetches, goes on where it was broken off, lists and removes", async () => {
  expect(await ranHere("list")).toMatchObject({
    ...{ status: 0, stdout: "" },
    stderr: expect.stringMatching(
      /^there is no model in .*; npx warploop pull <model> fetches one\n$/,
    ) as string,
  });
  server.faults = { breakAfterBytes: 1_000_000, fileStatus: 503 };
  expect(await ranHere("pull", repoId)).toMatchObject({
    ...{ status: 1, stdout: "" },
    stderr: expect.stringMatching(
      /^warploop: org\/tiny@main: .*HTTP 503.*; the same command goes on with/,
    ) as string,
  });
  server.faults = { breakAfterBytes: 1_000_000, breakTimes: 2 };
  const pulled = await ranHere("pull", repoId, "--json");
  expect(pulled).toMatchObject({
    status: 0,
    stderr: expect.stringMatching(/^[\d.]+ MB in [\d.]+ m?s \(/) as string,
  });
  expect(JSON.parse(pulled.stdout)).toMatchObject({ model: repoId, path: snapshot() });
  expect(server.fileRequests().some(({ range }) => /^bytes=[1-9]/.test(range ?? ""))).toBe(true);
  expect(await ranHere("pull", repoId)).toEqual({
    ...{ status: 0, stdout: `${snapshot()}\n`, stderr: "all of it is there\n" },
  });

  const listed = await ranHere("list");
  expect(listed.stdout).toMatch(/^model +size +when\norg\/tiny +[\d.]+ MB +(now|\d+ \w+ ago)\n$/);
  const { models } = JSON.parse((await ranHere("list", "--json")).stdout) as { models: object[] };
  expect(models).toMatchObject([{ name: repoId, commit, path: snapshot() }]);
  expect((await ranHere("info", repoId)).stdout).toContain("Qwen3MoeForCausalLM");

  const { isTTY } = process.stdin;
  process.stdin.isTTY = false;
  const unasked = await ranHere("rm", repoId);
  process.stdin.isTTY = isTTY;
  expect(unasked).toMatchObject({ status: 2, stderr: expect.stringContaining("--yes is needed") as string });
  expect(await readdir(cache)).toContain("models--org--tiny");
  expect((await ranHere("rm", repoId, "--yes")).stderr).toMatch(/^[\d.]+ MB are free\n$/);
  expect(await readdir(cache)).toEqual([]);
  expect(await ranHere("rm", repoId, "--yes")).toMatchObject({
    ...{ status: 1, stderr: expect.stringMatching(/^warploop: org\/tiny is not in the cache/) as string },
  });
}, 120_000);

it("says when a model came", () => {
  const now = Date.UTC(2026, 0, 31);
  const before = (seconds: number) => ago(new Date(now - 1000 * seconds), now);
  expect([0, 30, 90, 7200, 86_400 * 3, 86_400 * 15].map(before)).toEqual([
    ...["now", "30 seconds ago", "1 minute ago", "2 hours ago", "3 days ago", "2 weeks ago"],
  ]);
});
