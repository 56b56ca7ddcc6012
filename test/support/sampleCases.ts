/** Of the longest tables a quarter of the cases, picked by the seed, and all of the tables that the change touches (WARPLOOP_TEST_TOUCHED). */
import { beforeEach } from "vitest";
import { isPicked, touched } from "./seed.js";

const share = 1 / 4;
const long = /^test\/(ops\/|models\/launches\.)/;

beforeEach(({ task, skip }) => {
  if (!long.test(task.file.name) || touched.has(task.file.name)) return;
  skip(!isPicked(`${task.file.name} ${task.fullTestName}`, share), "not among the cases of this run");
});
