// Contract: every example says how it is used, and ends in one line where its arguments are wrong, before it has printed anything.
import { execFile, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { root } from "../scripts/build/nativeSources.mjs";
import { goldenFolder } from "./support/goldenFolder.js";
import { someOf, touched } from "./support/seed.js";

const helpers = ["arguments.ts", "plot.ts"];
const examples = readdirSync(path.join(root, "examples")).filter(
  (name) => name.endsWith(".ts") && !helpers.includes(name),
);

interface End {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(name: string, ...args: string[]): Promise<End> {
  const all = ["--import", "tsx", path.join("examples", name), ...args];
  try {
    return { status: 0, ...(await promisify(execFile)(process.execPath, all, { cwd: root })) };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { status: code, stdout, stderr };
  }
}

const wanted = new Set(someOf(examples, 5));

describe.each(examples.filter((name) => wanted.has(name) || touched.has(`examples/${name}`)))(
  "%s",
  (name) => {
    it("prints its usage", async () => {
      const { status, stdout, stderr } = await run(name, "--help");
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toMatch(/^npm (start|run example:)/);
    });

    it("refuses what it does not know", async () => {
      const { status, stdout, stderr } = await run(name, "--nonsense");
      expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
      expect(stderr).toMatch(/^Unknown option '--nonsense'[^\n]*--help[^\n]*\n$/);
    });
  },
);

describe("generate.ts", () => {
  it.each([
    {
      args: ["--temperature", "warm"],
      status: 2,
      says: /^--temperature: expected a number, got "warm"[^\n]*\n$/,
    },
    { args: ["--model", "models/nope/x"], status: 1, says: /^CheckpointError: models\/nope\/x: [^\n]*\n$/ },
  ])("$args", async ({ args, status, says }) => {
    expect(await run("generate.ts", ...args)).toMatchObject({
      status,
      stdout: "",
      stderr: expect.stringMatching(says) as string,
    });
  });

  it("ends quietly when its reader goes away", () => {
    const line = `"${process.execPath}" --import tsx examples/generate.ts --max-tokens 200 | head -c 1`;
    const { stdout, stderr } = spawnSync("sh", ["-c", line], { cwd: root, encoding: "utf8" });
    expect(stdout).toBe("O");
    expect(stderr).not.toMatch(/EPIPE|Error|at /);
  });
});

describe("embed.ts", () => {
  it("draws the cosines that it prints", async () => {
    const { stdout } = await run("embed.ts");
    const printed = [...stdout.matchAll(/^\d\. +(-?\d.*)$/gm)].flatMap(([, row]) =>
      row!.split(/ +/).map(Number),
    );
    expect(printed).toHaveLength(9);
    const picture = readFileSync(path.join(root, "examples/output/embed.svg"), "utf8");
    const drawn = [...picture.matchAll(/>(-?\d\.\d+)</g)].map(([, label]) => Number(label));
    for (const [i, cosine] of printed.entries()) expect(drawn[i]).toBeCloseTo(cosine, 2);
    expect(picture).not.toMatch(/>-0\.0*</);
  });
});

describe("cacheSizes.ts", () => {
  it("keeps the labels of an axis apart", async () => {
    expect(await run("cacheSizes.ts")).toMatchObject({ status: 0 });
    const picture = readFileSync(path.join(root, "examples/output/cache-sizes.svg"), "utf8");
    const found = picture.matchAll(/text-anchor="middle"[^>]*translate\(([\d.]+) ([\d.]+)\)[^>]*>([\d,]+)</g);
    const labels = [...found].map(([, x, y, text]) => ({ x: Number(x), y, half: (text!.length * 7) / 2 })); // 13 pixels high
    expect(labels.length).toBeGreaterThan(8);
    const overlapping = labels.filter(({ x, y, half }, i) => {
      const next = labels[i + 1];
      return next !== undefined && next.y === y && next.x - next.half < x + half + 2;
    });
    expect(overlapping).toEqual([]);
  });
});

describe("--model", () => {
  it.each(someOf(["batch.ts", "chat.ts", "logprobs.ts", "moeRouting.ts"], 2))(
    "another model: %s",
    async (name) => {
      expect(await run(name, "--model", "models/nope/x")).toMatchObject({
        status: 1,
        stdout: "",
        stderr: expect.stringMatching(/^CheckpointError: models\/nope\/x: [^\n]*\n$/) as string,
      });
    },
  );

  it.each([
    { name: "chat.ts", model: goldenFolder("qwen3"), says: /^TextError: .*has no chat template[^\n]*\n$/ },
    { name: "moeRouting.ts", model: "models/tiny-draft", says: /^[^\n]*experts[^\n]*\n$/ },
  ])("a model that $name has no use for", async ({ name, model, says }) => {
    expect(await run(name, "--model", model)).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringMatching(says) as string,
    });
  });
});
