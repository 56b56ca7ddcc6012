// Contract: of a hub repository, every small file is fetched that says something of the model, and nothing else.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { resolveModel } from "../../lib/checkpoint/hub.js";
import { HubServer, repoId } from "../support/hubServer.js";
import { encodeSafetensors } from "../support/safetensors.js";

const wanted = [
  "added_tokens.json",
  "additional_chat_templates/tool_use.jinja",
  "chat_template.jinja",
  "chat_template.json",
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "special_tokens_map.json",
  "tokenizer.json",
  "tokenizer_config.json",
];
const unwanted = [
  "README.md",
  "pytorch_model.bin",
  "consolidated.safetensors",
  "training_args.json",
  "onnx/config.json",
];

test("configuration, tokenizer, chat template, weights", async () => {
  const contentOf = (name: string) =>
    name === "model.safetensors" ? encodeSafetensors({}) : Buffer.from("{}");
  const server = new HubServer(
    Object.fromEntries([...wanted, ...unwanted].map((name) => [name, contentOf(name)])),
  );
  const cache = await mkdtemp(join(tmpdir(), "warploop-hub-"));
  onTestFinished(async () => {
    vi.unstubAllEnvs();
    await server.stop();
    await rm(cache, { recursive: true, force: true });
  });
  vi.stubEnv("HF_HUB_CACHE", cache);
  vi.stubEnv("HF_HUB_OFFLINE", undefined);
  vi.stubEnv("HF_TOKEN", undefined);
  vi.stubEnv("HF_ENDPOINT", await server.start());
  const folder = await resolveModel(repoId);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => !entry.isDirectory());
  expect(files.map(({ name, parentPath }) => relative(folder, join(parentPath, name))).sort()).toEqual(
    wanted,
  );
});
