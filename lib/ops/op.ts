/**
 * What every op does before and after its own work: a call from plain JavaScript with a wrong thing ends in a typed error that
 * says which argument of which op expects what and what it got. An op names its arguments once, in the call of `op`.
 *
 * Not responsible for dtypes, shapes and strides: those the addon checks, and it is the only authority for memory safety.
 */
import { checkNames, describe, isInstance, isTyped, readArguments } from "../arguments.js";
import { Stream } from "../device/stream.js";
import { otherDevice } from "../device/streamHandle.js";
import { Tensor } from "../device/tensor.js";
import { ArgumentRangeError, ArgumentTypeError, ClosedError } from "../errors.js";
import { accepts, type Kind, type RequiredKind, wrongArgument } from "./argumentKinds.js";

/** The options object of an op, its last argument. */
interface Options {
  readonly argument: string;
  readonly names: readonly string[];
  readonly kinds: readonly Kind[];
  readonly required: readonly string[];
}

interface Contract {
  readonly name: string;
  /** Of the arguments behind the stream, without the options. */
  readonly names: readonly string[];
  readonly kinds: readonly Kind[];
  readonly options: Options | undefined;
}

/** For each option of `O` its kind; one without `?` has to be `required`. */
type OptionKinds<O extends object> = {
  readonly [K in keyof O]-?: Record<never, never> extends Pick<O, K>
    ? Kind<Exclude<O[K], undefined>>
    : RequiredKind<O[K]>;
};

/** The options of an op. `argument` is what error messages call the object. */
export function optionsOf<O extends object>(kinds: OptionKinds<O>, argument = "options"): Options {
  const entries = Object.entries<Kind>(kinds);
  return {
    argument,
    names: entries.map(([name]) => name),
    kinds: entries.map(([, kind]) => kind),
    required: entries.filter(([, kind]) => kind.isRequired).map(([name]) => name),
  };
}

/**
 * An op that checks its arguments.
 *
 * @param kinds what the arguments behind the stream may be, by name and in their order
 * @param taken the options object behind them, if the op has one
 * @param body the op itself; it can rely on the types of what it gets
 */
export function op<F extends (stream: Stream, ...given: never[]) => unknown>(
  name: string,
  kinds: Readonly<Record<string, Kind>>,
  taken: Options | undefined,
  body: F,
): F {
  const contract = { name, names: Object.keys(kinds), kinds: Object.values(kinds), options: taken };
  const checked = (stream: Stream, ...given: never[]): unknown => {
    let start = -1;
    try {
      if (fits(contract, stream, given)) {
        start = stream.results.begin();
        const result = body(stream, ...given);
        stream.results.returned();
        return result;
      }
    } catch (error) {
      if (start >= 0) stream.results.failed(start);
      throw wrongCall(contract, stream, given) ?? typed(contract, given, error);
    }
    throw wrongCall(contract, stream, given) ?? typed(contract, given, undefined);
  };
  Object.defineProperty(checked, "name", { value: name });
  return checked as F;
}

/** Whether every argument is of its kind. This is in the way of every op call: it allocates nothing and says nothing. */
function fits({ kinds, options: taken }: Contract, stream: unknown, given: readonly unknown[]): boolean {
  if (!Stream.isOpen(stream)) return false;
  const count = kinds.length;
  for (let i = 0; i < count; i++) if (!accepts(kinds[i] as Kind, given[i])) return false;
  const last = given[count];
  if (last === undefined) return given.length <= count + 1 && !taken?.required.length;
  return taken !== undefined && given.length === count + 1 && fitsOptions(taken, last);
}

function fitsOptions(taken: Options, value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const object = value as Readonly<Record<string, unknown>>;
  for (const name in object) if (!fitsOption(taken, name, object[name])) return false;
  for (let i = 0; i < taken.required.length; i++)
    if (object[taken.required[i] as string] === undefined) return false;
  return true;
}

function fitsOption({ names, kinds }: Options, name: string, value: unknown): boolean {
  for (let i = 0; i < names.length; i++)
    if (names[i] === name) return value === undefined || accepts(kinds[i] as Kind, value);
  return false;
}

/** What is wrong with a call that did not fit or that failed; undefined when its arguments are all of their kinds. */
function wrongCall(contract: Contract, stream: unknown, given: readonly unknown[]): Error | undefined {
  const { name, names, kinds, options: taken } = contract;
  try {
    if (!Stream.is(stream))
      return new ArgumentTypeError(`${name}: stream: expected a Stream, got ${describe(stream)}`);
    if (!Stream.isOpen(stream)) return new ClosedError("", `${name}: stream: this Stream is closed`);
    names.forEach((argument, i) => {
      requireKind(`${name}: ${argument}`, kinds[i] as Kind, given[i], stream);
    });
    if (taken) requireOptions(name, taken, given[names.length], stream);
    const most = names.length + (taken ? 1 : 0);
    if (given.length > most) throw new ArgumentTypeError(tooMany(name, most, given));
    return undefined;
  } catch (error) {
    return error as Error; // all that the functions above throw is typed
  }
}

function tooMany(name: string, most: number, given: readonly unknown[]): string {
  const extra = describe(given[most]);
  return `${name}: expected ${most} arguments behind the stream, got ${given.length}; the first too many is ${extra}`;
}

function requireKind(what: string, kind: Kind, value: unknown, stream: Stream): void {
  if (!readArguments(what, () => accepts(kind, value))) throw wrongArgument(what, kind, value);
  if (Tensor.is(value) && value.device !== stream.device)
    throw otherDevice(what, value.device, stream.device);
}

function requireOptions(name: string, taken: Options, value: unknown, stream: Stream): void {
  const what = `${name}: ${taken.argument}`;
  if (value === undefined && taken.required.length === 0) return;
  const isObject =
    typeof value === "object" && value !== null && !isInstance<readonly unknown[]>(value, Array);
  if (!isObject || Tensor.is(value) || Stream.is(value)) {
    const needed = taken.required.length > 0 ? ` with ${taken.required.join(", ")}` : "";
    throw new ArgumentTypeError(`${what}: expected an options object${needed}, got ${describe(value)}`);
  }
  const object = value as Readonly<Record<string, unknown>>;
  readArguments(what, () => {
    const given: Record<string, true> = {};
    for (const option in object) given[option] = true; // inherited ones, too, as in `fits`
    checkNames(name, given, taken.names);
  });
  taken.names.forEach((option, i) => {
    const given = readArguments(`${name}: ${option}`, () => object[option]);
    const kind = taken.kinds[i] as Kind;
    if (given !== undefined || kind.isRequired) requireKind(`${name}: ${option}`, kind, given, stream);
  });
}

/**
 * The error of a call whose arguments are of their kinds: that of the addon, which names op and argument; or one about a shape that
 * the result would have, which names neither; or one of the caller's own code.
 */
function typed({ name, names }: Contract, given: readonly unknown[], error: unknown): unknown {
  if (!isTyped(error))
    return new ArgumentTypeError(`${name}: an argument cannot be read`, undefined, { cause: error });
  const { message } = error as Error;
  const isOfArgument = isInstance(error, ArgumentRangeError) || isInstance(error, ArgumentTypeError);
  if (!isOfArgument || message.startsWith(`${name}: `)) return error;
  const shapes = names.flatMap((argument, i) => {
    const value = given[i];
    return Tensor.is(value) ? [`${argument} [${value.shape.join(", ")}]`] : [];
  });
  return new ArgumentRangeError(
    [name, ...(shapes.length > 0 ? [shapes.join(", ")] : []), message].join(": "),
  );
}
