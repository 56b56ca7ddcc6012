// Contract: a request is "run tokens [cachedLen, deviceLen)": it never runs zero tokens, never plans beyond its limit, and
// refuses prompts and limits that are no token ids or counts.
import { describe, expect, test } from "vitest";
import { CacheGroup } from "../../lib/schedule/cacheGroup.js";
import { Request } from "../../lib/schedule/request.js";

function running(promptLength: number, maxLength: number): Request {
  const request = new Request("r", new Int32Array(promptLength), { maxTokens: 1000 });
  request.maxLength = maxLength;
  request.deviceLen = promptLength;
  request.status = "running";
  return request;
}

describe("advance", () => {
  test("a chunk that ends before deviceLen samples nothing", () => {
    const request = running(10, 20);
    expect(request.advance(9)).toBe(false);
    expect(request).toMatchObject({ cachedLen: 9, deviceLen: 10, inFlight: 0, remaining: 1 });
  });

  test("a chunk that reaches deviceLen samples, and the sampled token counts at once", () => {
    const request = running(10, 20);
    expect(request.advance(10)).toBe(true);
    expect(request).toMatchObject({ cachedLen: 10, deviceLen: 11, inFlight: 1, remaining: 1 });
    expect(request.advance(1)).toBe(true);
    expect(request).toMatchObject({ cachedLen: 11, deviceLen: 12, inFlight: 2 });
  });

  test("nothing remains once the last token that may be sampled is in flight", () => {
    const request = running(3, 4);
    request.advance(3);
    expect(request.remaining).toBe(0);
    expect(() => request.advance(1)).toThrow(expect.objectContaining({ code: "ERR_INTERNAL" }));
  });

  for (const count of [0, -1, 1.5, NaN, 11]) {
    test(`refuses to run ${count} of 10 tokens`, () => {
      expect(() => running(10, 20).advance(count)).toThrow(/cannot run/);
    });
  }
});

test("prompt logits are needed until each position has been planned, also after a preemption", () => {
  const request = new Request("r", [1, 2, 3, 4], { maxTokens: 5, promptLogits: true });
  Object.assign(request, { maxLength: 9, deviceLen: 4 });
  request.advance(3);
  expect(request).toMatchObject({ logitsPlanned: 3, needsPromptLogits: true });
  request.cachedLen = 0;
  request.advance(2);
  expect(request.logitsPlanned).toBe(3);
  request.advance(2);
  expect(request).toMatchObject({ logitsPlanned: 4, needsPromptLogits: false });
});

describe("constructor", () => {
  for (const prompt of [[], [-1], [1.5], [1, NaN], [2 ** 31]]) {
    test(`refuses the prompt [${prompt}]`, () => {
      expect(() => new Request("r", prompt, { maxTokens: 1 })).toThrow(
        expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }),
      );
    });
  }

  for (const maxTokens of [0, -1, 0.5, NaN, Infinity]) {
    test(`refuses maxTokens ${maxTokens}`, () => {
      expect(() => new Request("r", [1], { maxTokens })).toThrow(/maxTokens: expected an integer >= 1/);
    });
  }

  test("refuses maxTokens of another type", () => {
    const params = { maxTokens: "5" } as unknown as { maxTokens: number };
    expect(() => new Request("r", [1], params)).toThrow(TypeError);
  });

  test("copies the prompt", () => {
    const prompt = [1, 2];
    const request = new Request("r", prompt, { maxTokens: 1 });
    prompt[0] = 9;
    expect([...request.tokens]).toEqual([1, 2]);
  });
});

test("findProblems names lengths that disagree, and blocks that are missing or too many", () => {
  const [all, window] = [0, 4].map((size, i) => new CacheGroup(i, { window: size, pagesPerBlock: 2 }, 2, 3));
  const hold = (first: number, count: number) => {
    return { first, blocks: Array.from({ length: count }, (_, i) => i), sealed: 0, listed: 0 };
  };
  const request = running(10, 20);
  const find = (change: object) => Object.assign(request, change).findProblems([all!, window!]);
  expect(find({ held: [hold(0, 3), hold(0, 3)] })).toEqual([]);
  expect(find({ inFlight: 1 })).toEqual(["request r: deviceLen 10 != 10 known + 1 in flight"]);
  expect(find({ inFlight: 0, cachedLen: 9 })).toEqual([]);
  expect(find({ held: [hold(0, 3), hold(1, 2)] })).toEqual([]); // token 9 sees those from 6 on
  expect(find({ held: [hold(0, 2), hold(1, 1)] })).toEqual([
    "request r: group 0 holds tokens [0, 8) of 9",
    "request r: group 1 holds tokens [4, 8) of 9",
  ]);
  expect(find({ held: [hold(1, 2), hold(2, 2)] })).toEqual([
    "request r: group 0 holds tokens [4, 12) of 9",
    "request r: group 1 holds tokens [8, 16) of 9",
  ]);
  expect(find({ held: [hold(0, 3), hold(0, 4)] })).toEqual([
    "request r: group 1 holds tokens [0, 16) for a window of 4",
  ]);
});
