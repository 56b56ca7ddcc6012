// Contract: a request is "run tokens [cachedLen, deviceLen)": it never runs zero tokens, never plans beyond its limit, and
// refuses prompts and limits that are no token ids or counts.
import { describe, expect, test } from "vitest";
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

test("findProblems names lengths that disagree", () => {
  const request = running(10, 20);
  expect(request.findProblems(16)).toEqual([]);
  request.inFlight = 1;
  expect(request.findProblems(16)).toEqual(["request r: deviceLen 10 != 10 known + 1 in flight"]);
  Object.assign(request, { inFlight: 0, cachedLen: 9 });
  expect(request.findProblems(16)).toEqual(["request r: cachedLen 9 in 0 pages"]);
});
