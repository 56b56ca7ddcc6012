/**
 * Contract: the Hopper kernel of pagedAttention is right however its tiles come into shared memory: pages that fill a tile, that
 * a tile fills, and neither; groups of heads that divide the rows of a tile, or do not. Whatever no query of a sequence sees is
 * NaN, and pages in front of a window are not even in the table. On the emulated GPU.
 */
import { describe, expect, test } from "vitest";
import { native } from "../../lib/device/native.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { pagedAttention as reference } from "../reference/pagedAttention.js";
import { expectClose, expectSame } from "../support/compare.js";
import { openTestDevice, withEnvironment } from "../support/devices.js";
import { toStorage } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { starts } from "../support/starts.js";

const onSimt = describe.skipIf(native.runLastBlocks === undefined);

interface Prompt {
  readonly lengths: readonly (readonly [queries: number, context: number])[];
  readonly Ps: number;
  readonly Hq?: number;
  readonly Hkv?: number;
  readonly Dh?: number;
  readonly Dv?: number;
  readonly window?: number;
  readonly scale?: number;
}

/** Pages at random places, NaN but for the tokens that some query sees. */
function makeCache({ lengths, Ps, Hkv = 1, Dh = 64, Dv = 64, window = 0 }: Prompt) {
  const random = new Random(41);
  const counts = lengths.map(([, context]) => Math.ceil(context / Ps));
  const [first, Pmax] = [starts(counts), Math.max(...counts) + 1];
  const P = first.at(-1)! + 2;
  const pages = new Random(43).permutation(P);
  const table = new Int32Array(lengths.length * Pmax).fill(-1);
  const [k, v] = [Dh, Dv].map((width) => new Float64Array(P * Ps * Hkv * width).fill(NaN)) as [
    Float64Array,
    Float64Array,
  ];
  for (const [b, [queries, context]] of lengths.entries()) {
    const seen = window > 0 ? Math.max(context - queries - window + 1, 0) : 0;
    for (let token = seen; token < context; token++) {
      const page = pages[first[b]! + Math.floor(token / Ps)]!;
      table[b * Pmax + Math.floor(token / Ps)] = page;
      const row = page * Ps + (token % Ps);
      for (const [to, width] of [
        [k, Hkv * Dh],
        [v, Hkv * Dv],
      ] as const)
        to.set(random.normal(width, { dtype: "bf16" }), row * width);
    }
  }
  return { P, Pmax, table, k, v };
}

/** The result of `prompt`, in bf16, and what it should be. */
async function attend(prompt: Prompt, { kernel = "hopper", planned = false, maxQueries = 0 } = {}) {
  const { lengths, Ps, Hq = 2, Hkv = 1, Dh = 64, Dv = 64, window = 0, scale = 0.2 } = prompt;
  await using device = openTestDevice();
  const stream = withEnvironment({ WARPLOOP_KERNEL: `pagedAttention:${kernel}` }, () =>
    device.createStream(),
  );
  const { P, Pmax, table, k, v } = makeCache(prompt);
  const cu = starts(lengths.map(([queries]) => queries));
  const contexts = Int32Array.from(lengths, ([, context]) => context);
  const rows = Int32Array.from(lengths, (_, b) => b);
  const [T, B] = [cu.at(-1)!, lengths.length];
  const q = new Random(42).normal(T * Hq * Dh, { dtype: "bf16" });
  const tensor = (shape: number[], values: Float64Array) =>
    stream.fromArray("bf16", shape, toStorage("bf16", values));
  const integers = (shape: number[], values: Int32Array) => stream.fromArray("i32", shape, values);
  const sequences = [
    integers([B, Pmax], table),
    integers([B], rows),
    integers([B + 1], cu),
    integers([B], contexts),
  ] as const;
  const shape = { numQueries: T, numHeads: Hq, numKvHeads: Hkv, headDim: Dh, valueDim: Dv, pageSize: Ps };
  const plan = planned
    ? attentionPlan(stream, ...sequences, { ...shape, window, maxQueries, dtype: "bf16" })
    : undefined;
  const lse = stream.empty("f32", [T, Hq]);
  const trace = stream.trace();
  const out = pagedAttention(
    stream,
    tensor([T, Hq, Dh], q),
    tensor([P, Ps, Hkv, Dh], k),
    tensor([P, Ps, Hkv, Dv], v),
    ...sequences,
    { window, scale, lse, maxQueries, ...(plan && { plan }) },
  );
  const launches = (await trace.end()).find(({ op }) => op === "pagedAttention")!.launches;
  const sizes = { Hq, Hkv, Dh, Dv, Ps, Pmax };
  return {
    launches,
    out: await out.readFloat32(stream),
    lse: await lse.readFloat32(stream),
    expected: reference(q, k, v, table, rows, cu, contexts, sizes, { window, scale }),
    shape: [T, Hq, Dv],
    reduction: Math.max(...contexts) + Dh,
  };
}

async function expectRight(prompt: Prompt, planned = false): Promise<void> {
  const { out, lse, expected, shape, reduction } = await attend(prompt, { planned });
  expectClose(out, expected.out, { dtype: "bf16", intermediate: "bf16", shape, reduction });
  if (prompt.scale === 0) return; // the kernel takes the least scale that has a sign
  expectClose(lse, expected.lse, { dtype: "f32", shape: shape.slice(0, 2), reduction, label: "lse" });
}

