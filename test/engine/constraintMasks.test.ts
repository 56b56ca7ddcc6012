// Contract: before any mask of a step is made all constraints that take long are through, on other threads at once; a request whose constraint fails
// is told alone, and one that has ended while others were waited for is not asked any more.
import { expect, it } from "vitest";
import type { Constraint } from "../../lib/engine/constraint.js";
import { constraintMasks } from "../../lib/engine/constraintMasks.js";
import type { SpecMap } from "../../lib/engine/packStep.js";
import type { RequestSpec } from "../../lib/engine/requestSpec.js";
import { inTurns } from "../../lib/eventLoop.js";
import type { Request } from "../../lib/schedule/request.js";
import type { ScheduledStep } from "../../lib/schedule/scheduledStep.js";

const vocabSize = 40;

/** What the masks look at of a request. */
interface Asked {
  readonly id: string;
  status: string;
  readonly discarded: number;
  readonly params: { readonly stopTokenIds?: ReadonlySet<number> };
  readonly tokens: readonly number[];
  readonly maxLength: number;
}

class Step {
  readonly log: string[] = [];
  readonly failed: string[] = [];
  readonly requests: Asked[] = [];
  readonly #specs = new Map<Asked, Partial<RequestSpec>>();

  /** @param prepare what the constraint's does; none: a request without a constraint */
  add(prepare?: () => Promise<void> | undefined, params: Asked["params"] = {}, isAccepting = false): Asked {
    const id = `r${this.requests.length}`;
    const request: Asked = { id, status: "running", discarded: 0, params, tokens: [], maxLength: 9 };
    const constraint: Constraint = {
      vocabSize,
      isAccepting,
      prepare: () => {
        this.log.push(`prepare ${id}`);
        return prepare!();
      },
      forcedTokens: () => [],
      fillMask: (words) => {
        this.log.push(`fill ${id}`);
        words.fill(0)[0] = 1 << Number(id.slice(1));
        return true;
      },
      accept: () => true,
      rollback: () => undefined,
    };
    const sampling = { logitBias: { ids: [] } } as unknown as RequestSpec["sampling"];
    this.requests.push(request);
    this.#specs.set(request, {
      sampling,
      report: {} as RequestSpec["report"],
      ...(prepare && { constraint }),
    });
    return request;
  }

  masks(): Promise<Int32Array> {
    const step = { samples: this.requests.map((request) => ({ sequence: { request } })) };
    const fail = ({ id }: Request, error: Error): void => {
      this.failed.push(`${id}: ${error.message}`);
      this.requests.find((one) => one.id === id)!.status = "finished";
    };
    const listener = { fail, jump: () => expect.unreachable() };
    const specs = this.#specs as unknown as SpecMap;
    return inTurns(constraintMasks(step as unknown as ScheduledStep, specs, listener), { isUrgent: true });
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve!: () => void;
  return { promise: new Promise((settle) => (resolve = settle)), resolve };
}

it("makes no mask before what takes long is through, whoever it belongs to", async () => {
  const step = new Step();
  const late = [deferred(), deferred()] as const;
  step.add(() => undefined);
  step.add(() => late[0].promise);
  step.add();
  step.add(() => late[1].promise);
  const masks = step.masks();
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(step.log).toEqual(["prepare r0", "prepare r1", "prepare r3"]); // both at once
  late[1].resolve();
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(step.log.length).toBe(3);
  late[0].resolve();
  expect([...(await masks)]).toEqual([1, 0, 2, 0, -1, -1, 8, 0]);
  expect(step.log.slice(3)).toEqual(["fill r0", "fill r1", "fill r3"]);
  expect(step.failed).toEqual([]);
});

it("lets what ends a text come where it may end, and nowhere else, though it be text", async () => {
  const step = new Step();
  const stopTokenIds = new Set([0, 1, 39, 99]);
  step.add(() => undefined, { stopTokenIds }, false); // whose mask has token 0
  step.add(() => undefined, { stopTokenIds }, true);
  expect([...(await step.masks())]).toEqual([0, 0, 3, 1 << 7]);
});

it("tells a request alone that its constraint fails, at once or later", async () => {
  const step = new Step();
  step.add(() => {
    throw new Error("at once");
  });
  step.add(() => Promise.reject(new Error("later")));
  step.add(() => undefined);
  expect([...(await step.masks())]).toEqual([-1, -1, -1, -1, 4, 0]);
  expect(step.failed).toEqual(["r0: at once", "r1: later"]);
  expect(step.log.slice(3)).toEqual(["fill r2"]);
});

it("asks no request that has ended meanwhile", async () => {
  const step = new Step();
  const late = deferred();
  const ended = step.add(() => undefined);
  step.add(() => late.promise);
  const masks = step.masks();
  await new Promise((resolve) => setTimeout(resolve, 10));
  ended.status = "finished";
  late.resolve();
  expect([...(await masks)]).toEqual([-1, -1, 2, 0]);
  expect(step.log).toEqual(["prepare r0", "prepare r1", "fill r1"]);
});
