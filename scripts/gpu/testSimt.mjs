// `npm run test:race`, `npm run test:asan`: the op tables on a checking build of the emulated GPU (docs/simt.md), which
// `node scripts/build/buildSimt.mjs race` or `asan` has built. Names of test files after the command choose others. One friendly
// schedule: what these builds look for does not depend on it.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { root } from "../build/nativeSources.mjs";
import { simtBuilds } from "../build/simtBuilds.mjs";

const [name = "", ...rest] = process.argv.slice(2); // options go to vitest
const build = name === "race" || name === "asan" ? simtBuilds[name] : undefined;
if (!build) throw new Error("usage: node scripts/gpu/testSimt.mjs race|asan [test file...]");
const slowTestMs = 900_000; // under race the edges of scratch memory take minutes each; the step has a limit of its own
const binary = path.join(root, build.folder, "Release/warploop.node");

/** What AddressSanitizer and UBSan need in a process that was not built with them. */
function sanitizerSettings() {
  const library = spawnSync("g++", ["-print-file-name=libasan.so"], { encoding: "utf8" }).stdout.trim();
  return {
    LD_PRELOAD: library,
    ASAN_OPTIONS: "detect_leaks=0", // Node frees little at its end
    UBSAN_OPTIONS: "halt_on_error=1:print_stacktrace=1",
  };
}

if (existsSync(binary)) {
  const vitest = path.join(
    path.dirname(createRequire(import.meta.url).resolve("vitest/package.json")),
    "vitest.mjs",
  );
  const { status } = spawnSync(
    process.execPath,
    [
      vitest,
      "run",
      `--testTimeout=${slowTestMs}`,
      ...(rest.some((word) => !word.startsWith("-")) ? [] : ["test/ops"]),
      ...rest,
    ],
    {
      cwd: root,
      stdio: "inherit",
      env: {
        ...process.env,
        WARPLOOP_BINARY: binary,
        WARPLOOP_SIMT_SCHEDULE: "fifo",
        WARPLOOP_SIMT_ASYNC: "early",
        ...(name === "asan" && sanitizerSettings()),
      },
    },
  );
  process.exitCode = status ?? 1;
} else {
  console.log(`${name}: left out, ${build.folder} has not been built`);
}
