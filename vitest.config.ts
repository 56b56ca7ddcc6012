// How the tests run: one process per test file (a crash of the addon then names its file), --expose-gc for the
// leak tests, and two workers at most because every worker drives the thread pool over all cores.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    execArgv: ["--expose-gc"],
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
  },
});
