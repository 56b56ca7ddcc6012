/**
 * Runs one literal case table on every device that is present and lists, with the reason, what a device skips. A case
 * is a plain object; its parameters are part of the test title, so a failing case prints them.
 *
 * Each case gets its own stream: a case that poisons the stream on purpose cannot reach the next one.
 */
import { afterAll, beforeAll, describe, test } from "vitest";
import { Device, type DeviceName, type DeviceOptions } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { Tensor } from "../../lib/device/tensor.js";
import { expectBits } from "./bits.js";
import { toStorage, type FloatDType } from "./dtype.js";

/** The devices a table can run on; "cuda" stands for any "cuda:N". */
export type TestDevice = "cpu" | "simt" | "cuda";

const testDevices: readonly TestDevice[] = ["cpu", "simt", "cuda"];

export interface OpCase {
  /** Short and unique in its table; a regression case is named after what was wrong. */
  readonly name: string;
  /** Devices that do not run this case, each with the reason. */
  readonly skip?: Partial<Readonly<Record<TestDevice, string>>>;
  /** Environment variables that are read when a stream is created: they choose the kernel. */
  readonly environment?: Readonly<Record<string, string>>;
}

const gpuKernels = { cpu: "it has one kernel" };

/** The same cases on one kernel of an op, of those that a GPU has. */
export function onKernel<Case extends OpCase>(op: string, kernel: string, cases: readonly Case[]): Case[] {
  const skip = kernel === "hopper" ? { ...gpuKernels, cuda: "not every GPU has it" } : gpuKernels;
  const environment = { WARPLOOP_KERNEL: `${op}:${kernel}` };
  return cases.map((one) => ({ ...one, name: `${one.name}, ${kernel}`, skip, environment }));
}

const floatDTypes: readonly FloatDType[] = ["f32", "bf16", "f16"];

/** The same cases in each float dtype, f32 first. */
export function inEachDType<Case extends object>(
  cases: readonly (Case & OpCase)[],
): (Case & OpCase & { readonly dtype: FloatDType })[] {
  return cases.flatMap((one) => floatDTypes.map((dtype) => ({ ...one, dtype })));
}

/** What a case works with: a stream of the device and conversions from and to float64. */
export class OpContext {
  readonly #read: Float64Array[] = [];
  readonly #padded: { readonly whole: Tensor; readonly before: number; readonly width: number }[] = [];

  constructor(
    readonly deviceName: TestDevice,
    readonly device: Device,
    readonly stream: Stream,
  ) {}

  /** A contiguous device tensor holding `values` in `dtype` (rounded to nearest). */
  tensor(dtype: FloatDType, shape: readonly number[], values: Float64Array, stream = this.stream): Tensor {
    return stream.fromArray(dtype, shape, toStorage(dtype, values));
  }

  /**
   * The same values as a view with strided rows: `before` and `after` NaN elements surround each row of the last axis. The rows
   * are misaligned, a read outside the view shows up as NaN in the result, and a write outside it fails the case.
   */
  stridedRows(
    dtype: FloatDType,
    shape: readonly number[],
    values: Float64Array,
    { before, after }: { readonly before: number; readonly after: number },
  ): Tensor {
    const width = shape.at(-1)!;
    const paddedWidth = before + width + after;
    const rows = shape.slice(0, -1).reduce((product, size) => product * size, 1);
    const padded = new Float64Array(rows * paddedWidth).fill(NaN);
    for (let r = 0; r < rows; r++)
      padded.set(values.subarray(r * width, (r + 1) * width), r * paddedWidth + before);
    const whole = this.tensor(dtype, [...shape.slice(0, -1), paddedWidth], padded);
    this.#padded.push({ whole, before, width });
    return whole.slice(-1, before, before + width);
  }

  /** An i32 device tensor. */
  integers(shape: readonly number[], values: Int32Array | readonly number[]): Tensor {
    return this.stream.fromArray("i32", shape, Int32Array.from(values));
  }

  /** All elements of a tensor of a float dtype or i32, exactly, also of a strided view. */
  async read(tensor: Tensor): Promise<Float64Array> {
    const { shape, strides } = tensor;
    if (tensor.numel === 0) return new Float64Array(0);
    const span = 1 + shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0);
    const memory = Tensor.packed(tensor.memory, tensor.dtype, [span], tensor.byteOffset);
    const elements =
      tensor.dtype === "i32" ? await memory.read(this.stream) : await memory.readFloat32(this.stream);

