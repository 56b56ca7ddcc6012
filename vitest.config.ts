// How the tests run: one process per test file (a crash of the addon then names its file), --expose-gc for the
// leak tests, and two workers at most because every worker drives the thread pool over all cores.
//
// Projects: "cpu" runs everything on the addon that was built; "simt" runs the op tables and the tests below on the test
// build whose device is an emulated GPU (`npm run build:simt`), if it is there. With WARPLOOP_BINARY set, that addon alone.
// `npm test` has the mode "sample": of op tables "simt" takes a part of the cases (test/support/sampleCases.ts).
import { existsSync } from "node:fs";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const simtBinary = "build-simt/Release/warploop.node";
const simtTests = [
  "test/ops/**/*.test.ts",
  "test/engine/latentForms.test.ts",
  "test/engine/mamba.test.ts",
  "test/engine/slots.test.ts",
  "test/engine/windows.test.ts",
  "test/llm/kvDtype.test.ts",
  "test/native/gpu.test.ts",
  "test/native/kernelChoice.test.ts",
  "test/native/lifecycle.test.ts",
  "test/native/nvtx.test.ts",
  "test/native/overlap.test.ts",
  "test/native/progress.test.ts",
  "test/native/threads.test.ts",
  "test/native/trace.test.ts",
  "test/models/coded.test.ts",
  "test/models/formats.test.ts",
  "test/models/goldens.test.ts",
  "test/models/launches.test.ts",
  "test/models/mixtures.test.ts",
  "test/models/simt.test.ts",
  "test/nn/attention.test.ts",
  "test/nn/blocks.test.ts",
  "test/nn/decoder.test.ts",
  "test/nn/mla.test.ts",
  "test/nn/moe.test.ts",
  "test/nn/tap.test.ts",
  "test/weights/weightFile.test.ts",
];

const chosen = process.env["WARPLOOP_BINARY"];
const untilTime = process.env["WARPLOOP_UNTIL"] ? ["test/support/untilTime.ts"] : [];
const cpu: TestProjectInlineConfiguration = {
  extends: true,
  test: { name: chosen ? "chosen" : "cpu", include: ["test/**/*.test.ts"], setupFiles: untilTime },
};
const simt = (mode: string): TestProjectInlineConfiguration => ({
  extends: true,
  test: {
    name: "simt",
    include: simtTests,
    env: { WARPLOOP_BINARY: simtBinary },
    setupFiles: mode === "sample" ? [...untilTime, "test/support/sampleCases.ts"] : untilTime,
  },
});

export default defineConfig(({ mode }) => ({
  test: {
    pool: "forks",
    execArgv: ["--expose-gc"],
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
    projects: !chosen && existsSync(simtBinary) ? [cpu, simt(mode)] : [cpu],
  },
}));
