// Contract: a layer of a decode step takes so many launches and no more, one sequence or several, counted by a trace of the
// engine's runner (as `npm run bench:layers` prints them). On the GPU every launch costs more than what little it does for
// one token.
import { expect, test } from "vitest";
import { ModelSteps } from "../../bench/support/modelSteps.js";
import { repeatedPart } from "../../bench/support/repeatedPart.js";
import { testDeviceName } from "../support/devices.js";

const steps = 4; // prefill, the first decode, its first replay, the one that is traced
const cases = [
  { model: "tiny-draft", cpu: 8, gpu: 8 },
  { model: "tiny-moe", cpu: 11, gpu: 11 },
] as const;

test.each(cases.flatMap((each) => [1, 8].map((sequences) => ({ ...each, sequences }))))(
  "a layer of $model, $sequences sequences",
  async ({ model, cpu, gpu, sequences }) => {
    await using run = await ModelSteps.open(`models/${model}`, { device: testDeviceName(), sequences });
    for (let i = 0; i < sequences; i++) run.add(40, steps + 1);
    for (let i = 1; i < steps; i++) await run.step();
    const trace = run.stream.trace();
    await run.step();
    const ops = (await trace.end()).filter(({ bytes }) => bytes === 0);
    const names = ops.map(({ op, kernel, launches }) => `${op}, ${kernel}, ${launches}`);
    const { start, length } = repeatedPart(names, run.model.shape.numLayers);
    const launches = ops.slice(start, start + length).reduce((sum, row) => sum + row.launches, 0);
    expect(launches, names.join("; ")).toBe(run.device.name === "cpu" ? cpu : gpu);
  },
);
