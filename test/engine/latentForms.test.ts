// Contract: beneath the engine latent attention is absorbed in every step of the CPU. On a GPU it is absorbed where sequences decode, in
// graphs or beside prompts, and up-projected where the rule says so (lib/nn/latentForms.ts). The golden text comes out either way.
import { expect, it } from "vitest";
import type { Trace } from "../../lib/device/trace.js";
import { BareEngine } from "../llm/bareEngine.js";
import { readGolden } from "../support/goldens.js";

it.each(["deepseek_v2", "deepseek_v3"])(
  "goldens/%s: prompts, chunks of them, decodes beside them",
  async (family) => {
    const { folder, sequences } = await readGolden(family);
    const [short, long] = sequences as [(typeof sequences)[0], (typeof sequences)[0]];
    const traces: ReturnType<Trace["end"]>[] = [];
    let trace: Trace | undefined;
    let beside: Promise<unknown> | undefined;
    const bare = await BareEngine.open(folder, {
      ...{ pages: 20, dtype: "f32", maxSequences: 4, maxStepTokens: 32 },
      afterStep(_, __, stream) {
        if (trace) traces.push(trace.end());
        trace = stream.trace();
        // The short prompt has two chunks, and decodes from then on.
        if (traces.length === 3)
          beside = bare.generate(long.tokens.slice(0, 25), { maxTokens: 2, ignoreEos: true }).result();
      },
    });
    try {
      trace = bare.stream.trace();
      const { tokenIds } = await bare.generate(short.tokens, { maxTokens: 16, ignoreEos: true }).result();
      await beside;
      expect(tokenIds).toEqual(short.continuation);
      const forms = (await Promise.all(traces)).map((rows) => {
        const ops = rows.flatMap(({ op }) => /^(?:mla|flash)(?=Attention$)/.exec(op) ?? []);
        return ops.slice(0, ops.length / 3).join(" "); // of one of three layers
      });
      const isUpProjected = !bare.device.chunksKeepBits;
      expect(forms.slice(0, 3)).toEqual(isUpProjected ? ["flash", "mla", "mla"] : ["mla", "mla", "mla"]);
      expect(new Set(forms)).toEqual(new Set(isUpProjected ? ["flash", "mla", "mla flash"] : ["mla"]));
    } finally {
      await bare.close();
    }
  },
);
