// Contract: ropeTable builds the angles of every rope type of a Hugging Face config; checked against closed forms written
// here independently, at chosen positions and dimensions.
import { describe, expect, test } from "vitest";
import { ropeTable, type RopeScaling, type RopeTableOptions } from "../../lib/nn/ropeTable.js";

const base: RopeTableOptions = { rotaryDim: 64, theta: 10000, maxLength: 512, maxPositionEmbeddings: 256 };

/** The frequency of dimension i, recovered from position 1 (all angles there are below pi). */
function frequencies(scaling: RopeScaling | null, options: Partial<RopeTableOptions> = {}): number[] {
  const { table, rotaryDim, cosSinScale } = ropeTable({ ...base, ...options, scaling });
  const half = rotaryDim / 2;
  return Array.from({ length: half }, (_, i) =>
    Math.atan2(table[rotaryDim + half + i]! / cosSinScale, table[rotaryDim + i]! / cosSinScale),
  );
}

function expectFrequencies(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of actual.entries()) {
    expect(
      Math.abs(value - expected[i]!),
      `dimension ${i}: got ${value}, expected ${expected[i]}`,
    ).toBeLessThan(1e-6 * expected[i]!);
  }
}

const plain = frequencies(null);

describe("default", () => {
  test("row 0 is 32 ones and 32 zeros", () => {
    const { table } = ropeTable(base);
    expect([...table.subarray(0, 32)]).toEqual(new Array(32).fill(1));
    expect([...table.subarray(32, 64)]).toEqual(new Array(32).fill(0));
  });

  test.each([
    { position: 1, i: 0, frequency: 1 },
    { position: 100, i: 0, frequency: 1 },
    { position: 511, i: 16, frequency: 0.01 }, // 10000^(-1/2)
    { position: 300, i: 8, frequency: 0.1 }, // 10000^(-1/4)
    { position: 300, i: 24, frequency: 0.001 },
  ])("position $position, pair $i has frequency $frequency", ({ position, i, frequency }) => {
    const { table, maxLength, cosSinScale, softmaxScaleFactor } = ropeTable(base);
    expect(table).toHaveLength(512 * 64);
    expect({ maxLength, cosSinScale, softmaxScaleFactor }).toEqual({
      maxLength: 512,
      cosSinScale: 1,
      softmaxScaleFactor: 1,
    });
    expect(table[position * 64 + i]).toBeCloseTo(Math.cos(position * frequency), 6);
    expect(table[position * 64 + 32 + i]).toBeCloseTo(Math.sin(position * frequency), 6);
  });

  test("a position far out keeps float64 accuracy: float32 angles would be off by 1e-3", () => {
    const { table } = ropeTable({ ...base, rotaryDim: 4, theta: 1e6, maxLength: 100_001 });
    expect(table[100_000 * 4 + 1]).toBeCloseTo(Math.cos(100_000 / 1000), 7);
    expect(table[100_000 * 4]).toBeCloseTo(Math.cos(100_000), 7);
  });

  test("the smallest table: R = 2 turns by one radian per token", () => {
    const { table } = ropeTable({ ...base, rotaryDim: 2, maxLength: 2 });
    expect([...table]).toEqual([1, 0, Math.fround(Math.cos(1)), Math.fround(Math.sin(1))]);
  });

  test("pairs beyond R/2 are not turned, nor scaled", () => {
    const scaling = { rope_type: "yarn", factor: 4 };
    const own = ropeTable({ ...base, scaling });
    const { table, rotaryDim } = ropeTable({ ...base, scaling, pairs: 40 });
    expect(rotaryDim).toBe(80);
    const row = table.subarray(300 * 80, 301 * 80);
    const [cosines, sines] = [row.subarray(0, 40), row.subarray(40)];
    expect([...cosines.subarray(0, 32), ...sines.subarray(0, 32)]).toEqual([
      ...own.table.subarray(300 * 64, 301 * 64),
    ]);
    expect([...cosines.subarray(32)]).toEqual(new Array(8).fill(1));
    expect([...sines.subarray(32)]).toEqual(new Array(8).fill(0));
    expect(() => ropeTable({ ...base, pairs: 31 })).toThrow("pairs must be at least R/2 (32), got 31");
  });

  test.each([{ rope_type: "default" }, { type: "default" }, {}])("%o equals no scaling", (scaling) => {
    expect(ropeTable({ ...base, scaling }).table).toEqual(ropeTable(base).table);
  });
});

const llama3Fields = { low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 256 };

test.each([
  { rope_type: "linear", factor: 1 },
  { type: "linear", factor: 1 },
  { rope_type: "llama3", factor: 1, ...llama3Fields },
  { rope_type: "yarn", factor: 1 },
])("factor 1 equals default: %o", (scaling) => {
  expect(ropeTable({ ...base, scaling })).toEqual(ropeTable(base));
});

