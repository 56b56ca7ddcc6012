// Contract: `serve`, as a user starts it, answers requests for the names it was given, and lets what runs finish when it is told to end.
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ran, ranHere, tiny } from "./support.js";

const timeout = 300_000; // of processes that load a model, on a machine that does other things
const names = ["tiny-moe", "other"];
const json = { "content-type": "application/json", authorization: "Bearer k" };

it(
  "answers by all names of a model, with its key, until SIGTERM",
  async () => {
    let answers: Promise<unknown[]> | undefined;
    let end = (): void => undefined;
    const ask = async (url: string): Promise<unknown[]> => {
      const refused = await fetch(`${url}/models`);
      const listed = (await (await fetch(`${url}/models`, { headers: json })).json()) as {
        data: { id: string }[];
      };
      const begun = names.map((model) => {
        const body = JSON.stringify({
          model,
          prompt: "Once",
          max_tokens: 200,
          ignore_eos: true,
          stream: true,
        });
        return fetch(`${url}/completions`, { method: "POST", headers: json, body });
      });
      const streams = await Promise.all(begun);
      end(); // both run
      const texts = await Promise.all(streams.map((stream) => stream.text()));
      const reasons = texts.map((text) => /"finish_reason":"(\w+)"/.exec(text)?.[1]);
      return [refused.status, listed.data.map(({ id }) => id), reasons];
    };
    const { status, stdout, stderr } = await ran(
      ["serve", tiny, `other=${tiny}`, "--port", "0", "--api-key", "k", "--max-sequences", "2"],
      {
        onError(text, kill) {
          end = () => kill("SIGTERM");
          const url = /^(http:\S+) serves tiny-moe, other$/m.exec(text)?.[1];
          if (url !== undefined) answers ??= ask(url);
        },
      },
    );
    expect(await answers).toEqual([401, names, ["length", "length"]]);
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: expect.stringMatching(/letting what runs finish/) as string,
    });
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { model?: string });
    expect(lines.filter(({ model }) => model === "other")).toHaveLength(1);
    expect(stdout).not.toContain("Once");
  },
  timeout,
);

it(
  "swaps a model by its admin plane, and goes on with it at the next start",
  async () => {
    const folder = await mkdtemp(path.join(tmpdir(), "warploop-serve-"));
    const flags = ["--in-process", "--port", "0", "--admin-port", "0", "--admin-key", "k"];
    const args = [
      "serve",
      `a=${tiny}`,
      "--split",
      "chat=a:1",
      ...flags,
      "--state",
      path.join(folder, "s.json"),
    ];
    const variantOf = async (url: string): Promise<string | null> => {
      const body = JSON.stringify({ model: "chat", prompt: "Once", max_tokens: 1 });
      const answer = await fetch(`${url}/completions`, { method: "POST", headers: json, body });
      await answer.text();
      return answer.headers.get("x-warploop-variant");
    };
    const run = async (between: (admin: string) => Promise<unknown>) => {
      let variants: Promise<unknown[]> | undefined;
      const { status } = await ran(args, {
        onError(text, kill) {
          const url = /^(http:\S+) serves a, chat$/m.exec(text)?.[1];
          const admin = /^(http:\S+) is the admin plane$/m.exec(text)?.[1];
          if (url === undefined || admin === undefined) return;
          const all = async () => [await variantOf(url), await between(admin), await variantOf(url)];
          variants ??= all().finally(() => kill("SIGTERM"));
        },
      });
      return [...(await variants!), status];
    };
    const swap = async (admin: string): Promise<number> => {
      const body = JSON.stringify({ version: "v2", model: tiny });
      return (await fetch(`${admin}/names/chat/swap`, { method: "POST", headers: json, body })).status;
    };
    expect(await run(swap)).toEqual(["a", 200, "v2", 0]);
    expect(await run(async () => undefined)).toEqual(["v2", undefined, "v2", 0]);
    await rm(folder, { recursive: true });
  },
  timeout,
);