/** Tiles that end in a page, in a box, with the sequence; narrow, middle and wide, with one consumer and both, and several. */
const lengths = [
  [17, 17],
  [70, 133],
  [40, 300],
  [1, 129],
  [150, 260],
] as const;

onSimt("pagedAttention on the Hopper kernel", () => {
  const pageSizes = [1, 7, 8, 16, 24, 32, 64, 96, 128, 256];
  test.each(pageSizes.flatMap((Ps) => [0, 50].map((window) => ({ Ps, window }))))(
    "pages: %o",
    async ({ Ps, window }) => expectRight({ lengths, Ps, window }),
  );

  const groups = [1, 2, 3, 4, 5, 8, 16, 20];
  test.each(groups.map((G) => ({ Hq: 2 * G, Hkv: 2, G })))("groups: %o", async ({ Hq, Hkv }) =>
    expectRight({
      lengths: [
        [20, 90],
        [3, 140],
        [30, 30],
      ],
      Ps: 16,
      Hq,
      Hkv,
    }),
  );

  test.each([
    [64, 64],
    [128, 128],
    [192, 128],
    [256, 256],
    [80, 48],
    [16, 240],
  ])("head widths: %i, %i", async (Dh, Dv) =>
    expectRight({
      lengths: [
        [20, 90],
        [70, 300],
      ],
      Ps: 16,
      Dh,
      Dv,
      window: 100,
    }),
  );

  // Packed rows of a sequence: at the ends of narrow tiles, of middle ones, and in them.
  const packedRows = [16, 17, 33, 63, 64, 65, 66, 72, 128, 129];
  test.each([1, 2, 5, 8].flatMap((G) => [0, 50].map((window) => ({ G, window }))))(
    "rows of a tile: %o",
    async ({ G, window }) => {
      const queries = [...new Set(packedRows.map((count) => Math.ceil(count / G)))];
      const prompts = queries.map((count, i) => [count, count + 37 * i] as const);
      await expectRight({ lengths: prompts, Ps: 16, Hq: G, window });
    },
  );

  test.each([0.2, 0, -0.2])("a scale of %f, both consumers", async (scale) =>
    expectRight({ lengths, Ps: 16, scale }),
  );
});

onSimt("pagedAttention on the Hopper kernel, spans", () => {
  test("with a plan made before", async () => {
    await expectRight({ lengths, Ps: 16, window: 50 }, true);
  });

  test("blocks with several items, of one consumer and of both", async () => {
    const mixed = Array.from(
      { length: 60 },
      (_, i) => [i % 3 === 1 ? 70 : 9 + (i % 20), 70 + 5 * i] as const,
    );
    await expectRight({ lengths: mixed, Ps: 16, Hq: 8, Hkv: 4, window: 40 }); // 320 items for 132 blocks
  });

  test("the last key is alone in its tile, span and page", async () => {
    await expectRight({
      lengths: [
        [20, 1025],
        [20, 1281],
      ],
      Ps: 128,
    });
  });

  test("gives the same bits however keys and queries are copied", async () => {
    const paged = [8, 16, 128, 7, 256].map((Ps) => attend({ lengths, Ps }));
    const [first, ...others] = await Promise.all(paged);
    for (const { out, shape } of others) expectSame(out, first!.out, { shape });
  });

  // Kinds of tiles, and what they are computed beside: sequences of all kinds.
  test.each([8, 32, 70])(
    "gives %i queries the same bits where blocks share their keys and where one has them all",
    async (queries) => {
      const mine = [queries, 1400] as const;
      const alone = await attend({ lengths: [mine], Ps: 16 });
      const others = Array.from({ length: 12 }, (_, i) => [[3, 30, 60][i % 3]!, 1400] as const);
      const beside = await attend({ lengths: [mine, ...others], Ps: 16 });
      expectSame(beside.out.subarray(0, alone.out.length), alone.out, { shape: alone.shape });
    },
  );
});

onSimt("pagedAttention on the Hopper kernel starts no kernel that has nothing to do:", () => {
  const repeated = (queries: number, count: number) =>
    Array.from({ length: count }, (_, i) => [queries, queries + 5 * i] as const);
  test.each([
    { name: "decodes", lengths: repeated(1, 32), maxQueries: 1, launches: 1 },
    { name: "decodes, not said to be that", lengths: repeated(1, 32), maxQueries: 0, launches: 3 },
    { name: "drafts", lengths: repeated(8, 4), maxQueries: 8, launches: 2 },
    { name: "a draft", lengths: repeated(8, 1), maxQueries: 0, launches: 2 },
    { name: "longer drafts", lengths: repeated(8, 4), maxQueries: 9, launches: 3 },
    { name: "a prompt", lengths: repeated(20, 1), maxQueries: 20, launches: 2 },
  ])("$name", async ({ lengths, maxQueries, launches }) => {
    const prompt = { lengths, Ps: 16, Hq: 8 };
    const said = await attend(prompt, { planned: true, maxQueries });
    const unsaid = await attend(prompt);
    expect(said.launches).toBe(launches);
    expectSame(said.out, unsaid.out, { shape: said.shape });
  });
});
