// Contract: what CI samples is a fair share that the commit picks and that holds whatever the change touches; its steps end
// at their limits with everything that they started; its sums are those of the steps.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it, vi } from "vitest";
import { mutantCandidates, planRun, tableCandidates } from "../scripts/check/ciPlan.mjs";
import { countTests } from "../scripts/check/countTests.mjs";
import { root } from "../scripts/build/nativeSources.mjs";
import { sample } from "../scripts/check/sample.mjs";
import { countResults, runSteps, runWithin } from "../scripts/check/steps.mjs";
import { execute } from "./mutants/execute.mjs";
import { mutants } from "./mutants/mutants.mjs";

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, i) => ({ name: `${prefix}${i}`, paths: [`${prefix}/${i}/`] }));

describe("sample", () => {
  const candidates = numbered("c", 40);
  const third = (seed: number, changed: string[] = []) => sample({ seed, candidates, share: 1 / 3, changed });

  it("is the same for the same seed, another for another", () => {
    expect(third(5)).toEqual(third(5));
    expect(third(5)).not.toEqual(third(6));
  });

  it.each([
    { count: 40, share: 1 / 3, expected: 14 },
    { count: 3, share: 1 / 3, expected: 1 },
    { count: 1, share: 1 / 3, expected: 1 },
    { count: 7, share: 1, expected: 7 },
    { count: 7, share: 0, expected: 0 },
    { count: 0, share: 1 / 3, expected: 0 },
  ])("takes $expected of $count for a share of $share", ({ count, share, expected }) => {
    expect(sample({ seed: 1, candidates: numbered("c", count), share })).toHaveLength(expected);
  });

  it("takes each candidate about as often as any other", () => {
    const seen = new Map(candidates.map(({ name }) => [name, 0]));
    for (let seed = 0; seed < 300; seed++)
      for (const name of third(seed)) seen.set(name, seen.get(name)! + 1);
    expect(Math.min(...seen.values())).toBeGreaterThan(60); // 105 on average
    expect(Math.max(...seen.values())).toBeLessThan(150);
  });

  it("adds what the change touches: a file by its name, a folder by what is below it", () => {
    const own = [
      { name: "folder", paths: ["a/b/"] },
      { name: "file", paths: ["a/c.ts"] },
    ];
    const touched = (...changed: string[]) => sample({ seed: 1, candidates: own, share: 0, changed });
    expect(touched("a/b/x/y.cu", "z")).toEqual(["folder"]);
    expect(touched("a/c.ts")).toEqual(["file"]);
    expect(touched("a/c.tsx", "a/bc", "x/a/b/c")).toEqual([]);
    expect(third(5, ["c/17/x"])).toEqual(expect.arrayContaining(["c17", ...third(5)]));
  });

  it("leaves out what there is no time for, and what is not touched before what is", () => {
    const all = candidates.map(({ name }) => `c/${name.slice(1)}/x`);
    const within = (room: number, changed: string[], seconds = 1) => {
      const lasting = candidates.map((candidate) => ({ ...candidate, seconds }));
      return sample({ seed: 5, candidates: lasting, share: 1 / 3, changed, room });
    };
    expect(third(5, all)).toHaveLength(40);
    expect(within(20, all)).toHaveLength(20);
    expect(within(20, all, 10)).toHaveLength(2);
    expect(within(25, all, 10)).toHaveLength(3); // one that has begun is run to its end
    expect(within(20, [])).toEqual(third(5));
    expect(within(2, ["c/17/x", "c/18/x"]).sort()).toEqual(["c17", "c18"]);
    expect(within(20, ["c/17/x", "c/18/x"])).toEqual(third(5, ["c/17/x", "c/18/x"]));
    expect(third(5, ["c/17/x", "c/18/x"]).slice(0, 2).sort()).toEqual(["c17", "c18"]);
  });

  it("moves no candidate in when another appears", () => {
    const more = sample({ seed: 5, candidates: [...candidates, ...numbered("d", 5)], share: 1 / 3 });
    const before = third(5);
    expect(more.filter((name) => name.startsWith("c") && !before.includes(name)).length).toBeLessThan(3);
  });
});

