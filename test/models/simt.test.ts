// Contract: through LLM, with captured decode steps, the trained checkpoints tell on the CUDA device what their golden
// texts say. Short texts only: the emulated GPU takes them token by token. The whole table is tinyMoe.test.ts and
// llm/golden.test.ts, which run on any device (WARPLOOP_BINARY).
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LLM } from "../../lib/llm/llm.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { openTestDevice } from "../support/devices.js";
import { runModel } from "../support/runModel.js";
import { loadLLM, modelFolder, textGoldens } from "../llm/checkpoints.js";

/** As in llm/golden.test.ts. */
const tolerances = { f32: 2e-3, bf16: 0.3 };
const leastLogprob = -5;
const mostTokens = 12;

const cases = [
  { name: "tiny-moe", dtype: "f32" },
  { name: "tiny-moe", dtype: "bf16" },
  { name: "tiny-draft", dtype: "bf16" },
] as const;

describe.each(cases)("models/$name in $dtype", ({ name, dtype }) => {
  let llm: LLM;
  const goldens = textGoldens(name).filter(
    ({ min_top1_margin: margin, greedy_ids: ids }) => margin > 1 && ids.length < 40,
  );

  beforeAll(async () => {
    llm = await loadLLM(modelFolder(name), { dtype, contextLength: 128, maxSequences: 4 });
  });
  afterAll(() => llm.close());

  it("tells the golden texts token for token, all in one batch", async () => {
    expect(goldens.length).toBeGreaterThan(2);
    const options = { temperature: 0, logprobs: 5, maxTokens: mostTokens };
    const results = await llm.generateAll(
      goldens.map(({ prompt }) => prompt),
      options,
    );
    for (const [i, { greedy_ids, top5_logprobs }] of goldens.entries()) {
      expect(results[i]!.tokenIds).toEqual(greedy_ids.slice(0, mostTokens));
      for (const [at, { top }] of results[i]!.logprobs!.entries()) {
        const actual = new Map(top.map(({ tokenId, logprob }) => [tokenId, logprob]));
        for (const [id, expected] of top5_logprobs[at]!.slice(0, 3)) {
          if (expected < leastLogprob) continue;
          expect(Math.abs(actual.get(id)! - expected)).toBeLessThan(tolerances[dtype]);
        }
      }
    }
    llm.checkIntegrity();
  });

  it("runs the attention of prompts on the Hopper kernel, where it has one for the dtype", async () => {
    await using device = openTestDevice();
    if (device.kind === "cpu") return; // one kernel for everything
    const stream = device.createStream();
    const model = await loadModel(modelFolder(name), { stream, dtype });
    const trace = stream.trace();
    await runModel(model, stream, [Array.from({ length: 40 }, (_, i) => i + 1)]);
    const rows = (await trace.end()).filter(({ op }) => op === "pagedAttention" || op === "attentionPlan");
    expect(rows.length).toBeGreaterThan(1);
    const kernels = new Set(rows.map(({ kernel }) => kernel));
    expect([...kernels]).toEqual([dtype === "f32" ? "any" : "hopper"]);
  });

  it("tells the same without graphs, alone", async () => {
    await using plain = await loadLLM(modelFolder(name), { dtype, contextLength: 128, graphs: false });
    const { prompt, greedy_ids } = goldens[0]!;
    const { tokenIds } = await plain.generate(prompt, { maxTokens: 4 }).result();
    expect(tokenIds).toEqual(greedy_ids.slice(0, 4));
  });
});
