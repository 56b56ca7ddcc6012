// Contract: families with experts that have no golden give the logits of a float64 decoder on every device, whole and with the last tokens
// one by one. The emulated GPU takes a few: others with another seed.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits } from "../support/goldens.js";
import { referenceTransformer, type ReferenceOptions } from "../support/referenceTransformer.js";
import { runModel } from "../support/runModel.js";
import { someOf } from "../support/seed.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

interface Mixture {
  readonly architecture: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly options?: ReferenceOptions;
}

const experts = { num_experts_per_tok: 3, intermediate_size: 12 };
const mixtures: readonly Mixture[] = [
  {
    architecture: "Qwen2MoeForCausalLM",
    fields: {
      ...{ ...experts, num_experts: 6, moe_intermediate_size: 12, shared_expert_intermediate_size: 20 },
      mlp_only_layers: [0],
    },
  },
  { architecture: "OlmoeForCausalLM", fields: { ...experts, num_experts: 6 } },
  {
    architecture: "GraniteMoeForCausalLM",
    fields: { ...experts, num_local_experts: 6, residual_multiplier: 0.4 },
    options: { factors: { scores: 1, residual: 0.4 } },
  },
];

const all = mixtures.flatMap((mixture) => (["f32", "bf16"] as const).map((dtype) => ({ ...mixture, dtype })));
const cases = Device.available().includes("cpu") ? all : someOf(all, 2);

/** As in variants.test.ts. */
const tolerances = { f32: 1e-5, bf16: 4e-2 };

describe("matches a float64 decoder", () => {
  let device: Device;
  let stream: Stream;
  beforeAll(() => {
    device = openTestDevice();
    stream = device.createStream();
  });
  afterAll(() => device.dispose());

  it.each(cases)("$architecture in $dtype", async ({ architecture, fields, options, dtype }) => {
    const config = tinyConfig(architecture, fields);
    const tensors = tinyTensors(config);
    const model = await loadModel(await writeCheckpoint(config, tensors), { stream, dtype });
    const tokens = Array.from({ length: 23 }, (_, t) => (t * 7 + 3) % config.vocab_size);
    const expected = Float32Array.from(referenceTransformer(config, tensors, tokens, options));
    for (const chunk of [Infinity, [19, 1]]) {
      const [logits] = await runModel(model, stream, [tokens], { chunk });
      expect(compareLogits(logits!, expected, config.vocab_size).relative).toBeLessThan(tolerances[dtype]);
    }
    model.dispose();
  });
});