describe("the plan of a run", () => {
  const bugs = numbered("bug", 30);
  const tables = (mode: string) =>
    numbered("table", 30).map((table) => ({ ...table, seconds: mode === "race" ? 60 : 50 }));
  const plan = (commit: string, changed: string[] = [], whole = false) =>
    planRun({ commit, changed, whole, bugs, tables });
  const even = "000000a".padEnd(40, "0");
  const odd = "000000b".padEnd(40, "0");

  it("gives the race checker and the sanitizers their turns, a third each", () => {
    expect(plan(even)).toMatchObject({ seed: 10, turn: "race", asan: [] });
    expect(plan(odd)).toMatchObject({ seed: 11, turn: "asan", race: [] });
    const { mutants: chosen, race } = plan(even);
    expect([chosen.length, race.length, plan(odd).asan.length]).toEqual([10, 10, 10]);
  });

  it("compiles kernels for one kind of GPU at a time, for all when one of them has changed", () => {
    const architectures = (changed: string[], whole = false) =>
      [0, 1, 2, 3].map((i) => plan(`000000${i + 4}`.padEnd(40, "0"), changed, whole).cudaArchitectures);
    expect(architectures(["lib/index.ts"])).toEqual(["90a-real", "90a-real", "90a-real", "80"]);
    expect(architectures(["native/ops/add/add.cu"])).toEqual(["", "", "", ""]);
    expect(architectures([], true)).toEqual(["", "", "", ""]);
  });

  it("builds without CMake or for aarch64 in turns, both where what they are made from has changed", () => {
    const builds = (changed: string[], whole = false) =>
      [0, 1, 2, 3].map((i) => plan(`000000${i + 4}`.padEnd(40, "0"), changed, whole).builds.join());
    const both = "without-cmake,aarch64";
    expect(builds(["lib/index.ts"])).toEqual(["without-cmake", "without-cmake", "aarch64", "aarch64"]);
    for (const file of ["native/host/shape.h", "package.json", "scripts/build/aarch64.mjs"])
      expect(builds([file])).toEqual([both, both, both, both]);
    expect(builds([], true)).toEqual([both, both, both, both]);
  });

  it("has 900 seconds when everything is touched, and 300 for the other build", () => {
    const everything = [...bugs, ...tables("race")].map(({ name }) => name.replace(/(\d+)$/, "/$1/x.cu"));
    const { mutants: chosen, race, asan } = plan(even, everything);
    expect([chosen.length, race.length, asan.length]).toEqual([15, 15, 6]);
    expect(plan(even, everything, true).race).toHaveLength(30);
  });

  it("runs a touched table in both, and a touched bug", () => {
    const { mutants: chosen, race, asan } = plan(odd, ["table/3/x.cu", "bug/4/x.cu"]);
    expect(race).toEqual(["table3"]);
    expect(asan).toContain("table3");
    expect(chosen).toContain("bug4");
  });

  it.each(["native/simt/fiber.cc", "native/cuda/device/warp.cuh", "test/mutants/run.mjs"])(
    "takes half when %s has changed",
    (file) => {
      expect(plan(even, [file]).mutants).toHaveLength(15);
      expect(plan(even, [file]).race).toHaveLength(15); // that last 900 seconds
    },
  );

  it("is everything in the whole run", () => {
    const all = [bugs, tables("race"), tables("asan")].map((items) => new Set(items.map(({ name }) => name)));
    const { mutants: chosen, race, asan } = plan(even, [], true);
    expect([chosen, race, asan].map((names) => new Set(names))).toEqual(all);
  });

  it("knows which bugs and tables belong to a kernel", () => {
    const changed = ["native/ops/linear/linear.sm90.cu"];
    const asked = (candidates: ReturnType<typeof tableCandidates>) =>
      sample({ seed: 1, candidates, share: 0, changed });
    expect(asked(tableCandidates("race"))).toContain("test/ops/linear.test.ts");
    const expected = mutants
      .filter((mutant) => "program" in mutant && mutant.program === "linear")
      .map(({ name }) => name);
    expect(asked(mutantCandidates())).toEqual(expect.arrayContaining(expected));
    expect(asked(mutantCandidates()).length).toBeLessThan(mutants.length);
    for (const { paths } of mutantCandidates())
      expect(paths.filter((file) => file.endsWith(".mjs"))).toHaveLength(1); // the listing that has it
  });
});

describe("op tables and the engines below them", () => {
  const asked = (changed: string) =>
    sample({ seed: 1, candidates: tableCandidates("race"), share: 0, changed: [changed] });

  it("asks for the ops of an engine, whichever of its files has changed", () => {
    const tables = ["attentionPlan", "flashAttention", "pagedAttention", "pagedAttention.hopper"];
    const expected = tables.map((name) => `test/ops/${name}.test.ts`);
    expect(asked("native/cuda/attention/scores.cuh")).toEqual(expect.arrayContaining(expected));
    expect(asked("native/cuda/attention/scores.cuh")).not.toContain("test/ops/linear.test.ts");
    expect(asked("native/cuda/gemm/tiles.cuh")).toContain("test/ops/linear.test.ts");
  });

  it("asks for none alone by what all of them include", () => {
    expect(asked("native/cuda/device/warp.cuh")).toEqual([]);
  });
});