it(
  "says where a port is taken",
  async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    const run = await ran(["serve", tiny, "--port", `${port}`]);
    taken.close();
    expect(run).toMatchObject({ status: 1, stdout: "" });
    expect(run.stderr).toContain(`port ${port} is in use; --port 0 takes one that is free`);
  },
  timeout,
);

describe("a command line that is wrong", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "warploop-keys-"));
  const keys = path.join(folder, "keys.json");
  writeFileSync(keys, '["a-secret", { "key": "b-secret", "limits": { "maxOpen": 0 } }]');
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    { args: [tiny, tiny], status: 2, says: 'two models have the name "tiny-moe": give one as name=model' },
    { args: [tiny, "--port", "eighty"], status: 2, says: '--port: expected a whole number, got "eighty"' },
    { args: [tiny, "--port", "99999"], status: 2, says: "--port: too big" },
    { args: [tiny, "--max-queue", "0"], status: 2, says: "--max-queue: too small" },
    { args: [tiny, "--max-open", "0"], status: 2, says: "--max-open: too small" },
    { args: [tiny, "--tokens-per-minute", "x"], status: 2, says: "--tokens-per-minute: expected a whole" },
    {
      args: [tiny, "--api-keys", "/nowhere"],
      status: 2,
      says: "--api-keys /nowhere: cannot be read: ENOENT",
    },
    {
      args: [tiny, "--api-keys", tiny + "/config.json"],
      status: 2,
      says: "expected a file with a JSON list",
    },
    { args: [tiny, "--api-keys", keys], status: 2, says: "--api-keys: 1.limits.maxOpen: too small" },
    { args: [tiny, "--fallback", "x"], status: 2, says: "--fallback: expected name=target" },
    {
      args: [tiny, "--fallback", "tiny-moe=http://x/v1"],
      status: 2,
      says: "--fallback: expected a URL with",
    },
    {
      args: [tiny, "--fallback", "tiny-moe=http://x/v1#m,NO_SUCH_KEY"],
      ...{ status: 2, says: "--fallback: NO_SUCH_KEY is not set" },
    },
    {
      args: [tiny, "--fallback", "tiny-moe=large"],
      ...{ status: 2, says: '--fallback: expected names that are served (tiny-moe), got "large"' },
    },
    { args: [tiny, "--retries", "9"], status: 2, says: "--retries: too big" },
    {
      args: [tiny, "--split", "chat=x:1"],
      status: 2,
      says: '--split: expected names of models (tiny-moe), got "x"',
    },
    { args: [tiny, "--split", "chat=tiny-moe:1.2.3"], status: 2, says: "--split: expected name=a:90,b:10" },
    {
      args: [tiny, "--split", "chat=tiny-moe:90,tiny-moe:10"],
      ...{ status: 2, says: "--split: expected name=a:90,b:10 with each name once" },
    },
    {
      args: [`a=${tiny}`, `b=${tiny}`, "--split", "chat=a:50,b:50"],
      ...{ status: 2, says: "--split: chat: two of its names are " },
    },
    { args: [tiny, "--split", "chat=tiny-moe"], status: 2, says: "--split: expected name=a:90,b:10" },
    { args: [tiny, "--split", "chat=tiny-moe:0"], status: 2, says: "--split: expected a weight above 0" },
    { args: [tiny, "--admin-port", "0"], status: 2, says: "--admin-key: expected at least one key" },
    { args: [tiny, "--state", "/nowhere/x"], status: 2, says: "--state: cannot be used: ENOENT" },
    { args: [tiny, "--timeout", "0"], status: 2, says: "--timeout: too small" },
    { args: [tiny, "--drain", "-1"], status: 2, says: "--drain: too small" },
    { args: [tiny, "--drain", "1e9"], status: 2, says: "--drain: too big" },
    { args: [tiny, "--max-sequences", "0"], status: 2, says: "--max-sequences: " },
    { args: [], status: 2, says: "expected a model" },
  ])("$says", async ({ args, status, says }) => {
    const run = await ranHere("serve", ...args);
    expect([run.status, run.stdout]).toEqual([status, ""]);
    expect(run.stderr).toContain(says);
    expect(run.stderr).not.toContain("secret");
  });
});
