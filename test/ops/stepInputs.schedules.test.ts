// Contract: over whole schedules (chunks, prefix hits, preemption, aborts, padding, steps in flight) the device makes of a step and
// of what it holds exactly what the host would compute from its requests (test/schedule/hostPlan.ts).
import { expect, vi } from "vitest";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { oneGroup } from "../../lib/schedule/cacheGroup.js";
import { SequenceTables } from "../../lib/engine/sequenceTables.js";
import { tableScatter } from "../../lib/ops/tableScatter.js";
import type { SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";
import type { PlanField } from "../../lib/schedule/stepPlan.js";
import type { RanStep } from "../schedule/fakeDevice.js";
import { runRandomSchedule } from "../schedule/randomSchedule.js";
import { describeOp, type OpCase } from "../support/devices.js";
import { firstSeed, runsOf } from "../support/seed.js";

interface Case extends OpCase {
  readonly part: number;
}

const parts = 8;
const perPart = runsOf({ few: 96, whole: 10_000 }) / parts;
const cases: readonly Case[] = Array.from({ length: parts }, (_, part) => ({
  name: `random schedules, part ${part + 1} of ${parts}`,
  part,
}));

vi.setConfig({ testTimeout: 600_000 }); // a part of 10,000 schedules

describeOp("stepInputs", cases, async ({ stream, deviceName }, { part }) => {
  const count = deviceName === "simt" ? Math.min(perPart, 250) : perPart;
  for (let i = 0; i < count; i++) await replay(stream, firstSeed + part * perPart + i);
});

/** Runs a schedule on the device without arithmetic, then all of its steps on this one. */
async function replay(stream: Stream, seed: number): Promise<void> {
  const ran: RanStep[] = [];
  let options: SchedulerOptions | undefined;
  runRandomSchedule(seed, (step, its) => {
    ran.push(step);
    options = its;
  });
  const { maxSequences, maxModelLen, pageSize, groups = oneGroup, slotLayers = 0 } = options!;
  using tables = new SequenceTables(stream, {
    ...{ numRows: maxSequences, maxTokens: maxModelLen, pageSize, groups, slotLayers },
  });
  const made = await Promise.all(ran.map((step) => runStep(stream, tables, step)));
  for (const [i, { step, expected }] of ran.entries()) {
    const { tokens, positions, slots, contextLens, samplePositions } = expected;
    const all = [...tokens, ...positions, ...slots, ...contextLens, ...samplePositions];
    expect(made[i], `seed ${seed}, step ${step.index}`).toEqual(all);
  }
}

/** Tokens, positions, slots, contextLens and samplePositions, one behind the other. */
function runStep(stream: Stream, tables: SequenceTables, ran: RanStep): Promise<number[]> {
  const { step, layout, data, sampledIds } = ran;
  using _temporaries = stream.scope();
  const i32 = (values: Int32Array): Tensor => stream.fromArray("i32", [values.length], values);
  const field = (name: PlanField): Tensor =>
    i32(data.slice(layout.offsets[name], layout.offsets[name] + layout.sizes[name]));
  for (const { row, tokens } of step.admissions) tables.writeTokens(row, tokens);
  for (const { row, first, tokens } of step.appended) tables.writeTokens(row, tokens, first);
  tables.writePages(field("updateRows"), field("updateCols"), field("updatePages"));
  const { inputs, samplePositions } = tables.makeStep({
    numTokens: layout.numTokens,
    ...{ rows: field("rows"), starts: field("starts"), cuSeqlensQ: field("cuSeqlensQ") },
    logitIndices: field("logitIndices").slice(0, 0, layout.numSamples),
  });
  tableScatter(stream, tables.tokenPool, field("sampleRows"), samplePositions, i32(sampledIds));
  const { tokens, positions, groups, contextLens } = inputs;
  const slots = groups.map((group) => group.slots);
  const read = [tokens, positions, ...slots, contextLens, samplePositions].map((made) => made.read(stream));
  return Promise.all(read).then((all) => all.flatMap((values) => [...(values as Int32Array)]));
}
