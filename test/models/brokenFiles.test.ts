// Contract: a file beside config.json that cannot even be looked at is a typed error that names it.
import { copyFileSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LLM } from "../../lib/engine/llm.js";

const model = fileURLToPath(new URL("../../models/tiny-draft/", import.meta.url));
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "warploop-"));
  copyFileSync(join(model, "config.json"), join(folder, "config.json"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test.each([
  ["hf_quant_config.json", "ERR_CHECKPOINT_MISSING"],
  ["quantize_config.json", "ERR_CHECKPOINT_MISSING"],
  ["generation_config.json", "ERR_CHECKPOINT_MISSING"],
  ["adapter_config.json", "ERR_CHECKPOINT_MISSING"],
  ["model.safetensors", "ERR_CHECKPOINT_MISSING"],
  ["model.safetensors.index.json", "ERR_CHECKPOINT_MISSING"],
  ["tokenizer.json", "ERR_TOKENIZER"],
  ["tokenizer_config.json", "ERR_CHAT_TEMPLATE"],
  ["chat_template.jinja", "ERR_CHAT_TEMPLATE"],
])("a link to itself: %s", async (name, code) => {
  const file = join(folder, name);
  if (name !== "model.safetensors" && !name.endsWith("index.json")) {
    symlinkSync(join(model, "model.safetensors"), join(folder, "model.safetensors"));
  }
  symlinkSync(name, file);
  const error: unknown = await LLM.load(folder, { device: "cpu", threads: 1 }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code, file });
  expect((error as Error).message).toContain(`${file}: ELOOP`);
});
