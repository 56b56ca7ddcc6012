/** In a run that has its time (WARPLOOP_UNTIL, ms since 1970: scripts/check/steps.mjs), tests that would begin later are skipped. */
import { beforeEach } from "vitest";

beforeEach((test) => {
  test.skip(Date.now() >= Number(process.env["WARPLOOP_UNTIL"]), "this run has no time left");
});
