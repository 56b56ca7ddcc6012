// Contract: what is wrong with the arguments of mlaAttention is named, at once or, where only the device can see it, from the next wait
// on the stream.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { ExecutionError } from "../../lib/errors.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { mlaAttention, type MlaAttentionOptions } from "../../lib/ops/mlaAttention.js";
import { openTestDevice } from "../support/devices.js";

const good = { table: [0, 1, 1, 0], rows: [0, 1], cu: [0, 1, 3], lens: [5, 8] };

interface Changes extends Partial<typeof good> {
  readonly latent?: number;
  readonly width?: number;
  readonly pagesWidth?: number;
  readonly heads?: number;
  readonly out?: readonly number[];
  readonly lse?: readonly number[];
  readonly scale?: number;
  readonly maxQueries?: number;
  /** Of chosen tokens, [T, columns]; one that is left out is 0. */
  readonly indices?: {
    readonly dims?: readonly number[];
    readonly values?: readonly number[];
    readonly dtype?: "f32";
  };
  /** Of the plan, which the call gets. */
  readonly plan?: { readonly latent?: number; readonly maxQueries?: number };
}

let device: Device;
beforeAll(() => {
  device = openTestDevice();
});
afterAll(() => device.dispose());

function call(stream: Stream, changes: Changes = {}) {
  const { table, rows, cu, lens } = { ...good, ...changes };
  const { latent = 48, width = 80, pagesWidth = width, heads = 2, out, lse, scale = 1, maxQueries } = changes;
  const integers = (dims: readonly number[], values: readonly number[]) =>
    stream.fromArray("i32", dims, Int32Array.from(values));
  const sequences = [
    integers([2, 2], table),
    integers([rows.length], rows),
    integers([cu.length], cu),
    integers([lens.length], lens),
  ] as const;
  const sizes = { numQueries: 3, numHeads: heads, numKvHeads: 1, headDim: width, pageSize: 4 } as const;
  const plan =
    changes.plan &&
    attentionPlan(stream, ...sequences, { ...sizes, valueDim: latent, ...changes.plan, dtype: "f32" });
  const options: MlaAttentionOptions = { latent, scale, maxQueries, plan };
  const { dims = [3, 2], values = [], dtype } = changes.indices ?? {};
  const size = dims.reduce((a, b) => a * b, 1);
  const indices =
    dtype === "f32"
      ? stream.empty("f32", dims)
      : integers(
          dims,
          Array.from({ length: size }, (_, i) => values[i] ?? 0),
        );
  return mlaAttention(
    stream,
    device.empty("f32", [3, heads, width]),
    device.empty("f32", [2, 4, pagesWidth]),
    ...sequences,
    {
      ...options,
      ...(out && { out: device.empty("f32", out) }),
      ...(lse && { lse: device.empty("f32", lse) }),
      ...(changes.indices && { indices }),
    },
  );
}

