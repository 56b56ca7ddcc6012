/**
 * Contract: the Hopper kernel of mlaAttention is right however its tiles come into shared memory, for any number of heads and all
 * widths that it takes; what a query does not see is NaN. On the emulated GPU.
 */
import { describe, expect, test } from "vitest";
import { native } from "../../lib/device/native.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { mlaAttention } from "../../lib/ops/mlaAttention.js";
import { mlaAttention as reference } from "../reference/mlaAttention.js";
import { expectClose, expectSame } from "../support/compare.js";
import { openTestDevice, withEnvironment } from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import type { Lengths, Plant } from "../support/hiddenKeys.js";
import { latentCall, type LatentShape, sequenceTensors } from "../support/latentCalls.js";

/** AttentionCounter of native/cuda/attention/items.cuh. */
const ownCounters = 4;

const onSimt = describe.skipIf(native.runLastBlocks === undefined);

interface Prompt extends Partial<LatentShape> {
  readonly lengths: readonly Lengths[];
  readonly plant?: Plant;
  readonly scale?: number;
  readonly out?: FloatDType;
  readonly planned?: boolean;
}

/** Tiles that end in a page, in a box, with the sequence; one tile, two, several; of several blocks of rows. */
const lengths = [
  [1, 1],
  [1, 64],
  [3, 65],
  [1, 129],
  [5, 300],
] as const;

async function attend(prompt: Prompt, kernel = "hopper") {
  const shape = { Hq: 16, R: 512, Dr: 64, Ps: 64, ...prompt, dtype: "bf16" } as const;
  const { Hq, R, Dr, Ps } = shape;
  const call = latentCall(shape, prompt.plant);
  const scale = prompt.scale ?? call.scale;
  await using device = openTestDevice();
  const stream = withEnvironment({ WARPLOOP_KERNEL: `mlaAttention:${kernel}` }, () => device.createStream());
  const sequences = sequenceTensors((sizes, values) => stream.fromArray("i32", sizes, values), call);
  const tensor = (sizes: number[], values: Float64Array) =>
    stream.fromArray("bf16", sizes, toStorage("bf16", values));
  const sizes = { numQueries: call.T, numHeads: Hq, numKvHeads: 1, headDim: R + Dr, latent: R, pageSize: Ps };
  const plan = prompt.planned ? attentionPlan(stream, ...sequences, { ...sizes, dtype: "bf16" }) : undefined;
  const lse = stream.empty("f32", [call.T, Hq]);
  const out = stream.empty(prompt.out ?? "bf16", [call.T, Hq, R]);
  const [q, latents] = [
    tensor([call.T, Hq, R + Dr], call.q),
    tensor([call.P, Ps, R + Dr], call.latents),
  ] as const;
  const trace = stream.trace();
  mlaAttention(stream, q, latents, ...sequences, { latent: R, scale, lse, plan, out });
  const { launches } = (await trace.end()).find(({ op }) => op === "mlaAttention")!;
  const { pageTable, rows, cu, contextLens } = call;
  return {
    launches,
    out: await out.readFloat32(stream),
    lse: await lse.readFloat32(stream),
    expected: reference(call.q, call.latents, pageTable, rows, cu, contextLens, call.sizes, { scale }),
    shape: [call.T, Hq, R],
    reduction: Math.max(...contextLens) + R + Dr,
  };
}

/** With counters for no split tile. */
async function unsplit(prompt: Prompt) {
  native.setScratch!(1 << 26, ownCounters);
  return attend(prompt).finally(() => native.setScratch!());
}

async function expectRight(prompt: Prompt): Promise<void> {
  const { out, lse, expected, shape, reduction } = await attend(prompt);
  expectClose(out, expected.out, { dtype: "bf16", intermediate: "bf16", shape, reduction });
  if (prompt.scale === 0) return; // the kernel takes the least scale that has a sign
  expectClose(lse, expected.lse, { dtype: "f32", shape: shape.slice(0, 2), reduction, label: "lse" });
}

onSimt("mlaAttention on the Hopper kernel", () => {
  test.each([1, 7, 8, 16, 64, 128, 100])("pages of %i", async (Ps) => expectRight({ lengths, Ps }));

  test.each([1, 3, 16, 20, 64, 128])("%i heads", async (Hq) =>
    expectRight({
      lengths: [
        [1, 70],
        [Hq > 20 ? 2 : 6, 140],
      ],
      Hq,
    }),
  );

  test.each([
    [512, 64],
    [256, 32],
    [272, 16],
    [496, 48],
    [16, 256],
  ])("widths: R %i, Dr %i", async (R, Dr) => expectRight({ lengths: lengths.slice(0, 4), R, Dr }));

  test.each([0, -0.05])("a scale of %f", async (scale) => expectRight({ lengths, scale }));

  test.each(["f32", "f16"] as const)("results of %s", async (out) => expectRight({ lengths, out }));

  test.each(["middle", "last"] as const)("a NaN that some queries see: the %s token's", async (plant) =>
    expectRight({
      lengths: [
        [4, 90],
        [6, 200],
      ],
      plant,
    }),
  );

  test("a NaN that some queries see, in spans that blocks share", async () =>
    expectRight({ lengths: [[3, 1100]], plant: "middle" }));

  test("blocks with several items", async () => {
    const many = Array.from({ length: 150 }, (_, i) => [1, 1 + ((i * 37) % 140)] as const);
    await expectRight({ lengths: many, Hq: 2 });
  });
});

onSimt("mlaAttention on the Hopper kernel, bits and spans", () => {
  test("gives the same bits however latents and queries are copied, and with a plan", async () => {
    const [first, ...others] = await Promise.all(
      [64, 16, 128, 7].map((Ps) => attend({ lengths, Ps, planned: Ps === 16 })),
    );
    for (const { out, shape } of others) expectSame(out, first!.out, { shape });
    expect(first!.launches).toBe(2); // plan and attention
  });

  test.each([1400, 4200])(
    "gives the same bits where blocks share %i latents and where one has them all",
    async (keys) => {
      const prompt = { lengths: [[2, keys]], Hq: 2 } as const;
      const [shared, whole] = [await attend(prompt), await unsplit(prompt)];
      expectSame(whole.out, shared.out, { shape: whole.shape });
      expectSame(whole.lse, shared.lse, { shape: whole.shape.slice(0, 2) });
    },
  );

  test("adds groups of 16 spans", async () => {
    const { out, expected, shape, reduction } = await unsplit({ lengths: [[1, 16_500]], Hq: 1 });
    expectClose(out, expected.out, { dtype: "bf16", intermediate: "bf16", shape, reduction });
  });

  test("takes no latents of f16, and says why", async () => {
    await using device = openTestDevice();
    const stream = withEnvironment({ WARPLOOP_KERNEL: "mlaAttention:hopper" }, () => device.createStream());
    const call = latentCall({ lengths: [[1, 5]], Hq: 1, R: 512, Dr: 64, Ps: 64, dtype: "f16" });
    const sequences = sequenceTensors((sizes, values) => stream.fromArray("i32", sizes, values), call);
    const [q, latents] = [stream.empty("f16", [1, 1, 576]), stream.empty("f16", [call.P, 64, 576])] as const;
    mlaAttention(stream, q, latents, ...sequences, { latent: 512, scale: 1 });
    await expect(stream.synchronize()).rejects.toThrow("latents wider than 256 of f16");
  });
});