test("linear: position p turns as far as position p / factor does unscaled", () => {
  const scaled = ropeTable({ ...base, scaling: { rope_type: "linear", factor: 4 } }).table;
  expect(scaled.subarray(400 * 64, 401 * 64)).toEqual(ropeTable(base).table.subarray(100 * 64, 101 * 64));
});

describe("longrope", () => {
  const scaling = {
    ...{ rope_type: "longrope", original_max_position_embeddings: 64 },
    short_factor: plain.map((_, i) => 1 + i / 100),
    long_factor: plain.map((_, i) => 1 + i),
  };

  test("each pair has its factor: of the short list up to the trained length, of the long one beyond it", () => {
    const divided = (factors: readonly number[]) => plain.map((frequency, i) => frequency / factors[i]!);
    expectFrequencies(frequencies(scaling, { maxLength: 64 }), divided(scaling.short_factor));
    expectFrequencies(frequencies(scaling, { maxLength: 65 }), divided(scaling.long_factor));
  });

  test.each([
    {
      name: "256 / 64 over 64, whichever list",
      fields: {},
      scale: Math.sqrt(1 + Math.log(4) / Math.log(64)),
    },
    { name: "a factor", fields: { factor: 64 }, scale: Math.SQRT2 },
    { name: "no less than 1", fields: { factor: 0.5 }, scale: 1 },
    { name: "what the config says", fields: { factor: 64, attention_factor: 1.25 }, scale: 1.25 },
  ])("cosines and sines are scaled: $name", ({ fields, scale }) => {
    for (const maxLength of [64, 65]) {
      const { table, cosSinScale } = ropeTable({ ...base, maxLength, scaling: { ...scaling, ...fields } });
      expect(cosSinScale).toBeCloseTo(scale, 12);
      expect(table[0]).toBe(Math.fround(scale)); // the cosine of 0
    }
  });

  test.each(["short_factor", "long_factor", "original_max_position_embeddings"])("needs %s", (field) => {
    expect(() => ropeTable({ ...base, scaling: { ...scaling, [field]: undefined } })).toThrow(field);
  });
});

describe("dynamic", () => {
  const scaling = { rope_type: "dynamic", factor: 2 };

  test("a table within the trained length is not scaled", () => {
    const options = { ...base, maxLength: 256 };
    expect(ropeTable({ ...options, scaling }).table).toEqual(ropeTable(options).table);
  });

  test("the base is recomputed for the length of the table", () => {
    // L / L0 = 2: growth 2 * 2 - 1 = 3; the slowest pair slows by exactly that, (3^(R/(R-2)))^(-(R-2)/R).
    const scaled = frequencies(scaling);
    expect(scaled[0]).toBeCloseTo(1, 6);
    expect(plain[31]! / scaled[31]!).toBeCloseTo(3, 5);
  });

  test("original_max_position_embeddings is the trained length when present", () => {
    const scaled = frequencies({ ...scaling, original_max_position_embeddings: 128 });
    expect(plain[31]! / scaled[31]!).toBeCloseTo(2 * 4 - 1, 5);
  });

  test("R = 2 has one pair, whose frequency is 1 for every base", () => {
    expectFrequencies(frequencies(scaling, { rotaryDim: 2 }), [1]);
  });
});

describe("llama3", () => {
  const scaling = { rope_type: "llama3", factor: 8, ...llama3Fields };

  test("fast pairs stay, slow pairs are divided by the factor, the rest lie between", () => {
    const scaled = frequencies(scaling);
    const bands = { kept: 0, between: 0, divided: 0 };
    for (const [i, frequency] of plain.entries()) {
      const wavelength = (2 * Math.PI) / frequency;
      const ratio = scaled[i]! / frequency;
      if (wavelength < 256 / 4) {
        expect(ratio).toBeCloseTo(1, 6);
        bands.kept++;
      } else if (wavelength > 256) {
        expect(ratio).toBeCloseTo(1 / 8, 6);
        bands.divided++;
      } else {
        const smooth = (256 / wavelength - 1) / 3;
        expect(ratio).toBeCloseTo((1 - smooth) / 8 + smooth, 5);
        bands.between++;
      }
    }
    expect(bands).toEqual({ kept: 9, between: 4, divided: 19 });
  });

  test("a bad band or a missing field is a config error", () => {
    expectConfigError(
      { ...scaling, high_freq_factor: 1 },
      /high_freq_factor must be above low_freq_factor \(1\), got 1/,
    );
    expectConfigError({ rope_type: "llama3", factor: 8 }, /low_freq_factor is missing/);
  });
});

