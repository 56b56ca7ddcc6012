// Contract: classes that come from a function refuse `new`, whatever it is given, and say which function to use.
import { describe, expect, it } from "vitest";
import * as warploop from "../lib/index.js";

const uses: Readonly<Record<string, string>> = {
  LLM: "LLM.load",
  Device: "Device.open",
  Stream: "device.createStream()",
  Tensor: "stream.fromArray",
  Memory: "device.allocate",
  Graph: "stream.capture",
  Trace: "stream.trace()",
  Scope: "stream.scope()",
  Tokenizer: "Tokenizer.load",
};
const all: Readonly<Record<string, unknown>> = { ...warploop };
const device = warploop.Device.open("cpu");
const memory = device.allocate(4);
// Memory can only be made by a device; its class is no value of the package.
const classes = { ...all, Memory: memory.constructor as unknown } as Readonly<
  Record<string, new (...args: unknown[]) => unknown>
>;

describe("new", () => {
  it.each(Object.keys(uses))("%s says what to use", (name) => {
    const given = [
      [],
      ["models/tiny-moe"],
      [{}, {}, {}],
      [memory, "f32", [1]],
      [Symbol("warploop"), device, 1],
    ];
    for (const args of given) {
      expect(() => new classes[name]!(...args)).toThrow(
        expect.objectContaining({
          code: "ERR_ARGUMENT_TYPE",
          message: expect.stringContaining(`new ${name}: use `) as string,
        }) as Error,
      );
      expect(() => new classes[name]!(...args)).toThrow(uses[name]);
    }
  });

  it("every class of the package is in the list or an error", () => {
    const found = Object.keys(all).filter((name) => /^[A-Z]/.test(name) && typeof all[name] === "function");
    const isError = (name: string) => Error.prototype.isPrototypeOf(classes[name]!.prototype as object);
    expect(found.length).toBeGreaterThan(10);
    expect(found.filter((name) => !isError(name) && !(name in uses))).toEqual([]);
  });
});
