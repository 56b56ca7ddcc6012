// `npm run build:simt`, and before every `npm test`: the test build that runs the CUDA sources on an emulated GPU
// (build-simt/, docs/simt.md). Where there is no CUDA toolkit it says so, and those tests are left out. With an argument,
// another of the builds of simtBuilds.mjs: "race" or "asan".
import { existsSync, rmSync } from "node:fs";
import path from "node:path";
import { runCmake } from "./build.mjs";
import { root } from "./nativeSources.mjs";
import { say } from "./progress.mjs";
import { simtBuilds, simtProblem } from "./simtBuilds.mjs";

const { folder, options } = simtBuilds[/** @type {keyof typeof simtBuilds} */ (process.argv[2] ?? "plain")];

const reason = simtProblem();
if (reason) {
  say(`The tests on the emulated GPU are left out: ${reason}.`);
  rmSync(path.join(root, folder, "Release/warploop.node"), { force: true }); // not an old one either
} else {
  const start = performance.now();
  const isNew = !existsSync(path.join(root, folder, "CMakeCache.txt"));
  if (isNew) say("Building the emulated GPU for the tests: a few minutes the first time.");
  const status = await runCmake(folder, options);
  if (status !== 0) say("The emulated GPU did not compile; the compiler's messages are above.");
  else
    say(
      `${folder}/Release/warploop.node is up to date (${((performance.now() - start) / 1000).toFixed(0)} s).`,
    );
  process.exitCode = status;
}
