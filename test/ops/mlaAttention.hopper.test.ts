/**
 * Contract: the Hopper kernel of mlaAttention is right however its tiles come into shared memory, for any number of heads and all
 * widths that it takes; what a query does not see is NaN. On the emulated GPU. Sequences of up to 32 rows have the tiles of
 * mlaAttention.latents.test.ts.
 */
import { describe, expect, test } from "vitest";
import { native } from "../../lib/device/native.js";
import { mlaAttention } from "../../lib/ops/mlaAttention.js";
import { expectSame } from "../support/compare.js";
import { openTestDevice, withEnvironment } from "../support/devices.js";
import { latentCall, sequenceTensors } from "../support/latentCalls.js";
import { attendOn, attendUnsplitOn, expectRight, type LatentRun } from "../support/latentRuns.js";

const onSimt = describe.skipIf(native.runLastBlocks === undefined);

/** Tiles that end in a page, in a box, with the sequence; one tile, two, several; of several blocks of rows. */
const lengths = [
  [1, 1],
  [3, 64],
  [3, 65],
  [2, 2],
  [4, 129],
  [5, 300],
] as const;

const attend = (run: LatentRun) => attendOn("hopper", run);
const expectRightRun = async (run: LatentRun) => expectRight(await attend(run));

onSimt("mlaAttention on the Hopper kernel", () => {
  test.each([1, 7, 8, 16, 64, 128, 100])("pages of %i", async (Ps) => expectRightRun({ lengths, Ps }));

  test.each([1, 3, 16, 20, 64, 128])("%i heads", async (Hq) =>
    expectRightRun({
      lengths: [
        [Hq > 16 ? 2 : 40, 70],
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
  ])("widths: R %i, Dr %i", async (R, Dr) => expectRightRun({ lengths: lengths.slice(0, 4), R, Dr }));

  test.each([0, -0.05])("a scale of %f", async (scale) => expectRightRun({ lengths, scale }));

  test.each(["f32", "f16"] as const)("results of %s", async (out) => expectRightRun({ lengths, out }));

  test.each(["middle", "last"] as const)("a NaN that some queries see: the %s token's", async (plant) =>
    expectRightRun({
      lengths: [
        [4, 90],
        [6, 200],
      ],
      plant,
    }),
  );

  test("a NaN that some queries see, in spans that blocks share", async () =>
    expectRightRun({ lengths: [[3, 1100]], plant: "middle" }));

  test("blocks with several items", async () => {
    const many = Array.from({ length: 150 }, (_, i) => [1, 1 + ((i * 37) % 140)] as const);
    await expectRightRun({ lengths: many, Hq: 33 });
  });
});

onSimt("mlaAttention on the Hopper kernel, bits and spans", () => {
  test("gives the same bits however latents and queries are copied, and with a plan", async () => {
    const [first, ...others] = await Promise.all(
      [64, 16, 128, 7].map((Ps) => attend({ lengths, Ps, planned: Ps === 16 })),
    );
    for (const { out, shape } of others) expectSame(out, first!.out, { shape });
    expect(first!.launches).toBe(4); // plan, and a kernel for each kind of tiles
  });

  test.each([16, 32, 33])("starts no kernel that has nothing to do: a decode of %i heads", async (Hq) => {
    const run = { lengths: [[1, 40]], Hq } as const;
    expect((await attend(run)).launches).toBe(2); // plan, and that for tiles of 16, 32 or 64 rows
  });

  test.each([1400, 4200])(
    "gives the same bits where blocks share %i latents and where one has them all",
    async (keys) => {
      const run = { lengths: [[2, keys]], Hq: 17 } as const;
      const [shared, whole] = [await attend(run), await attendUnsplitOn("hopper", run)];
      expectSame(whole.out, shared.out, { shape: whole.shape });
      expectSame(whole.lse, shared.lse, { shape: whole.shape.slice(0, 2) });
    },
  );

  test("adds groups of 16 spans", async () =>
    expectRight(await attendUnsplitOn("hopper", { lengths: [[1, 16_500]], Hq: 33 })));

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
