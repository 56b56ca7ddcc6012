/** Of op tables a third of the cases, picked by the seed, and all of the tables that the change touches (WARPLOOP_TEST_TOUCHED). */
import { beforeEach } from "vitest";
import { isPicked, touched } from "./seed.js";

const share = 1 / 3;

beforeEach(({ task, skip }) => {
  if (!task.file.name.startsWith("test/ops/") || touched.has(task.file.name)) return;
  skip(!isPicked(`${task.file.name} ${task.fullTestName}`, share), "not among the cases of this run");
});
