/**
 * Contract: the portable kernel of mlaAttention over latents is right for tiles of 16 and of 32 rows, of any width and page size, for all
 * tokens and for named ones; neither how a context is divided among blocks nor naming its tokens changes a bit. On the emulated GPU; the
 * case tables of the op name this kernel, too.
 */
import { describe, expect, test } from "vitest";
import { native } from "../../lib/device/native.js";
import { expectSame } from "../support/compare.js";
import { attendOn, attendUnsplitOn, expectRight, type LatentRun } from "../support/latentRuns.js";

const onSimt = describe.skipIf(native.runLastBlocks === undefined);
const attend = (run: LatentRun) => attendOn("latents", run);
const expectRightRun = async (run: LatentRun) => expectRight(await attend(run));

const small = { R: 64, Dr: 16 } as const;
/** With 16 heads one tile of 16 rows, or several of 32; tiles of latents that end with the sequence, before and behind it. */
const lengths = [
  [1, 1],
  [1, 64],
  [3, 65],
  [1, 129],
  [5, 200],
] as const;

onSimt("mlaAttention on the portable kernel over latents", () => {
  test.each([1, 7, 32, 100])("pages of %i", async (Ps) => expectRightRun({ lengths, Ps }));

  // Tiles of which one block of 16 rows is there, or parts of it.
  test.each([1, 8, 16, 17, 32, 33, 40, 49])("%i heads", async (Hq) =>
    expectRightRun({
      lengths: [
        [1, 70],
        [2, 34],
      ],
      Hq,
    }),
  );

  test.each([
    [512, 64],
    [272, 16],
    [496, 48],
    [128, 16],
    [16, 16],
    [16, 256],
  ])("widths: R %i, Dr %i", async (R, Dr) => {
    for (const dtype of ["bf16", "f16"] as const)
      await expectRightRun({ lengths: lengths.slice(0, 4), R, Dr, dtype });
  });

  test.each([0, -0.05])("a scale of %f", async (scale) => expectRightRun({ lengths, scale }));

  test.each(["f32", "f16"] as const)("results of %s", async (out) => expectRightRun({ lengths, out }));

  test.each([2, 16])("a NaN that some queries see, %i heads", async (Hq) => {
    const sequences = [
      [4, 90],
      [6, 150],
    ] as const;
    for (const plant of ["middle", "last"] as const) await expectRightRun({ lengths: sequences, Hq, plant });
  });

  test.each([2, 16])("a NaN in spans that blocks share, %i heads", async (Hq) =>
    expectRightRun({ lengths: [[3, 1100]], Hq, plant: "middle" }),
  );

  test.each([2, 17])("blocks with several items, %i heads", async (Hq) => {
    const many = Array.from({ length: 300 }, (_, i) => [1, 1 + ((i * 37) % 40)] as const);
    await expectRightRun({ ...small, lengths: many, Hq });
  });
});

onSimt("mlaAttention on the portable kernel over latents, bits and spans", () => {
  test.each([
    [1, 1200, 16],
    [1, 1400, 17],
    [2, 4200, 9],
  ])("%i queries, %i latents, %i heads: one block or several give the same bits", async (n, keys, Hq) => {
    const run = { ...small, lengths: [[n, keys]], Hq } as const;
    const [shared, whole] = [await attend(run), await attendUnsplitOn("latents", run)];
    expectRight(whole);
    expectSame(whole.out, shared.out, { shape: whole.shape });
    expectSame(whole.lse, shared.lse, { shape: whole.shape.slice(0, 2) });
  });

  test.each([16, 40])("a decode of %i heads has the same bits where all tokens are named", async (Hq) => {
    const run = { lengths: [[1, 700], ...[33, 64].map((keys) => [1, keys] as const)], Hq } as const;
    const [all, named] = [await attend(run), await attend({ ...run, named: true })];
    expectRight(named);
    expectSame(named.out, all.out, { shape: all.shape });
  });

  test.each([
    [1, 8400],
    [17, 16_500],
  ])("%i rows of %i latents add groups of 16 spans", async (Hq, keys) =>
    expectRight(await attendUnsplitOn("latents", { ...small, lengths: [[1, keys]], Hq })),
  );

  test("with a plan the bits are the same, and a launch less", async () => {
    const [own, planned] = [await attend({ lengths }), await attend({ lengths, planned: true })];
    expectSame(planned.out, own.out, { shape: own.shape });
    expect(own.launches).toBe(3); // plan, tiles of 32 rows, tiles of 16
    expect(planned.launches).toBe(2);
  });
});