describe("mlaAttention: errors", () => {
  test("good arguments pass, also with their plan", async () => {
    const stream = device.createStream();
    call(stream);
    call(stream, { plan: { latent: 48 } });
    call(stream, { latent: 512, width: 576 });
    call(stream, { indices: { values: [4, -1, 6, 0, 7, 7] } });
    await stream.synchronize();
  });

  test.each<[string, Changes, string]>([
    ["a latent width", { latent: 40 }, "latent: expected a latent width R"],
    ["a latent width of nothing", { latent: 0 }, "latent: expected a latent width R"],
    ["a wide latent", { latent: 528, width: 576 }, "latent: expected a latent width R"],
    ["no rotated columns", { latent: 80 }, "latentPages: expected a width R + Dr"],
    ["a width", { width: 72 }, "latentPages: expected a width R + Dr"],
    ["a large width", { latent: 512, width: 592 }, "latentPages: expected a width R + Dr"],
    ["pages of another width", { pagesWidth: 96 }, "latentPages: expected [P, Ps, R+Dr=80]"],
    ["no heads", { heads: 0 }, "q: expected at least one head"],
    ["a result of other widths", { out: [3, 2, 64] }, "out: expected the width R that latent says"],
    ["lse of other heads", { lse: [3, 1] }, "lse: expected [T=3, Hq=2]"],
    ["an infinite scale", { scale: Infinity }, "scale: expected a finite number"],
    ["columns of other queries", { indices: { dims: [2, 2] } }, "indices: expected [T=3, topK]"],
    ["no columns", { indices: { dims: [3, 0] } }, "indices: expected at least one column"],
    ["columns of f32", { indices: { dtype: "f32" } }, "indices: expected dtype i32"],
    ["a plan of chosen tokens", { indices: {}, plan: { latent: 48 } }, "plan: expected none"],
    ["starts", { cu: [0, 3] }, "cuSeqlensQ: expected one element more than rows"],
    ["lengths", { lens: [5] }, "contextLens: expected [B=2]"],
  ])("%s: named at once", (_, changes, message) => {
    const stream = device.createStream();
    expect(() => call(stream, changes)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(`mlaAttention: ${message}`) as string }),
    );
  });

  test.each<[string, Changes, RegExp]>([
    ["page too large", { table: [0, 2, 1, 0] }, /page 2 of token 4 is outside/],
    ["page negative", { table: [0, 1, -1, 0] }, /page -1 of token [0-3] is outside/],
    ["row too large", { rows: [0, 2] }, /rows\[1\] = 2/],
    ["context longer than the table", { lens: [5, 9] }, /contextLens\[1\] = 9/],
    ["context shorter than the queries", { lens: [5, 1] }, /contextLens\[1\] = 1/],
    ["cuSeqlensQ short of q", { cu: [0, 1, 2] }, /the sequences have 2 queries, q has 3/],
    ["more queries than maxQueries", { maxQueries: 1 }, /sequence 1 has 2 queries, maxQueries is 1/],
    ["a token behind its query", { indices: { values: [5] } }, /indices\[0\] has token 5, outside \[-1, 5\)/],
    [
      "a token that another query sees",
      { indices: { values: [0, 0, 0, 7] } },
      /indices\[1\] has token 7, outside \[-1, 7\)/,
    ],
    ["a token that is none and not -1", { indices: { values: [0, -2] } }, /indices\[0\] has token -2/],
    ["the page of a chosen token", { indices: { values: [4] }, table: [0, 2, 1, 0] }, /page 2 of token 4/],
    ["chosen tokens of no row", { indices: {}, rows: [0, 2] }, /rows\[1\] = 2/],
    ["chosen tokens of too long a context", { indices: {}, lens: [5, 9] }, /contextLens\[1\] = 9/],
    ["chosen tokens, too few queries", { indices: {}, cu: [0, 1, 2] }, /have 2 queries, q has 3/],
    ["chosen tokens, starts that fall", { indices: {}, cu: [0, 3, 2] }, /cuSeqlensQ/],
    [
      "chosen tokens, many queries",
      { indices: {}, maxQueries: 1 },
      /sequence 1 has 2 queries, maxQueries is 1/,
    ],
    ["a plan of pagedAttention", { plan: {} }, /plan: made for another call: its latent is 0, not 1/],
    [
      "a plan with maxQueries",
      { plan: { latent: 48, maxQueries: 2 } },
      /plan: made for another call: its maxQueries is 2, not 0/,
    ],
  ])("%s: poisons the stream", async (_, changes, message) => {
    const stream = device.createStream();
    call(stream, changes);
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(message);
    await expect(stream.synchronize()).rejects.toThrow(/mlaAttention/);
  });
});

describe("attentionPlan with latent: errors", () => {
  const one = (stream: Stream, value: number) => stream.fromArray("i32", [1], Int32Array.of(value));
  test.each<[string, object, string]>([
    ["several KV heads", { numKvHeads: 2 }, "numKvHeads: expected 1, which all heads of latents share"],
    ["another value width", { valueDim: 64 }, "valueDim: expected as latent, or left out"],
    ["a latent width", { latent: 40 }, "latent: expected a latent width R"],
    ["a width", { headDim: 48 }, "headDim: expected a width R + Dr"],
  ])("%s: named at once", (_, changes, message) => {
    const stream = device.createStream();
    const sizes = { numQueries: 1, numHeads: 2, numKvHeads: 1, headDim: 80, latent: 48, pageSize: 4 };
    const table = stream.fromArray("i32", [1, 1], Int32Array.of(0));
    const cu = stream.fromArray("i32", [2], Int32Array.of(0, 1));
    expect(() =>
      attentionPlan(stream, table, one(stream, 0), cu, one(stream, 1), {
        ...sizes,
        ...{ dtype: "f32" as const, ...changes },
      }),
    ).toThrow(expect.objectContaining({ message: expect.stringContaining(message) as string }));
  });
});
