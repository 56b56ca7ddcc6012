// Contract: whatever stands in the config of a quantised checkpoint, reading it ends at once, in schemes or in an error with the field.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";
import { CheckpointError } from "../../lib/errors.js";
import { readQuantization } from "../../lib/quantization/quantization.js";
import { mutateJson } from "../support/mutateJson.js";
import { Random } from "../support/random.js";
import { firstSeed, runsOf } from "../support/seed.js";

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

beforeAll(() => {
  vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
});
afterAll(() => {
  vi.restoreAllMocks();
});

test("give a scheme or an error with a field", { timeout: 600_000 }, async () => {
  const runs = runsOf({ few: 3000, whole: 100_000 });
  let refused = 0;
  for (let run = 0; run < runs; run++) {
    const random = new Random(firstSeed * 1_000_003 + run);
    let config: unknown = bases[run % bases.length];
    for (let i = random.integer(1, 4); i > 0; i--) config = mutateJson(config, random);
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
  expect(refused).toBeGreaterThan(runs / 10);
  expect(refused).toBeLessThan(runs);
});
