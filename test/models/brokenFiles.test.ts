// Contract: a file beside config.json that is there and cannot be read is a typed error that names it, never taken for absent.
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { LLM } from "../../lib/llm/llm.js";
import { WarploopError } from "../../lib/errors.js";

const model = fileURLToPath(new URL("../../models/tiny-draft/", import.meta.url));
let folder = "";
// With what is loaded once, such as the addon: it may lie where only root may read.
beforeAll(async () => (await LLM.load(model, { device: "cpu", threads: 1 })).close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "warploop-"));
  for (const name of ["config.json", "model.safetensors"])
    copyFileSync(join(model, name), join(folder, name));
  chmodSync(folder, 0o755);
});
afterEach(() => {
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true });
});

/** Every file of a checkpoint that need not be there. */
const optional = [
  ...["generation_config.json", "adapter_config.json", "hf_quant_config.json", "quantize_config.json"],
  ...["quant_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"],
  ...["added_tokens.json", "chat_template.jinja", "chat_template.json", "additional_chat_templates/a.jinja"],
];
/** What stands in the way: the place of the file, and what the error says. */
const obstacles: Readonly<Record<string, { readonly make: (file: string) => void; readonly says: RegExp }>> =
  {
    "a folder": { make: (file) => mkdirSync(file), says: /it is a folder/ },
    "a link to itself": { make: (file) => symlinkSync(file, file), says: /ELOOP/ },
    "a link to a device": { make: (file) => symlinkSync("/dev/null", file), says: /not a regular file/ },
    "a file without read permission": {
      make: (file) => {
        writeFileSync(file, "{}");
        chmodSync(file, 0o000);
      },
      says: /EACCES|the weights beside this file are quantised/,
    },
    "a link into a folder that may not be entered": {
      make: (file) => {
        const closed = join(folder, "closed");
        mkdirSync(closed);
        writeFileSync(join(closed, "file"), "{}");
        chmodSync(closed, 0o000);
        symlinkSync(join(closed, "file"), file);
      },
      says: /EACCES/,
    },
  };

/** Runs as a user to whom permissions apply, which they do not to root. */
async function unprivileged<T>(run: () => Promise<T>): Promise<T> {
  const user = process.geteuid!();
  if (user !== 0) return run();
  process.seteuid!(65534);
  try {
    return await run();
  } finally {
    process.seteuid!(user);
  }
}

const load = (): Promise<unknown> =>
  unprivileged(() => LLM.load(folder, { device: "cpu", threads: 1 }).catch((thrown: unknown) => thrown));

describe.each(Object.keys(obstacles))("%s", (obstacle) => {
  test.each(optional)("in place of %s", async (name) => {
    const { make, says } = obstacles[obstacle]!;
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    // Read only if the tokenizer has its main file.
    if (/^(special|added)_token/.test(name))
      copyFileSync(join(model, "tokenizer.json"), join(folder, "tokenizer.json"));
    make(file);
    const error = await load();
    expect(error).toBeInstanceOf(WarploopError);
    expect(error).toMatchObject({ file });
    expect((error as Error).message).toMatch(says);
    expect((error as Error).message).toContain(file);
  });

  test.each(["config.json", "model.safetensors", "model.safetensors.index.json"])(
    "in place of %s",
    async (name) => {
      rmSync(join(folder, name.replace(".index.json", "")));
      obstacles[obstacle]!.make(join(folder, name));
      expect(await load()).toMatchObject({ file: join(folder, name) });
    },
  );
});

test("a file in place of the folder of templates", async () => {
  const file = join(folder, "additional_chat_templates");
  writeFileSync(file, "");
  expect(await load()).toMatchObject({ code: "ERR_CHAT_TEMPLATE", file });
});
