// `npm run test:gpu [-- vitest options]`: everything that has to hold on a GPU, with the addon of `npm run build:cuda`: the
// device wrappers one by one, the case tables, graphs and errors of the device, the golden checkpoints and the engine, and
// a soak. Ends with what failed; the exit status says whether anything did.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { root } from "../build/nativeSources.mjs";

const require = createRequire(import.meta.url);
const binary = path.join(root, "build-cuda/Release/warploop.node");
const atoms = path.join(root, "build-cuda/atoms");
const goldens = "test/atoms/goldens/sm90.txt";
const measured = path.join(process.env["OUT"] ?? path.join(root, "build-cuda"), "sm90.txt");
const tests = ["test/ops", "test/native", "test/models", "test/llm"];
const env = { ...process.env, WARPLOOP_BINARY: binary, WARPLOOP_TEST_DEVICE: "cuda" };

if (!existsSync(binary)) {
  console.error("build-cuda/Release/warploop.node is missing: run `npm run build:cuda` first.");
  process.exit(1);
}

/** @type {string[]} */
const failed = [];

/** @param {string} name @param {string} command @param {string[]} args */
function step(name, command, args) {
  console.log(`\n== ${name}`);
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: "inherit", env });
  if (status !== 0) failed.push(error ? `${name} (${error.message})` : name);
}

const inPackage = (/** @type {string} */ name, /** @type {string} */ file) =>
  path.join(path.dirname(require.resolve(`${name}/package.json`)), file);

if (existsSync(atoms)) {
  mkdirSync(path.dirname(measured), { recursive: true });
  const compare = existsSync(path.join(root, goldens))
    ? ["--goldens", goldens]
    : ["--write-goldens", measured];
  step("device wrappers", atoms, compare);
} else {
  console.log("device wrappers: left out, `npm run build:atoms` has not built build-cuda/atoms");
}
step("tests", process.execPath, [
  inPackage("vitest", "vitest.mjs"),
  "run",
  ...tests,
  ...process.argv.slice(2),
]);
step("soak", process.execPath, [inPackage("tsx", "dist/cli.mjs"), "bench/soak.ts", "--device", "cuda"]);
console.log(failed.length === 0 ? "\ntest:gpu: all passed" : `\ntest:gpu: FAILED: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
