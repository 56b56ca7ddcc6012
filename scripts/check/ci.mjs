// `.ci/run` and `npm run ci:full`: everything that must hold, on a clean checkout and an empty HOME, with only the package
// registry at hand. The table below has the steps. Of the slow modes `.ci/run` takes a sample that the commit's hash picks
// (ciPlan.mjs), `ci:full` all of it. Ends with a table of the steps and the line "N passed, N failed".
//
//     node scripts/check/ci.mjs [--full] [--plan] [STEP...]       --plan: only says what would run; with names: those steps
//
// It runs before `npm install`: only what comes with Node may be imported here.
import path from "node:path";
import { parseArgs } from "node:util";
import { readHistory } from "./changedFiles.mjs";
import { planRun } from "./ciPlan.mjs";
import { findNvcc } from "../build/cuda.mjs";
import { root } from "../build/nativeSources.mjs";
import { simtProblem } from "../build/simtBuilds.mjs";
import { countResults, runSteps } from "./steps.mjs";
import { which } from "../build/toolchain.mjs";

const { values, positionals: wanted } = parseArgs({
  options: { full: { type: "boolean", default: false }, plan: { type: "boolean", default: false } },
  allowPositionals: true,
});
const isFull = values.full;
const history = readHistory();
const plan = planRun({ ...history, whole: isFull });

const noNvcc = !findNvcc() && "there is no nvcc here";
const noSimt = simtProblem() ?? false;
const noCmake = !which("cmake") && "there is no CMake here";
const noTurn = (/** @type {import("./ciPlan.mjs").Build} */ build) =>
  !plan.builds.includes(build) && `it is the turn of ${plan.builds.join()}`;
const otherTurn = `it is the turn of ${plan.turn}`;
/** Random schedules, fuzz inputs and the emulator's choices: others with each commit. */
const seeds = { WARPLOOP_TEST_SEED: String(plan.seed), WARPLOOP_SIMT_SEED: String(plan.seed) };
/** Examples that have changed run whole, too. */
const touched = [...plan.touched, ...history.changed.filter((file) => file.startsWith("examples/"))];
/** Of a table that runs slowed down: random runs stay few. */
const cases = isFull ? { WARPLOOP_TEST_WHOLE: "cases" } : seeds;
const sampleSeconds = 3300; // of all steps: what is sampled takes the time that the others leave
const gypTests = "test/ops/linear test/ops/pagedAttention test/ops/sample test/ops/rmsNorm test/native";

/** @type {import("./steps.mjs").Step[]} limits are those of a sample; `ci:full` has three times as many seconds */
const steps = [
  // as a user runs them: the README's commands
  { name: "install", command: "npm install", limit: 480 },
  { name: "start", command: "npm start", limit: 60, needs: "install" },
  {
    name: "test",
    command: "npm test --",
    env: isFull ? { WARPLOOP_TEST_WHOLE: "1" } : { ...seeds, WARPLOOP_TEST_TOUCHED: touched.join(" ") },
    limit: 1800,
    needs: "install",
    isTests: true,
  },
  { name: "check", command: "npm run check", limit: 240, needs: "install" },
  { name: "packed", command: "npm run check:packed", limit: 480, needs: "install" },
  { name: "bits", command: "npm run bits -- --others", limit: 480, needs: "install" },
  // the CUDA device
  {
    name: "build-cuda",
    command: "npm run build:cuda",
    env: plan.cudaArchitectures ? { CUDAARCHS: plan.cudaArchitectures } : {},
    limit: 2100, // one kind of GPU took 872 s on two slow cores, beside other work
    needs: "install",
    skip: noNvcc,
  },
  {
    name: "ptxas",
    command: "npm run check:ptxas -- --log build-cuda/build.log",
    limit: 180,
    needs: "build-cuda",
  },
  { name: "doctor", command: "npm run doctor", limit: 30, needs: "build-cuda" }, // it loads without a driver
  // other builds
  {
    name: "build-without-cmake",
    command: "node scripts/check/packedBuild.mjs",
    env: { npm_config_nodedir: "/nowhere" }, // somebody's .npmrc must not reach the build
    limit: 540,
    needs: "install",
    skip: noTurn("without-cmake"),
  },
  {
    name: "test-without-cmake",
    command: `npx vitest run ${gypTests}`,
    env: { WARPLOOP_BINARY: path.join(root, "build-gyp/Release/warploop.node") },
    limit: 240,
    needs: "build-without-cmake",
    isTests: true,
    skip: noTurn("without-cmake"),
  },
  {
    name: "aarch64",
    command: "npm run check:aarch64 -- --install",
    limit: 480,
    needs: "install",
    skip: noCmake || noTurn("aarch64"),
  },
  // the emulated GPU
  {
    name: "mutants",
    command: isFull
      ? "npm run test:mutants"
      : `npm run test:mutants -- --without-asan --table ${plan.mutants.join(" ")}`,
    limit: 1500,
    isSampled: true,
    needs: "install",
    skip: noSimt,
  },
  {
    name: "race",
    command: `npm run test:race -- ${plan.race.join(" ")}`,
    env: cases,
    limit: 2400,
    isSampled: true,
    needs: "install",
    isTests: true,
    skip: noSimt || (plan.race.length === 0 && otherTurn),
  },
  {
    name: "asan",
    command: `npm run test:asan -- ${plan.asan.join(" ")}`,
    env: cases,
    limit: 1200,
    isSampled: true,
    needs: "install",
    isTests: true,
    skip: noSimt || (plan.asan.length === 0 && otherTurn),
  },
];

console.log(`commit ${history.commit}, changed files: ${history.changed.length} against ${history.base}`);
console.log(isFull ? "everything runs, whatever the seed" : `seed ${plan.seed}`);
for (const [name, chosen] of Object.entries({
  mutants: plan.mutants,
  touched,
  race: plan.race,
  asan: plan.asan,
}))
  console.log(`${name}: ${chosen.length}  ${chosen.join(" ")}`.trimEnd());

if (!values.plan) {
  const rows = await runSteps(
    steps
      .filter(({ name }) => wanted.length === 0 || wanted.includes(name))
      .map((step) => ({ ...step, limit: step.limit * (isFull ? 3 : 1) })),
    isFull ? {} : { seconds: sampleSeconds },
  );
  const { passed, failed } = countResults(rows);
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}
