// Contract: whatever stands in the config of a quantised checkpoint, reading it ends at once, in schemes or in an error with the field.
import { expect, test } from "vitest";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";
import { CheckpointError } from "../../lib/errors.js";
import { quantizationMethods, readQuantization } from "../../lib/quantization/quantization.js";
import { Random } from "../support/random.js";
import { firstSeed, runsOf } from "../support/seed.js";
import { collectWarnings } from "../support/warnings.js";

type Fields = Readonly<Record<string, unknown>>;

const weights = { num_bits: 4, type: "int", symmetric: true, strategy: "group", group_size: 128 };
const bases: readonly Fields[] = [
  {
    ...{ quant_method: "compressed-tensors", format: "pack-quantized", ignore: ["lm_head", "re:.*gate"] },
    config_groups: { group_0: { targets: ["Linear"], weights } },
  },
  { quant_method: "awq", bits: 4, group_size: 128, zero_point: true, version: "gemm" },
  { quant_method: "fp8", fmt: "e4m3", activation_scheme: "dynamic", weight_block_size: [128, 128] },
  {
    ...{ quant_method: "gptq", bits: 4, group_size: 128, desc_act: false, sym: true },
    dynamic: { "-:a": {}, "+:b.*": { bits: 4, group_size: 32 } },
  },
  { quant_method: "mxfp4", modules_to_not_convert: ["model.layers.*.self_attn"] },
];

const odd: readonly unknown[] = [
  ...[null, true, false, 0, -1, 1, 4, 8, 0.5, 2 ** 53, "", "re:(", "gemm", "e4m3", "(a+)+$", [], {}, [1, 2]],
  ...[["re:((((", "*"], { a: { b: 1 } }, "__proto__", [[[]]], "x".repeat(5000), ...quantizationMethods],
];

/** One value of a copy is another, or a field is gone or new. */
function mutate(value: unknown, random: Random): unknown {
  const pick = () => odd[random.integer(0, odd.length)];
  if (typeof value !== "object" || value === null || random.uniform() < 0.1) return pick();
  if (Array.isArray(value))
    return value.map((item) => (random.uniform() < 0.5 ? mutate(item, random) : item));
  const entries = Object.entries(value);
  const at = random.integer(0, entries.length + 1);
  if (at === entries.length) return { ...value, [String(pick())]: pick() };
  if (random.uniform() < 0.1) return Object.fromEntries(entries.filter((_, i) => i !== at));
  return Object.fromEntries(entries.map(([key, item], i) => [key, i === at ? mutate(item, random) : item]));
}

test("give a scheme or an error with a field", async () => {
  const runs = runsOf({ few: 3000, whole: 100_000 });
  let refused = 0;
  await collectWarnings(async () => {
    for (let run = 0; run < runs; run++) {
      const random = new Random(firstSeed * 1_000_003 + run);
      let config: unknown = bases[run % bases.length];
      for (let i = random.integer(1, 4); i > 0; i--) config = mutate(config, random);
      try {
        const quantization = await readQuantization(
          new ConfigReader("config.json", { quantization_config: config }),
          "none",
        );
        quantization?.schemeOf("model.layers.0.self_attn.q_proj");
        quantization?.leftOutBy("lm_head");
      } catch (error) {
        refused++;
        if (!(error instanceof CheckpointError)) throw new Error(JSON.stringify(config), { cause: error });
        expect(error.code).toBe("ERR_CHECKPOINT_CONFIG");
        expect(error.message).toMatch(/^config\.json: quantization_config/);
      }
    }
  });
  expect(refused).toBeGreaterThan(runs / 10);
  expect(refused).toBeLessThan(runs);
});