describe("yarn", () => {
  const scaling = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 256 };
  // Pair making n turns over 256 tokens: 32 ln(256 / (2 pi n)) / ln(10000); n = 32 -> 0.84, n = 1 -> 12.88.
  const low = (32 * Math.log(256 / (2 * Math.PI * 32))) / Math.log(10000);
  const high = (32 * Math.log(256 / (2 * Math.PI))) / Math.log(10000);

  test("limits: extrapolation below the ramp, interpolation above it, linear between whole dimensions", () => {
    expect([low, high].map((value) => Math.round(value * 100) / 100)).toEqual([0.84, 12.88]);
    const ramp = (i: number) => Math.min(Math.max((i - 0) / (13 - 0), 0), 1);
    expectFrequencies(
      frequencies(scaling),
      plain.map((frequency, i) => (frequency / 4) * ramp(i) + frequency * (1 - ramp(i))),
    );
  });

  test("truncate false keeps the fractional ramp", () => {
    const ramp = (i: number) => Math.min(Math.max((i - low) / (high - low), 0), 1);
    expectFrequencies(
      frequencies({ ...scaling, truncate: false }),
      plain.map((frequency, i) => (frequency / 4) * ramp(i) + frequency * (1 - ramp(i))),
    );
  });

  test("ramps outside the dimensions: huge betas interpolate every pair but the first, tiny ones none", () => {
    const allSlow = frequencies({ ...scaling, beta_fast: 1e6, beta_slow: 1e5 });
    expectFrequencies(
      allSlow.slice(1),
      plain.slice(1).map((frequency) => frequency / 4),
    );
    const allFast = frequencies({ ...scaling, beta_fast: 1e-4, beta_slow: 1e-5 });
    expectFrequencies(allFast, plain);
  });

  test.each([
    { fields: {}, cosSinScale: 0.1 * Math.log(4) + 1, softmaxScaleFactor: 1 },
    { fields: { attention_factor: 0.5 }, cosSinScale: 0.5, softmaxScaleFactor: 1 },
    {
      fields: { mscale: 0.707, mscale_all_dim: 0.707 },
      cosSinScale: 1,
      softmaxScaleFactor: (0.0707 * Math.log(4) + 1) ** 2,
    },
    {
      fields: { mscale: 1, mscale_all_dim: 0.5 },
      cosSinScale: (0.1 * Math.log(4) + 1) / (0.05 * Math.log(4) + 1),
      softmaxScaleFactor: (0.05 * Math.log(4) + 1) ** 2,
    },
  ])("attention factor of $fields", ({ fields, cosSinScale, softmaxScaleFactor }) => {
    const result = ropeTable({ ...base, scaling: { ...scaling, ...fields } });
    expect(result.cosSinScale).toBeCloseTo(cosSinScale, 12);
    expect(result.softmaxScaleFactor).toBeCloseTo(softmaxScaleFactor, 12);
    expect(result.table[0]).toBe(Math.fround(cosSinScale));
  });

  test("without a factor it is the ratio of the lengths", () => {
    const { factor: _, ...noFactor } = { ...scaling, original_max_position_embeddings: 64 };
    expect(ropeTable({ ...base, scaling: noFactor }).table).toEqual(
      ropeTable({ ...base, scaling: { ...noFactor, factor: 4 } }).table,
    );
  });
});

describe("config errors", () => {
  test.each([
    {
      scaling: { rope_type: "ntk", factor: 2 },
      message: /rope_type must be one of default, .*, longrope, got "ntk"/,
    },
    { scaling: { rope_type: 7 }, message: /, got 7/ },
    { scaling: { type: "linear" }, message: /factor is missing/ },
    { scaling: { type: "linear", factor: "4" }, message: /factor must be a number, got "4"/ },
    { scaling: { type: "linear", factor: 0 }, message: /factor must be above 0/ },
    { scaling: { type: "yarn", factor: 4, truncate: 1 }, message: /truncate must be true or false/ },
  ])("$scaling", ({ scaling, message }) => {
    expectConfigError(scaling, message);
  });

  test.each([{ rotaryDim: 3 }, { rotaryDim: 0 }, { theta: NaN }, { maxPositionEmbeddings: 0 }])(
    "%o",
    (options) => {
      expect(() => ropeTable({ ...base, ...options })).toThrow(
        expect.objectContaining({ code: "ERR_CHECKPOINT_CONFIG" }),
      );
    },
  );

  test("maxLength is the caller's argument, not the checkpoint's", () => {
    expect(() => ropeTable({ ...base, maxLength: 0 })).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }),
    );
  });
});

function expectConfigError(scaling: RopeScaling, message: RegExp): void {
  const build = () => ropeTable({ ...base, scaling });
  expect(build).toThrow(message);
  expect(build).toThrow(expect.objectContaining({ code: "ERR_CHECKPOINT_CONFIG" }));
}
