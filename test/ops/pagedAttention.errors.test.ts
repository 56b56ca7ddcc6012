// Contract: what is wrong with the arguments of pagedAttention is named, at once or, where only the device can see it, from the
// next wait on the stream.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import type { Stream } from "../../lib/device/stream.js";
import { openTestDevice } from "../support/devices.js";

describe("pagedAttention: errors", () => {
  const device = openTestDevice();
  const good = { table: [0, 1, 1, 0], rows: [0, 1], cu: [0, 1, 3], lens: [5, 8] };

  function call(
    stream: Stream,
    changes: Partial<typeof good> = {},
    shape: {
      Hkv?: number;
      Dv?: number;
      lse?: readonly number[];
      offsets?: readonly number[];
      maxQueries?: number;
    } = {},
  ) {
    const { table, rows, cu, lens } = { ...good, ...changes };
    const integers = (dims: readonly number[], values: readonly number[]) =>
      stream.fromArray("i32", dims, Int32Array.from(values));
    const { Hkv = 1, Dv = 16, lse, offsets, maxQueries } = shape;
    return pagedAttention(
      stream,
      device.empty("f32", [3, 2, 16]),
      device.empty("f32", [2, 4, Hkv, 16]),
      device.empty("f32", [2, 4, Hkv, Dv]),
      integers([2, 2], table),
      integers([rows.length], rows),
      integers([cu.length], cu),
      integers([lens.length], lens),
      {
        maxQueries,
        ...(lse && { lse: device.empty("f32", lse) }),
        ...(offsets && { queryOffsets: integers([offsets.length], offsets) }),
      },
    );
  }

  test("good arguments pass", async () => {
    const stream = device.createStream();
    call(stream);
    await stream.synchronize();
  });

  test("bad arguments name the argument", () => {
    const stream = device.createStream();
    const range = (message: RegExp) =>
      expect.objectContaining({ code: "ERR_ARGUMENT_RANGE", message: expect.stringMatching(message) });
    expect(() => call(stream, {}, { Hkv: 3 })).toThrow(range(/^pagedAttention: q: .*multiple of Hkv/));
    expect(() => call(stream, {}, { Dv: 24 })).toThrow(range(/^pagedAttention: v: .*multiple of 16/));
    expect(() => call(stream, { cu: [0, 3] })).toThrow(range(/^pagedAttention: cuSeqlensQ: /));
    expect(() => call(stream, { lens: [5] })).toThrow(range(/^pagedAttention: contextLens: /));
    expect(() => call(stream, {}, { lse: [3, 1] })).toThrow(range(/^pagedAttention: lse: .*Hq/));
    expect(() => call(stream, {}, { offsets: [3] })).toThrow(range(/^pagedAttention: queryOffsets: /));
  });

  test.each([
    ["page too large", { table: [0, 2, 1, 0] }],
    ["page negative", { table: [0, 1, -1, 0] }],
    ["row too large", { rows: [0, 2] }],
    ["row negative", { rows: [-1, 1] }],
    ["context longer than the table", { lens: [5, 9] }],
    ["context shorter than the queries", { lens: [5, 1] }],
    ["context negative", { lens: [-1, 8] }],
    ["cuSeqlensQ descending", { cu: [0, 3, 2] }],
    ["cuSeqlensQ beyond q", { cu: [0, 1, 4] }],
    ["cuSeqlensQ short of q", { cu: [0, 1, 2] }],
    ["cuSeqlensQ negative", { cu: [-1, 1, 2] }],
  ])("%s poisons the stream", async (_, changes) => {
    const stream = device.createStream();
    call(stream, changes);
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(/pagedAttention/);
  });

  test.each([
    ["behind", [2 ** 30 - 4, 0], /queryOffsets\[0\] = 1073741820/],
    ["before", [0, -(2 ** 31)], /queryOffsets\[1\] = -2147483648/],
  ])("a query too far %s poisons the stream", async (_, offsets, message) => {
    const stream = device.createStream();
    call(stream, {}, { offsets });
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(message);
  });

  test("a sequence of more queries than maxQueries poisons the stream", async () => {
    const stream = device.createStream();
    call(stream, {}, { maxQueries: 2 });
    await stream.synchronize();
    call(stream, {}, { maxQueries: 1 });
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(
      /pagedAttention: .*sequence 1 has 2 queries, maxQueries is 1/,
    );
  });

  test("with offsets a context may be shorter than its queries, or empty", async () => {
    const stream = device.createStream();
    call(stream, { lens: [0, 1] }, { offsets: [4, 0] });
    await stream.synchronize();
  });
});
