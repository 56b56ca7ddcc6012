// Contract: the command `warploop` answers --help and --version, names what it does not know, and what it says of the version is
// what package.json and the changelog say.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../../scripts/build/nativeSources.mjs";

const read = (file: string) => readFileSync(path.join(root, file), "utf8");
const { version } = JSON.parse(read("package.json")) as { version: string };

function warploop(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [path.join(root, "scripts/cli.mjs"), ...args], { encoding: "utf8" });
}

describe("warploop", () => {
  it.each([["--help"], ["-h"], ["build", "--help"], ["doctor", "--help"]])("%s %s", (...args) => {
    expect(warploop(...args)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^Usage: /) as string,
    });
  });

  it.each([["--version"], ["-v"], ["doctor", "--version"]])("%s %s", (...args) => {
    expect(warploop(...args)).toMatchObject({ status: 0, stdout: `${version}\n` });
  });

  it.each([
    { args: ["nonsense"], says: 'unknown command "nonsense"; known are run, chat, serve, info, ' },
    { args: ["doctr"], says: 'unknown command "doctr"; did you mean "doctor"?' },
    { args: ["biuld"], says: 'unknown command "biuld"; did you mean "build"?' },
    { args: ["build", "now"], says: 'unexpected argument "now"' },
    { args: ["build", "--fast"], says: 'unknown option "--fast"; known are --force' },
    { args: ["build", "--forse"], says: 'unknown option "--forse"; did you mean "--force"?' },
    { args: ["build", "--tool"], says: "--tool" },
    { args: ["build", "--tool", "make"], says: 'unknown tool "make"' },
    { args: ["doctor", "--force"], says: "doctor has one option, --quantize" },
    { args: ["doctor", "--format", "int4"], says: "doctor has one option, --quantize" },
    { args: ["build", "--format", "int4"], says: "--format is an option of quantize" },
    { args: ["build", "--quantize", "int4"], says: "--quantize is an option of doctor" },
    { args: ["doctor", "--quantize", "int4"], says: "--quantize: expected a model" },
    { args: ["doctor", "a", "b"], says: 'unexpected argument "b"' },
    { args: ["quantize", "a"], says: "expected a model and a folder to write to" },
    { args: ["quantize", "a", "b", "c"], says: 'unexpected argument "c"' },
    { args: ["quantize", "a", "b", "--format", "int3"], says: 'unknown format "int3"; did you mean "int4"?' },
    { args: ["quantize", "a", "b", "--force"], says: "quantize has one option, --format" },
  ])("$args is refused by name", ({ args, says }) => {
    const { status, stdout, stderr } = warploop(...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(says);
    expect(stderr).toMatch(/^warploop: [^\n]*; see npx warploop --help\n$/);
  });

  it("quantize writes a model, says how large it became, and what is wrong with another", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "warploop-cli-"));
    const to = path.join(folder, "tiny");
    const { status, stdout } = warploop(
      "quantize",
      path.join(root, "models/tiny-moe"),
      to,
      "--format",
      "int8",
    );
    expect({ status, stdout }).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(
        /tiny: \d+ matrices of [\d.]+ M weights as int8\n[\d.]+ MB became [\d.]+ MB\n$/,
      ) as string,
    });
    expect(existsSync(path.join(to, "model.safetensors"))).toBe(true);
    expect(warploop("quantize", to, path.join(folder, "again"))).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /^warploop: .*the weights are quantised already \(compressed-tensors\)\n$/,
      ) as string,
    });
    for (const place of [to, path.join(to, "config.json")]) {
      expect(warploop("quantize", path.join(root, "models/tiny-moe"), place)).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(
          /^warploop: to: expected a new or an empty folder, [^\n]*\n$/,
        ) as string,
      });
    }
    rmSync(folder, { recursive: true });
  }, 120_000);

  it("doctor says how each part of a model would be kept", () => {
    const { status, stdout } = warploop("doctor", path.join(root, "models/tiny-moe"), "--quantize", "int4");
    expect(status).toBe(0);
    expect(stdout).toMatch(/Qwen3MoeForCausalLM, context 2048; on \w+ with activations in/);
    expect(stdout).toMatch(/^qkv x 4 +int4 in groups of 128 .*M +[\d.]+ MB +\d\.\d\d$/m);
    expect(stdout).toMatch(/^router x 4 +bf16/m);
    expect(warploop("doctor", "/nowhere/at/all")).toMatchObject({ status: 1, stdout: "" });
  }, 60_000);

  it("doctor, package.json and the changelog agree on the version", () => {
    expect(warploop("doctor").stdout).toMatch(new RegExp(`^warploop +${version.replaceAll(".", "\\.")}\n`));
    const released = [...read("CHANGELOG.md").matchAll(/^## (\S+) \(\d{4}-\d\d-\d\d\)/gm)];
    expect(released[0]?.[1]).toBe(version);
  });
});
