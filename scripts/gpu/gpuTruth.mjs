// `npm run gpu:truth`: the first minutes on a GPU, whose question is whether the kernels are right: driver, doctor, the device
// wrappers, the ops with barriers in the addon that traps (build:trap), the other op tables, one round of two benches. Each
// step has a time limit and a log of its own in $OUT; ends with a table. A step that fails says where to look first: below a
// wrapper that is wrong everything is noise.
//
//     npm run gpu:truth [-- --device simt] [STEP...]   on the emulated GPU: whether the script itself runs; with names: those
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { listGpus } from "../build/cuda.mjs";
import { root } from "../build/nativeSources.mjs";
import { countResults, runSteps } from "../check/steps.mjs";

const { values, positionals: wanted } = parseArgs({
  options: { device: { type: "string", default: "cuda" } },
  allowPositionals: true,
});
if (values.device !== "cuda" && values.device !== "simt")
  throw new Error(`--device: expected cuda or simt, got ${values.device}`);
const isGpu = values.device === "cuda";
if (isGpu && listGpus().length === 0) {
  console.error("gpu:truth: there is no GPU here: nvidia-smi shows none of compute capability 8.0 or newer.");
  process.exit(1);
}
const logs = process.env["OUT"] ?? path.join(root, "build-truth");
mkdirSync(logs, { recursive: true });

const folders = isGpu
  ? { product: "build-cuda", trap: "build-trap" }
  : { product: "build-simt", trap: "build-simt" };
const envOf = (/** @type {string} */ folder) => ({
  WARPLOOP_BINARY: path.join(root, folder, "Release/warploop.node"),
  WARPLOOP_TEST_DEVICE: values.device,
});
const missing = (/** @type {string} */ file) => !existsSync(path.join(root, file)) && `there is no ${file}`;
const product = { env: envOf(folders.product), skip: missing(`${folders.product}/Release/warploop.node`) };
const trap = { env: envOf(folders.trap), skip: missing(`${folders.trap}/Release/warploop.node`) };

/** The ops whose kernels wait for barriers in shared memory, and what shares their tiles. */
const withBarriers = ["linear", "groupedLinear", "flashAttention", "pagedAttention", "mlaAttention"];
const tableOf = (/** @type {string} */ op) => `test/ops/${op}.test.ts`;
const others = withBarriers.map((op) => `--exclude ${tableOf(op)}`).join(" ");
const bench = (/** @type {string} */ op) =>
  `node_modules/.bin/tsx bench/gpu.ts --device ${values.device} --only ${op} --rounds 1 --no-baseline ` +
  `--json ${path.join(logs, `bench-${op}.json`)}${isGpu ? "" : " --small"}`;

const rows = await runSteps(
  [
    { name: "driver", command: "nvidia-smi", limit: 20, skip: !isGpu && "this is the emulated GPU" },
    { name: "doctor", command: "node scripts/cli.mjs doctor", limit: 30, ...product },
    {
      name: "atoms",
      command: `${folders.product}/atoms --write-goldens ${path.join(logs, "sm90.txt")}`,
      limit: 60,
      skip: missing(`${folders.product}/atoms`),
    },
    {
      name: "stuck-barrier",
      command: `${folders.trap}/atoms --stuck`,
      limit: 30,
      skip: missing(`${folders.trap}/atoms`),
    },
    ...withBarriers.map((op) => ({
      name: `trap-${op}`,
      command: `node_modules/.bin/vitest run ${tableOf(op)}`,
      limit: isGpu ? 60 : 300,
      isTests: true,
      ...trap,
    })),
    {
      name: "other-ops",
      command: `node_modules/.bin/vitest run test/ops ${others}`,
      limit: isGpu ? 150 : 600,
      isTests: true,
      ...product,
    },
    { name: "bench-flashAttention", command: bench("flashAttention"), limit: 60, ...product },
    { name: "bench-linear", command: bench("linear"), limit: 60, ...product },
  ].filter(({ name }) => wanted.length === 0 || wanted.includes(name)),
  { logs },
);
const { passed, failed } = countResults(rows);
const first = rows.find(({ result }) => result === "FAILED" || result === "TIME LIMIT");
console.log(`\n${passed} passed, ${failed} failed; logs in ${logs}`);
console.log(
  first ? `look first at ${first.name}: ${path.join(logs, `${first.name}.log`)}` : "truth: all good",
);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