    const values = Float64Array.from({ length: tensor.numel }, (_, i) => {
      let rest = i;
      let offset = 0;
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        offset += (rest % shape[axis]!) * strides[axis]!;
        rest = Math.floor(rest / shape[axis]!);
      }
      return elements[offset]!;
    });
    this.#read.push(values);
    return values;
  }

  /** Everything that a case has read, in order. */
  get results(): readonly Float64Array[] {
    return this.#read;
  }

  /** All elements of an i32 tensor. */
  async readIntegers(tensor: Tensor): Promise<Int32Array> {
    return Int32Array.from(await this.read(tensor));
  }

  /** Throws if an op has written outside a view of `stridedRows`; `describeOp` calls it after each case. */
  async checkPadding(): Promise<void> {
    for (const { whole, before, width } of this.#padded) {
      const paddedWidth = whole.size(-1);
      const values = await this.read(whole);
      const written = values.findIndex((value, i) => {
        const column = i % paddedWidth;
        return (column < before || column >= before + width) && !Number.isNaN(value);
      });
      if (written < 0) continue;
      const row = Math.floor(written / paddedWidth);
      throw new Error(
        `wrote outside a strided view: row ${row}, column ${(written % paddedWidth) - before} of ${width}`,
      );
    }
  }
}

/**
 * The device of tests that need any: the CPU where the addon has it, else the one it has; WARPLOOP_TEST_DEVICE names
 * another, for example "cuda".
 */
export function openTestDevice(options: DeviceOptions = {}): Device {
  return Device.open(testDeviceName(), options);
}
export function testDeviceName(): DeviceName {
  return (process.env["WARPLOOP_TEST_DEVICE"] ?? Device.available().at(-1)!) as DeviceName;
}

/** Calls `run` with variables of the environment set: those for diagnostics are read when a stream is created. */
export function withEnvironment<T>(variables: Readonly<Record<string, string>>, run: () => T): T {
  const before = Object.keys(variables).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, variables);
  try {
    return run();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

/** Declares one test per device and case; see the header. */
export function describeOp<Case extends OpCase>(
  op: string,
  cases: readonly Case[],
  run: (context: OpContext, testCase: Case) => Promise<void>,
): void {
  const present = Device.available();
  for (const deviceName of testDevices) {
    const name = present.find((candidate) => candidate.split(":")[0] === deviceName);
    if (name === undefined) {
      test.skip(`${op} on ${deviceName}: the device is not present`, () => undefined);
      continue;
    }
    describe(`${op} on ${deviceName}`, () => {
      let device: Device;
      beforeAll(() => {
        device = Device.open(name);
      });
      afterAll(() => device.dispose());
      for (const testCase of cases) declareCase(op, deviceName, () => device, testCase, run);
    });
  }
}

function declareCase<Case extends OpCase>(
  op: string,
  deviceName: TestDevice,
  device: () => Device,
  testCase: Case,
  run: (context: OpContext, testCase: Case) => Promise<void>,
): void {
  const title = caseTitle(testCase);
  const reason = testCase.skip?.[deviceName];
  if (reason !== undefined) {
    test.skip(`${title}: skipped, ${reason}`, () => undefined);
    return;
  }
  test(title, async () => {
    const stream = withEnvironment(testCase.environment ?? {}, () => device().createStream());
    const scope = stream.scope();
    try {
      const context = new OpContext(deviceName, device(), stream);
      await run(context, testCase);
      expectBits(device(), `${op}: ${title}`, context.results);
      await context.checkPadding();
    } finally {
      scope.close();
      await stream.dispose();
    }
  });
}

/** "name { T: 3, dtype: bf16 }": every parameter of the case, long arrays shortened. */
function caseTitle(testCase: OpCase): string {
  const parameters = Object.entries(testCase)
    .filter(
      ([key, value]) =>
        key !== "name" && key !== "skip" && key !== "environment" && typeof value !== "function",
    )
    .map(([key, value]) => `${key}: ${formatValue(value)}`);
  return parameters.length === 0 ? testCase.name : `${testCase.name} { ${parameters.join(", ")} }`;
}

function formatValue(value: unknown): string {
  if (Array.isArray(value) || ArrayBuffer.isView(value)) {
    const items = Array.from(value as ArrayLike<unknown>);
    const shown = items.slice(0, 12).map(formatValue).join(", ");
    return `[${shown}${items.length > 12 ? `, ... ${items.length} in all` : ""}]`;
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