describe("steps", () => {
  it("end at their limit, with what they have started", async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "warploop-"));
    const file = path.join(folder, "pid");
    expect(await runWithin(`sleep 600 & echo $! > ${file}; wait`, 1)).toBe("TIME LIMIT");
    const state = () =>
      spawnSync("bash", ["-c", `ps -o stat= -p $(cat ${file})`], { encoding: "utf8" }).stdout;
    await expect.poll(state, { timeout: 20_000 }).toMatch(/^(Z.*)?\s*$/); // gone, or dead and not yet reaped
    rmSync(folder, { recursive: true });
  });

  it("count one each, tests one each, and what they need comes first", async () => {
    const rows = await runSteps([
      { name: "good", command: "true", limit: 10 },
      { name: "bad", command: "exit 3", limit: 10 },
      { name: "after", command: "true", limit: 10, needs: "bad" },
      { name: "absent", command: "true", limit: 10, skip: "there is none" },
      { name: "tests", command: "true", limit: 10, isTests: true }, // leaves no report
    ]);
    const results = ["ok", "FAILED", "skipped, bad: FAILED", "skipped, there is none", "ok"];
    expect(rows.map(({ result }) => result)).toEqual(results);
    expect(countResults(rows)).toEqual({ passed: 1, failed: 2 });
  });

  it("tell those that are sampled when their part of the time is up, where the run has its time", async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "warploop-"));
    const steps = [0.5, 1].map((share) => ({
      name: `share-${share}`,
      command: `echo $WARPLOOP_UNTIL > ${folder}/${share}`,
      limit: 10,
      isSampled: true,
    }));
    const said = (share: number) => Number(readFileSync(path.join(folder, String(share)), "utf8"));
    const start = Date.now();
    await runSteps(steps, { seconds: 2000 });
    expect(Math.abs(said(0.5) - start - 1_000_000)).toBeLessThan(15_000);
    expect(Math.abs(said(1) - start - 2_000_000)).toBeLessThan(15_000);
    await runSteps(steps, { seconds: 10 }); // the others have taken too long
    expect(said(1) - Date.now()).toBeGreaterThan(200_000);
    await runSteps(steps);
    expect(said(1)).toBe(0);
    rmSync(folder, { recursive: true });
  });

  it("begin no test when the time is up", () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "warploop-"));
    const report = path.join(folder, "report.json");
    const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
    const run = (until: number) => {
      const { status } = spawnSync(
        process.execPath,
        [
          vitest,
          "run",
          "--project=cpu",
          "--reporter=json",
          `--outputFile=${report}`,
          "test/reference.moe.test.ts",
        ],
        { cwd: root, env: { ...process.env, WARPLOOP_UNTIL: String(until) } },
      );
      return { status, ...countTests(report) };
    };
    expect(run(Date.now())).toMatchObject({ status: 0, passed: 0, failed: 0 });
    expect(run(Date.now() + 600_000).passed).toBeGreaterThan(0);
    rmSync(folder, { recursive: true });
  });

  it("say at the end what the failed ones said, of long output its end", () => {
    const script = `
      import { runSteps } from ${JSON.stringify(path.join(root, "scripts/check/steps.mjs"))};
      await runSteps([{ name: "bad", command: "seq 1000 1200; exit 3", limit: 10 }]);
    `;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", script], {
      encoding: "utf8",
    });
    const atTheEnd = stdout.split("== bad: FAILED\n")[1] ?? ""; // behind the step's own last line
    expect(atTheEnd).toMatch(/^1161\n(\d+\n)*1200\n\nstep/);
  });

  it("count the tests of a report, and a file that did not load as one failure", () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "warploop-"));
    const file = path.join(folder, "report.json");
    const unloaded = { name: "b.test.ts", status: "failed", message: "no module", assertionResults: [] };
    const bad = {
      status: "failed",
      fullName: "adds",
      failureMessages: ["\x1b[31mexpected 1\x1b[39m\n at 3"],
    };
    const good = { status: "passed", fullName: "subtracts" };
    const loaded = { name: `${root}/a.test.ts`, status: "failed", assertionResults: [bad, good] };
    const report = { numPassedTests: 1, numFailedTests: 1, testResults: [loaded, unloaded] };
    writeFileSync(file, JSON.stringify(report));
    const failures = [
      "a.test.ts: adds\n    expected 1\n     at 3",
      expect.stringMatching(/b\.test\.ts\n {4}no module$/),
    ];
    expect(countTests(file)).toEqual({ passed: 1, failed: 2, failures });
    rmSync(folder, { recursive: true });
  });
});

it("a planted bug that has begun is seen to its end, whatever time the run has", async () => {
  vi.stubEnv("WARPLOOP_UNTIL", "1");
  const { text } = await execute(process.execPath, ["-p", "process.env.WARPLOOP_UNTIL"]);
  expect(text).toBe("undefined\n");
  vi.unstubAllEnvs();
});

it("the planted bugs are left out where the emulator cannot be built", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["test/mutants/run.mjs"], {
    cwd: root,
    env: { PATH: os.tmpdir() }, // no compiler, and nowhere a toolkit but where it installs itself
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(stdout).toMatch(/^mutants: left out, .+\n$/);
  expect(status).toBe(0);
});
