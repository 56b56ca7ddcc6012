// Contract: "org/name:Q4_K_M" fetches the GGUF file of that quantisation from a hub repository, all parts of one that is split, and nothing
// else; what does not name one file is refused with what there is.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { chooseGguf } from "../../lib/checkpoint/hubGguf.js";
import { resolveModel, type DownloadProgress } from "../../lib/checkpoint/hub.js";
import { LLM } from "../../lib/llm/llm.js";
import { convert } from "../support/gguf/convert.js";
import { encodeGguf, tensorTypes } from "../support/gguf/format.js";
import { goldenFolder } from "../support/goldenFolder.js";
import { commit, HubServer, repoId } from "../support/hubServer.js";

describe("of many files", () => {
  const parts = (stem: string) => [1, 2, 3].map((part) => `${stem}-0000${part}-of-00003.gguf`);
  const names = [
    ...[
      "README.md",
      "config.json",
      "imatrix_unsloth.gguf",
      "mmproj-F16.gguf",
      "Tiny-F16.gguf",
      "Tiny-IQ4_XS.gguf",
    ],
    ...["Tiny-Q4_K_M.gguf", "Tiny-Q4_K_S.gguf", "Tiny-UD-Q4_K_M.gguf", "Tiny-UD-Q2_K_XL.gguf"],
    ...["tiny.i1-Q5_K_M.gguf", "tiny-q8_0.gguf", "Tiny-Q6_K-imat.gguf"],
    ...[...parts("BF16/Tiny-BF16"), "Q3_K_L/model.gguf", ...parts("Tiny-Q5_0").slice(0, 2)],
    ...["Tiny-Q5_1.gguf", "Other-Q5_1.gguf"],
  ];
  const chosen: readonly (readonly [wanted: string, files: readonly string[]])[] = [
    ["Q4_K_M", ["Tiny-Q4_K_M.gguf"]],
    ["q4_k_m", ["Tiny-Q4_K_M.gguf"]],
    ["UD-Q4_K_M", ["Tiny-UD-Q4_K_M.gguf"]],
    ["Q2_K_XL", ["Tiny-UD-Q2_K_XL.gguf"]],
    ["Q5_K_M", ["tiny.i1-Q5_K_M.gguf"]],
    ["Q8_0", ["tiny-q8_0.gguf"]],
    ["F16", ["Tiny-F16.gguf"]],
    ["BF16", parts("BF16/Tiny-BF16")],
    ["Q6_K", ["Tiny-Q6_K-imat.gguf"]],
    ["Q3_K_L", ["Q3_K_L/model.gguf"]],
    ["Other-Q5_1.gguf", ["Other-Q5_1.gguf"]],
    ["Q3_K_L/model.gguf", ["Q3_K_L/model.gguf"]],
    ["Tiny-BF16-00001-of-00003.gguf", parts("BF16/Tiny-BF16")],
  ];
  test.each(chosen)("%s is %j", (wanted, files) => {
    expect(chooseGguf(names, wanted)).toMatchObject({ files });
  });

  const refused: readonly (readonly [wanted: string, says: RegExp])[] = [
    ["Q4_K", /no GGUF file of Q4_K; it has BF16, Q5_1, model, F16, IQ4_XS, Q4_K_M, Q4_K_S, .*i1-Q5_K_M$/],
    ["Q5_1", /^several GGUF files are of Q5_1: Other-Q5_1.gguf, Tiny-Q5_1.gguf; give the name of one/],
    ["Q5_0", /lacks parts of Tiny-Q5_0-00001-of-00003.gguf: 2 of 3 are there/],
    ["mmproj-F16.gguf", /no GGUF file of mmproj-F16.gguf/],
  ];
  test.each(refused)("%s is refused", (wanted, says) => {
    expect(chooseGguf(names, wanted)).toMatch(says);
  });

  test("none is a model", () => {
    expect(chooseGguf(["mmproj-F16.gguf", "config.json"], "F16")).toBe(
      "the repository has no GGUF file of a model",
    );
  });
});

