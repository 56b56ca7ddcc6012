// Contract: every command has help with examples, and what is wrong with a command line is named in one line, with status 2.
import { describe, expect, it } from "vitest";
import { commands } from "../../cli/commands.js";
import { ranHere, tiny } from "./support.js";

const own = commands.filter(({ load }) => load !== undefined);

describe("help", () => {
  it("lists every command", async () => {
    const { status, stdout } = await ranHere("--help");
    expect(status).toBe(0);
    for (const { name, summary } of commands)
      expect(stdout).toMatch(new RegExp(`^ +${name} +${summary}$`, "m"));
    expect(await ranHere()).toEqual({ status: 2, stdout, stderr: "" });
  });

  it.each(own)("of $name has its options and examples", async ({ name, load }) => {
    const { command } = await load!();
    const { status, stdout, stderr } = await ranHere(name, "--help");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(new RegExp(`^Usage: warploop ${name} `));
    for (const { long } of command.options) expect(stdout).toContain(long);
    for (const example of command.examples) expect(stdout).toContain(`  npx warploop ${example}\n`);
    expect(await ranHere("help", name)).toEqual({ status, stdout, stderr });
  });
});

describe("a command line that is wrong", () => {
  it.each([
    { args: ["rum", tiny], says: 'unknown command "rum"; did you mean "run"?; see npx warploop --help' },
    { args: ["--json", "run"], says: "expected a command before --json" },
    { args: ["run"], says: "expected a model" },
    { args: ["run", tiny, "x", "--top-k"], says: 'option "--top-k <n>" argument missing' },
    { args: ["run", tiny, "x", "--tip-k", "1"], says: 'unknown option "--tip-k"; did you mean "--top-k"?' },
    { args: ["run", tiny, "x", "--top-p", "most"], says: '--top-p: expected a number, got "most"' },
    { args: ["run", tiny, "x", "--top-k", "1.5"], says: '--top-k: expected a whole number, got "1.5"' },
    { args: ["run", tiny, "x", "--kv-cache", "2 apples"], says: "--kv-cache: expected a size such as 2GB" },
    {
      args: ["run", tiny, "x", "--template-option", "y"],
      says: "--template-option: expected a name and a value",
    },
    { args: ["run", tiny, "x", "--raw", "--system", "y"], says: "--system needs the chat template" },
    {
      args: ["run", tiny, "x", "--regex", "a", "--json-object"],
      says: "--json-object and --regex are two forms",
    },
    { args: ["run", tiny, "x", "--schema", "/nowhere.json"], says: "--schema: /nowhere.json: ENOENT" },
    { args: ["run", tiny, "x", "--quantize", "int3"], says: '--quantize: expected "int8"' },
    { args: ["run", tiny, "x", "--device", "gpu"], says: '--device: expected "auto"' },
    { args: ["chat", tiny, "more"], says: "too many arguments" },
    {
      args: ["serve", tiny, "--tool-format", "x"],
      says: "--tool-format: expected one of auto, none, hermes, ",
    },
    { args: ["info", tiny, "--context", "1"], says: "--context: expected an integer from 2" },
  ])("$args", async ({ args, says }) => {
    const { status, stdout, stderr } = await ranHere(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(says);
    expect(stderr).toMatch(/^warploop: [^\n]*; see npx warploop (\w+ )?--help\n$/);
  });
});

describe("what cannot be done", () => {
  it("is one line that says what to do", async () => {
    expect(await ranHere("info", "/nowhere/at/all")).toEqual({
      status: 1,
      stdout: "",
      stderr: expect.stringMatching(
        /^warploop: \/nowhere\/at\/all: expected a folder or a hub id[^\n]*\n$/,
      ) as string,
    });
    const cache = await ranHere("run", tiny, "x", "--device", "cpu", "--kv-cache", "1KB");
    expect(cache.stderr).toMatch(
      /^warploop: --kv-cache: 1000 bytes do not hold [^\n]*; try a shorter --context/,
    );
    expect((await ranHere("info", tiny, "--device", "cuda:7")).stderr).toMatch(/^warploop: .*`?npx warploop/);
  });

  it("is an object with --json", async () => {
    const { status, stdout, stderr } = await ranHere("info", "/nowhere/at/all", "--json");
    expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({
      ...{ model: "/nowhere/at/all", runs: false, code: "ERR_CHECKPOINT_MISSING" },
      reason: expect.stringContaining("expected a folder") as string,
    });
  });
});

describe("info", () => {
  it("says what a model is, how it is kept, and what a context takes", async () => {
    const { status, stdout } = await ranHere("info", tiny, "--device", "cpu", "--quantize", "int4");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^family +Qwen3MoeForCausalLM$/m);
    expect(stdout).toMatch(
      /^shape +4 layers of width 256, 4 heads of 64 \(2 of keys and values\), 8 experts, 2 for a/m,
    );
    expect(stdout).toMatch(/^tool calls +none: /m);
    expect(stdout).toMatch(/^context +2048 tokens \(trained for 2048/m);
    expect(stdout).toMatch(/^qkv x 4 +int4 in groups of 128.* +[\d.]+ M +[\d.]+ [kM]B +\d\.\d\d$/m);
    expect(stdout).toMatch(/^ +2048 +[\d.]+ MB +[\d.]+ MB +yes$/m);
  });

  it("is an object with --json", async () => {
    const { stdout } = await ranHere("info", tiny, "--device", "cpu", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      ...{
        model: tiny,
        runs: true,
        architecture: "Qwen3MoeForCausalLM",
        device: "cpu",
        trainedContext: 2048,
      },
      cache: [{ tokens: 1024 }, { tokens: 2048 }],
      ...{ toolFormat: null, reasoningFormat: null },
      memory: { total: expect.any(Number) as number },
    });
  });
});
