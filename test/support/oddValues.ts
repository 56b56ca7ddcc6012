/**
 * Values that a caller in plain JavaScript may pass by mistake, or to do harm: each is made anew, because some of them are
 * used up. `faultOf` tells what every public function has to give for them, if it gives an error at all.
 */
import { isTyped } from "../../lib/arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../../lib/errors.js";
import type { Stream } from "../../lib/device/stream.js";
import { Tensor } from "../../lib/device/tensor.js";

function throws(): never {
  throw new Error("a trap of the caller");
}

function detached(): Float32Array {
  const array = new Float32Array(4);
  structuredClone(array.buffer, { transfer: [array.buffer] });
  return array;
}

function revoked(target: object): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** A class whose instances are printed, named and converted by code that throws. */
class Hostile {
  get message(): string {
    return throws();
  }
  toString(): string {
    return throws();
  }
  toJSON(): string {
    return throws();
  }
  [Symbol.toPrimitive](): string {
    return throws();
  }
  get [Symbol.toStringTag](): string {
    return throws();
  }
}

/** Says that it has the size of [2, 4] f32, and throws when it is copied. */
class Lying extends Float32Array {
  static get [Symbol.species](): never {
    return throws();
  }
  override get byteLength(): number {
    return 32;
  }
  override get buffer(): never {
    return throws();
  }
}

export const oddValues: Readonly<Record<string, () => unknown>> = {
  null: () => null,
  NaN: () => NaN,
  Infinity: () => Infinity,
  "-1": () => -1,
  "0.5": () => 0.5,
  "2 ** 31": () => 2 ** 31,
  "2 ** 53": () => 2 ** 53,
  "1n": () => 1n,
  true: () => true,
  symbol: () => Symbol("x"),
  "lone surrogate": () => "\ud800",
  "empty string": () => "",
  text: () => "5",
  function: () => () => 1,
  object: () => ({}),
  array: () => [],
  "sparse array": () => [1, , 2],
  "array of symbols": () => [Symbol("x")],
  "array of null": () => [null],
  "object without prototype": () => Object.create(null) as object,
  date: () => new Date(NaN),
  map: () => new Map([[1, 2]]),
  promise: () => Promise.resolve(1),
  "throwing toString": () => new Hostile(),
  "throwing proxy": () =>
    new Proxy({}, { get: throws, ownKeys: throws, getPrototypeOf: throws, has: throws }),
  "throwing array": () => new Proxy([1, 2], { get: throws }),
  "array that throws a hostile error": () =>
    new Proxy([1], {
      get: () => {
        throw Object.create(new Hostile(), {});
      },
    }),
  "revoked proxy": () => revoked({}),
  "revoked array": () => revoked([]),
  "array with a throwing getter": () => Object.defineProperty([1], 0, { get: throws }),
  "object with a throwing getter": () => Object.defineProperty({}, "x", { get: throws, enumerable: true }),
  "no array": () => Object.create(Array.prototype) as object,
  "no Float32Array": () => Object.create(Float32Array.prototype) as object,
  "no Int32Array": () => Object.create(Int32Array.prototype) as object,
  "a Float32Array that lies about its size": () => new Lying(1000),
  "no signal": () => Object.create(AbortSignal.prototype) as object,
  BigInt64Array: () => new BigInt64Array(2),
  Float64Array: () => new Float64Array(2),
  DataView: () => new DataView(new ArrayBuffer(16)),
  "detached array": detached,
  "shared array": () => new Int32Array(new SharedArrayBuffer(16)),
};

/** What belongs somewhere in a call of an op, in a wrong place. */
export function oddValuesOfStreams(stream: Stream): Readonly<Record<string, () => unknown>> {
  const closed = stream.device.empty("f32", [2, 4]);
  closed.dispose();
  return {
    stream: () => stream,
    "closed tensor": () => closed,
    memory: () => closed.memory,
    "tensor of no axes": () => stream.device.empty("f32", []),
    "proxy of a tensor": () => new Proxy(stream.device.empty("f32", [2, 4]), {}),
    "made without a constructor": () => Object.create(Tensor.prototype) as object,
    dtype: () => "float32",
    "other spelling of a dtype": () => "BF16",
    undefined: () => undefined,
  };
}

/** What `result` of a generation, or the promise itself, gives. */
async function settled(value: unknown): Promise<unknown> {
  const isGeneration = typeof value === "object" && value !== null && "result" in value;
  return isGeneration ? (value as { result: () => Promise<unknown> }).result() : value;
}

/**
 * A short text about the error of a call that is not typed, or that blames an argument without naming it, and undefined for all
 * that is well.
 *
 * @param argument its name, or a pattern for it; undefined where several could be named
 */
export async function faultOf(call: () => unknown, argument?: string): Promise<string | undefined> {
  try {
    await settled(call());
    return undefined;
  } catch (error) {
    if (!isTyped(error) || !/^ERR_[A-Z_]+$/.test((error as { code: string }).code)) return textOf(error);
    const { message } = error as Error;
    const blames = error instanceof ArgumentTypeError || error instanceof ArgumentRangeError;
    const isNamed = argument === undefined || new RegExp(`(?<!\\w)(${argument})(?!\\w)`).test(message);
    return blames && !isNamed ? `does not name ${argument}: ${message}` : undefined;
  }
}

function textOf(error: unknown): string {
  try {
    return `untyped: ${String(error).slice(0, 120)}`;
  } catch {
    return "an error that cannot be printed";
  }
}

export type Call = (...args: never[]) => unknown;

/**
 * What is wrong with the errors of a call in which one argument after the other is each odd value.
 *
 * @param valid a call that works: its arguments by name, in their order
 */
export async function faultsOf(call: Call, valid: Readonly<Record<string, unknown>>): Promise<string[]> {
  const found: string[] = [];
  for (const name of Object.keys(valid)) {
    for (const [label, make] of Object.entries(oddValues)) {
      const args = Object.entries(valid).map(([other, value]) => (other === name ? make() : value));
      const fault = await faultOf(() => (call as (...args: unknown[]) => unknown)(...args), name);
      if (fault !== undefined) found.push(`${name} = ${label}: ${fault}`);
    }
  }
  return found;
}

/** Methods of a class, as its prototype has them. */
export const methodsOf = (type: { readonly prototype: object }): string[] =>
  Object.entries(Object.getOwnPropertyDescriptors(type.prototype))
    .filter(([name, { value }]) => name !== "constructor" && typeof value === "function")
    .map(([name]) => name)
    .sort();

/** A short text about a call whose error is not typed or does not begin with `begin`; undefined for all that is well. */
export function opFaultOf(call: () => unknown, begin: RegExp): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    if (!isTyped(error)) return "an untyped error";
    const { message } = error as Error;
    return begin.test(message) ? undefined : message;
  }
}

/** Code and message of the error that a call throws; "none" of one that throws nothing. */
export function messageOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as Error).message}`;
  }
  return "none";
}