describe("on the hub", () => {
  const content = (length: number) => new Uint8Array(length).fill(7);
  const files = {
    "config.json": Buffer.from("{}"),
    "tokenizer.json": Buffer.from("{}"),
    "Tiny-Q8_0.gguf": content(3000),
    "Tiny-Q4_K_M-00001-of-00002.gguf": content(2000),
    "Tiny-Q4_K_M-00002-of-00002.gguf": content(2500),
    "BF16/Tiny-BF16.gguf": content(4000),
  };
  let server: HubServer;
  let cache: string;
  let snapshot: string;

  beforeEach(async () => {
    cache = await mkdtemp(join(tmpdir(), "warploop-hub-"));
    snapshot = join(cache, "models--org--tiny", "snapshots", commit);
    vi.stubEnv("HF_HUB_CACHE", cache);
    vi.stubEnv("HF_HUB_OFFLINE", undefined);
    vi.stubEnv("HF_TOKEN", undefined);
    await serve(files);
  });
  afterEach(async () => {
    await server.stop();
    vi.unstubAllEnvs();
    await rm(cache, { recursive: true, force: true });
  });

  async function serve(served: Readonly<Record<string, Uint8Array>>): Promise<void> {
    await (server as HubServer | undefined)?.stop();
    server = new HubServer(served);
    vi.stubEnv("HF_ENDPOINT", await server.start());
  }
  const fetched = () =>
    server.fileRequests().map(({ path }) => decodeURIComponent(path.split(`/${commit}/`)[1]!));

  test("only the file is fetched, once, with progress", async () => {
    const progress: DownloadProgress[] = [];
    const path = await resolveModel(`${repoId}:Q8_0`, { onProgress: (event) => progress.push(event) });
    expect(path).toBe(join(snapshot, "Tiny-Q8_0.gguf"));
    expect(fetched()).toEqual(["Tiny-Q8_0.gguf"]);
    expect(await readdir(snapshot)).toEqual(["Tiny-Q8_0.gguf"]);
    expect(progress.at(-1)).toEqual({ phase: "download", file: "Tiny-Q8_0.gguf", loaded: 3000, total: 3000 });
    expect(await resolveModel(`hf:${repoId}@${commit}:q8_0`)).toBe(path);
    expect(fetched()).toEqual(["Tiny-Q8_0.gguf"]);
  });

  test("all parts are, and files in folders", async () => {
    const path = await resolveModel(`${repoId}:Q4_K_M`);
    expect(path).toBe(join(snapshot, "Tiny-Q4_K_M-00001-of-00002.gguf"));
    expect((await readdir(snapshot)).sort()).toEqual([
      "Tiny-Q4_K_M-00001-of-00002.gguf",
      "Tiny-Q4_K_M-00002-of-00002.gguf",
    ]);
    const inFolder = await resolveModel(`${repoId}@main:BF16`);
    expect(inFolder).toBe(join(snapshot, "BF16", "Tiny-BF16.gguf"));
    expect(await readFile(inFolder)).toEqual(Buffer.from(files["BF16/Tiny-BF16.gguf"]));
  });

  test("the address of its page, and of the file", async () => {
    vi.stubEnv("HF_ENDPOINT", server.origin);
    expect(await resolveModel(`${server.origin}/${repoId}:Q8_0`)).toBe(join(snapshot, "Tiny-Q8_0.gguf"));
    const page = `${server.origin}/${repoId}/blob/${commit}/BF16/Tiny-BF16.gguf`;
    expect(await resolveModel(page)).toBe(join(snapshot, "BF16", "Tiny-BF16.gguf"));
  });

  test("what names no file, or several, is refused with what there is, and nothing is fetched", async () => {
    await expect(resolveModel(`${repoId}:Q2_K`)).rejects.toMatchObject({
      code: "ERR_HUB_NOT_FOUND",
      message: "org/tiny@main: the repository has no GGUF file of Q2_K; it has BF16, Q4_K_M, Q8_0",
    });
    await expect(resolveModel(repoId)).rejects.toThrow(
      /no weights in safetensors format; it has GGUF files: .* such as "org\/tiny:Q4_K_M"; there are Q4_K_M, Q8_0/,
    );
    expect(fetched().filter((name) => name.endsWith(".gguf"))).toEqual([]);
    for (const wrong of ["", "a b", "../x", "Q8_0:Q8_0"])
      await expect(resolveModel(`${repoId}:${wrong}`)).rejects.toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
  });

  test("offline the cached one is found, with all its parts", async () => {
    const path = await resolveModel(`${repoId}:Q4_K_M`);
    server.requests.length = 0;
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    expect(await resolveModel(`${repoId}:Q4_K_M`)).toBe(path);
    expect(server.requests).toEqual([]);
    await expect(resolveModel(`${repoId}:Q8_0`)).rejects.toMatchObject({
      code: "ERR_HUB_OFFLINE",
      message: expect.stringContaining("no GGUF file of Q8_0; it has Q4_K_M"),
    });
    await rm(join(snapshot, "Tiny-Q4_K_M-00002-of-00002.gguf"));
    await expect(resolveModel(`${repoId}:Q4_K_M`)).rejects.toThrow(
      /lacks parts of Tiny-Q4_K_M-00001.*1 of 2/,
    );
    vi.stubEnv("HF_HUB_OFFLINE", undefined);
    server.faults = { apiStatus: 500 };
    await expect(resolveModel(`${repoId}:Q8_0`)).rejects.toMatchObject({ code: "ERR_HUB_NETWORK" });
  });

  /** A file with 2.7 MB of weights and more. */
  const large = (architecture: string, dtype: "f32" | "q2_k"): Buffer => {
    const [, block, bytes] = tensorTypes[dtype];
    const shape = [2 ** 15, 256];
    const size = ((shape[0]! * shape[1]!) / block) * bytes;
    return encodeGguf({ "general.architecture": { type: "string", value: architecture } }, [
      { name: "w", shape, dtype, data: () => [new Uint8Array(size)] },
    ]);
  };
  const doomed: readonly (readonly [what: string, file: Buffer, code: string])[] = [
    ["an architecture that does not run", large("rwkv7", "f32"), "ERR_UNSUPPORTED_ARCHITECTURE"],
    ["a file that is no model", large("clip", "f32"), "ERR_CHECKPOINT_FORMAT"],
    ["a type of blocks that does not run", large("llama", "q2_k"), "ERR_CHECKPOINT_TENSOR"],
    ["a file that is no GGUF", Buffer.alloc(8 << 20), "ERR_CHECKPOINT_FORMAT"],
  ];
  test.each(doomed)("%s is known before the weights have come", async (_, file, code) => {
    await serve({ "Tiny-Q8_0.gguf": file });
    const progress: { readonly loaded: number; readonly total: number }[] = [];
    const loading = LLM.load(`${repoId}:Q8_0`, { onProgress: (event) => progress.push(event) });
    await expect(loading).rejects.toMatchObject({ code });
    expect(progress.at(-1)!.loaded).toBeLessThan(progress.at(-1)!.total * 0.95);
    expect(await readdir(join(cache, "models--org--tiny", "blobs"))).toEqual([]);
  });

  test("LLM.load runs what it fetched", async () => {
    const { metadata, tensors } = await convert(goldenFolder("qwen2"), "bf16");
    const file = encodeGguf(metadata, tensors);
    await serve({ ...files, "Tiny-BF16.gguf": file, "BF16/Tiny-BF16.gguf": content(0) });
    const local = join(cache, "local.gguf");
    await writeFile(local, file);
    const logits = [];
    for (const model of [`${repoId}:Tiny-BF16.gguf`, local]) {
      const llm = await LLM.load(model, { onProgress: false });
      logits.push(await llm.logits([1, 2, 3]));
      await llm.close();
    }
    expect(logits[0]).toEqual(logits[1]);
  });
});
