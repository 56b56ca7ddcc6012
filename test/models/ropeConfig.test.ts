// Contract: the fields of rotary positions are merged from config.json, rope_scaling and rope_parameters; what contradicts, or
// what the type of rotation does not have, is a CheckpointError ERR_CHECKPOINT_CONFIG that names file and field.
import { describe, expect, it } from "vitest";
import { readRope } from "../../lib/models/ropeConfig.js";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";

type Fields = Readonly<Record<string, unknown>>;

const headDim = 64;
const read = (fields: Fields) =>
  readRope(new ConfigReader("config.json", { max_position_embeddings: 256, ...fields }), headDim, {
    theta: 10_000,
  });

const llama3 = {
  ...{ rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
  original_max_position_embeddings: 64,
};
const longrope = {
  ...{ rope_type: "longrope", original_max_position_embeddings: 64 },
  ...{ short_factor: new Array<number>(32).fill(1), long_factor: new Array<number>(32).fill(4) },
};
const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 64 };

const merged: readonly {
  name: string;
  fields: Fields;
  theta: number;
  rotaryDim?: number;
  scaling: Fields;
}[] = [
  { name: "nothing", fields: {}, theta: 10_000, scaling: {} },
  { name: "theta at the top", fields: { rope_theta: 5e5 }, theta: 5e5, scaling: {} },
  {
    name: "theta in rope_parameters, scaling in rope_scaling",
    fields: { rope_parameters: { rope_theta: 5e5 }, rope_scaling: llama3 },
    theta: 5e5,
    scaling: llama3,
  },
  {
    name: "theta in rope_scaling",
    fields: { rope_scaling: { ...yarn, rope_theta: 1e6 } },
    theta: 1e6,
    scaling: yarn,
  },
  {
    name: "the older name of the type",
    fields: { rope_scaling: { type: "linear", factor: 2 }, rope_parameters: { rope_type: "linear" } },
    theta: 10_000,
    scaling: { rope_type: "linear", factor: 2 },
  },
  {
    name: "the first name of longrope",
    fields: { rope_scaling: { ...longrope, rope_type: undefined, type: "su" } },
    theta: 10_000,
    scaling: longrope,
  },
  {
    name: "the trained length at the top",
    fields: { rope_scaling: { rope_type: "yarn", factor: 4 }, original_max_position_embeddings: 64 },
    theta: 10_000,
    scaling: yarn,
  },
  {
    name: "nulls",
    fields: { rope_theta: null, rope_scaling: null, rope_parameters: { factor: null, rope_theta: 2e4 } },
    theta: 2e4,
    scaling: {},
  },
  {
    name: "a share of the head in rope_parameters",
    fields: { rope_parameters: { rope_type: "default", partial_rotary_factor: 0.25 } },
    theta: 10_000,
    rotaryDim: 16,
    scaling: { rope_type: "default" },
  },
  {
    name: "a share of the head that is rounded down to a pair, as int() does",
    fields: { partial_rotary_factor: 0.6563 },
    theta: 10_000,
    rotaryDim: 42,
    scaling: {},
  },
];

describe("merged", () => {
  it.each(merged)("$name", ({ fields, theta, rotaryDim = headDim, scaling }) => {
    expect(read(fields)).toEqual({ theta, rotaryDim, scaling, maxPositionEmbeddings: 256 });
  });
});

const refused: readonly { name: string; fields: Fields; message: string }[] = [
  {
    name: "two thetas",
    fields: { rope_theta: 1e4, rope_parameters: { rope_theta: 1e6 } },
    message: "rope_theta is 10000, but rope_parameters.rope_theta is 1000000",
  },
  {
    name: "two types",
    fields: { rope_scaling: yarn, rope_parameters: { rope_type: "default", rope_theta: 1e6 } },
    message: 'rope_scaling.rope_type is "yarn", but rope_parameters.rope_type is "default"',
  },
  {
    name: "two types in one object",
    fields: { rope_scaling: { type: "dynamic", rope_type: "linear", factor: 2 } },
    message: 'rope_scaling.rope_type is "linear", but rope_scaling.type is "dynamic"',
  },
  {
    name: "two factors",
    fields: { rope_scaling: yarn, rope_parameters: { ...yarn, factor: 2 } },
    message: "rope_scaling.factor is 4, but rope_parameters.factor is 2",
  },
  {
    name: "a factor without a type",
    fields: { rope_scaling: { factor: 2 } },
    message: 'factor: expected nothing, for rope type "default" has no such parameter, got 2',
  },
  {
    name: "a parameter of another type",
    fields: { rope_scaling: { rope_type: "linear", factor: 2, attention_factor: 1.2 } },
    message: "attention_factor",
  },
  {
    name: "a parameter that no type has",
    fields: { rope_scaling: { rope_type: "dynamic", factor: 1, alpha: 1000 } },
    message: "alpha",
  },
  {
    name: "sections of a multimodal rotation",
    fields: { rope_scaling: { rope_type: "default", mrope_section: [16, 24, 24] } },
    message: "mrope_section",
  },
  {
    name: "a rotation for each type of layer",
    fields: {
      rope_parameters: { full_attention: { rope_theta: 1e6 }, sliding_attention: { rope_theta: 1e4 } },
    },
    message: "full_attention",
  },
  {
    name: "an unknown type",
    fields: { rope_scaling: { rope_type: "ntk", factor: 2 } },
    message:
      'rope_scaling.rope_type must be one of default, linear, dynamic, llama3, yarn, longrope, got "ntk"',
  },
  {
    name: "factors for fewer pairs",
    fields: { rope_scaling: { ...longrope, long_factor: [2] } },
    message: "long_factor must be a list of 32 numbers above 0",
  },
  {
    name: "factors for a part of the head",
    fields: { rope_scaling: longrope, partial_rotary_factor: 0.5 },
    message: "short_factor must be a list of 16 numbers above 0",
  },
  {
    name: "a factor of 0",
    fields: { rope_scaling: { ...longrope, short_factor: new Array(32).fill(0) } },
    message: "short_factor must be a list of 32 numbers above 0",
  },
  {
    name: "a trained length of 1",
    fields: { rope_scaling: { ...longrope, original_max_position_embeddings: 1 } },
    message: "original_max_position_embeddings must be at least 2",
  },
  { name: "a type that is no name", fields: { rope_scaling: { rope_type: 3 } }, message: "rope_type" },
  { name: "a list", fields: { rope_scaling: [yarn] }, message: "rope_scaling: expected an object" },
  { name: "text", fields: { rope_parameters: "yarn" }, message: "rope_parameters: expected an object" },
  { name: "theta as text", fields: { rope_theta: "10000" }, message: "rope_theta" },
  { name: "theta of 1", fields: { rope_theta: 1 }, message: "rope_theta" },
  { name: "more than the head", fields: { partial_rotary_factor: 1.5 }, message: "partial_rotary_factor" },
  { name: "an odd share", fields: { partial_rotary_factor: 0.36 }, message: "partial_rotary_factor" },
  { name: "no share", fields: { partial_rotary_factor: 0 }, message: "partial_rotary_factor" },
  { name: "less than a pair", fields: { partial_rotary_factor: 0.01 }, message: "partial_rotary_factor" },
];

describe("refused", () => {
  it.each(refused)("$name", ({ fields, message }) => {
    expect(() => read(fields)).toThrowError(
      expect.objectContaining({ code: "ERR_CHECKPOINT_CONFIG", file: "config.json" }),
    );
    expect(() => read(fields)).toThrowError(message);
    expect(() => read(fields)).toThrowError("config.json: ");
  });
});
