// Contract: `serve`, as a user starts it, answers requests for the names it was given, and lets what runs finish when it is told to end.
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, expect, it } from "vitest";
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
  it.each([
    { args: [tiny, tiny], status: 2, says: 'two models have the name "tiny-moe": give one as name=model' },
    { args: [tiny, "--port", "eighty"], status: 2, says: '--port: expected a whole number, got "eighty"' },
    { args: [tiny, "--port", "99999"], status: 2, says: "--port: too big" },
    { args: [tiny, "--max-queue", "0"], status: 2, says: "--max-queue: too small" },
    { args: [tiny, "--timeout", "0"], status: 2, says: "--timeout: too small" },
    { args: [tiny, "--drain", "-1"], status: 2, says: "--drain: too small" },
    { args: [tiny, "--drain", "1e9"], status: 2, says: "--drain: too big" },
    { args: [tiny, "--max-sequences", "0"], status: 2, says: "--max-sequences: " },
    { args: [], status: 2, says: "expected a model" },
  ])("$says", async ({ args, status, says }) => {
    const run = await ranHere("serve", ...args);
    expect([run.status, run.stdout]).toEqual([status, ""]);
    expect(run.stderr).toContain(says);
  });
});
