// Contract: resolveModel fetches what is needed into the shared cache layout, once, resumably, and with typed errors.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readlink, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { HubError } from "../../lib/errors.js";
import { resolveModel, type DownloadProgress } from "../../lib/checkpoint/hub.js";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import { commit, HubServer, repoId } from "../support/hubServer.js";
import { encodeSafetensors } from "../support/safetensors.js";

const numBytes = 300_000;
const weights = encodeSafetensors({
  a: {
    dtype: "U8",
    shape: [numBytes],
    data: Uint8Array.from({ length: numBytes }, (_, i) => (i * 31) % 251),
  },
});
const tiny = { "config.json": Buffer.from("{}"), "tokenizer.json": Buffer.from('{"a":1}') };
const unwanted = {
  "pytorch_model.bin": Buffer.from("x"),
  "README.md": Buffer.from("y"),
  "consolidated.safetensors": weights,
};

// Not toEqual, which takes seconds for so many bytes.
const isWeights = (bytes: Buffer): boolean => bytes.equals(weights);

let server: HubServer;
let cache: string;
let repo: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "warploop-hub-"));
  repo = join(cache, "models--org--tiny");
  vi.stubEnv("HF_HUB_CACHE", cache);
  vi.stubEnv("HF_HUB_OFFLINE", undefined);
  vi.stubEnv("HF_TOKEN", undefined);
  await serve({ ...tiny, ...unwanted, "model.safetensors": weights });
});
afterEach(async () => {
  await server.stop();
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true, force: true });
});

async function serve(files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  await (server as HubServer | undefined)?.stop();
  server = new HubServer(files);
  vi.stubEnv("HF_ENDPOINT", `${await server.start()}/`);
}

async function errorOf(promise: Promise<unknown>): Promise<HubError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(HubError);
  return error as HubError;
}

/** Records progress and checks that each file only grows and ends complete. */
function recorder() {
  const events: DownloadProgress[] = [];
  const last = (file: string): DownloadProgress | undefined =>
    events.filter((event) => event.file === file).at(-1);
  const onProgress = (event: DownloadProgress): void => {
    expect(event.loaded).toBeGreaterThan(last(event.file)?.loaded ?? -1);
    expect(event.loaded).toBeLessThanOrEqual(event.total);
    events.push(event);
  };
  return { events, onProgress, last };
}

const partialFiles = async (): Promise<string[]> =>
  (await readdir(join(repo, "blobs"))).filter((name) => name.endsWith(".incomplete"));

describe("download", () => {
  test("fresh: layout of the shared cache, only the needed files, progress", async () => {
    const progress = recorder();
    const folder = await resolveModel(repoId, { onProgress: progress.onProgress });
    expect(folder).toBe(join(repo, "snapshots", commit));
    expect((await readdir(folder)).sort()).toEqual(["config.json", "model.safetensors", "tokenizer.json"]);
    expect(await readFile(join(folder, "model.safetensors"))).toSatisfy(isWeights);
    expect(await readlink(join(folder, "config.json"))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/);
    expect(await readlink(join(folder, "model.safetensors"))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/);
    expect(await readFile(join(repo, "refs", "main"), "utf8")).toBe(commit);
    const total = weights.length;
    expect(progress.last("model.safetensors")).toEqual({
      phase: "download",
      file: "model.safetensors",
      loaded: total,
      total,
    });
    await using checkpoint = await openCheckpoint(folder);
    expect(checkpoint.tensors.get("a")?.byteLength).toBe(numBytes);
  });

  test("second call asks for no file", async () => {
    const first = await resolveModel(repoId);
    server.requests.length = 0;
    const progress = recorder();
    expect(await resolveModel(repoId, { onProgress: progress.onProgress })).toBe(first);
    expect(server.fileRequests()).toEqual([]);
    expect(progress.events).toEqual([]);
  });

  test("a commit is not looked up, in the id or as an option", async () => {
    expect(await resolveModel(`${repoId}@${commit}`)).toBe(join(repo, "snapshots", commit));
    expect(await resolveModel(repoId, { revision: commit })).toBe(join(repo, "snapshots", commit));
    expect(server.requests.some(({ path }) => path.includes("/revision/"))).toBe(false);
  });

  test("only the shards that the index names", async () => {
    const index = { weight_map: { a: "model-1.safetensors", b: "model-2.safetensors" } };
    const shard = (name: string): Uint8Array =>
      encodeSafetensors({ [name]: { dtype: "U8", shape: [1], data: new Uint8Array(1) } });
    await serve({
      ...tiny,
      ...unwanted,
      "model-1.safetensors": shard("a"),
      "model-2.safetensors": shard("b"),
      "model.safetensors.index.json": Buffer.from(JSON.stringify(index)),
    });
    await using checkpoint = await openCheckpoint(await resolveModel(repoId));
    expect([...checkpoint.tensors.keys()]).toEqual(["a", "b"]);
    expect(server.fileRequests().length).toBe(5);
  });

  test("a blob of another revision is linked, a dangling link is replaced", async () => {
    const folder = await resolveModel(repoId);
    const blob = join(folder, await readlink(join(folder, "config.json")));
    await rm(join(folder, "model.safetensors"));
    await rm(blob);
    server.requests.length = 0;
    await resolveModel(repoId);
    expect(server.fileRequests().map(({ path }) => path.split("/").at(-1))).toEqual(["config.json"]);
    expect((await stat(join(folder, "model.safetensors"))).size).toBe(weights.length);
  });
});

describe("interruption", () => {
  test("a break is resumed within the call", async () => {
    server.faults = { breakAfterBytes: 100_000, breakTimes: 2 };
    const progress = recorder();
    const folder = await resolveModel(repoId, { onProgress: progress.onProgress });
    expect(await readFile(join(folder, "model.safetensors"))).toSatisfy(isWeights);
    const starts = server
      .fileRequests()
      .map(({ range }) => Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0));
    const [first, second = 0, third = 0] = starts.slice(-3);
    expect(first).toBe(0);
    expect(second).toBeGreaterThan(0);
    expect(third).toBeGreaterThan(second);
    expect(progress.last("model.safetensors")?.loaded).toBe(weights.length);
  });

  test("an aborted download is resumed by the next call", async () => {
    const abort = new AbortController();
    server.faults = { breakAfterBytes: 100_000 };
    const onProgress = ({ file, loaded }: DownloadProgress): void => {
      if (file === "model.safetensors" && loaded > 0) abort.abort(new Error("enough"));
    };
    await expect(resolveModel(repoId, { onProgress, signal: abort.signal })).rejects.toThrow("enough");
    const [partial] = await partialFiles();
    const { size } = await stat(join(repo, "blobs", partial!));
    expect(size).toBeGreaterThan(0);
    server.faults = {};
    server.requests.length = 0;
    const folder = await resolveModel(repoId);
    expect(server.fileRequests().map(({ range }) => range)).toEqual([`bytes=${size}-`]);
    expect(await readFile(join(folder, "model.safetensors"))).toSatisfy(isWeights);
    expect(await partialFiles()).toEqual([]);
  });

  test("an abort at the last byte comes too late", async () => {
    const abort = new AbortController();
    const onProgress = ({ file, loaded, total }: DownloadProgress): void => {
      if (file === "model.safetensors" && loaded === total) abort.abort();
    };
    const folder = await resolveModel(repoId, { onProgress, signal: abort.signal });
    expect(await readFile(join(folder, "model.safetensors"))).toSatisfy(isWeights);
  });

  test("a server without ranges starts again", async () => {
    server.faults = { breakAfterBytes: 100_000, breakTimes: 1, ignoreRanges: true };
    const folder = await resolveModel(repoId, { onProgress: recorder().onProgress });
    expect(await readFile(join(folder, "model.safetensors"))).toSatisfy(isWeights);
  });

  test("a server that always breaks at the same byte is given up", async () => {
    server.faults = { breakAfterBytes: 1000, ignoreRanges: true };
    const error = await errorOf(resolveModel(repoId));
    expect(error).toMatchObject({
      code: "ERR_HUB_NETWORK",
      message: expect.stringMatching(/model.safetensors: /),
    });
    expect(await partialFiles()).toHaveLength(1);
  });

  test("a spoiled partial file is downloaded again", async () => {
    const sha256 = createHash("sha256").update(weights).digest("hex");
    for (const length of [5000, weights.length, weights.length + 1]) {
      await rm(repo, { recursive: true, force: true });
      await mkdir(join(repo, "blobs"), { recursive: true });
      await writeFile(join(repo, "blobs", `${sha256}.incomplete`), new Uint8Array(length));
      const folder = await resolveModel(repoId, { onProgress: recorder().onProgress });
      expect(await readFile(join(folder, "model.safetensors"))).toSatisfy(isWeights);
    }
  });

  test("content that does not match its digest is never linked", async () => {
    server.faults = { content: Buffer.from("[]") };
    const error = await errorOf(resolveModel(repoId));
    expect(error.message).toMatch(/config.json: the content does not match its digest/);
    expect(await partialFiles()).toEqual([]);
    await expect(stat(join(repo, "snapshots", commit, "config.json"))).rejects.toThrow();
  });

  test("content longer than announced", async () => {
    server.faults = { content: new Uint8Array(500) };
    expect((await errorOf(resolveModel(repoId))).message).toMatch(
      /config.json: the hub sent more than the 2 bytes/,
    );
  });

  test("two calls at once", async () => {
    const [one, two] = await Promise.all([resolveModel(repoId), resolveModel(repoId)]);
    expect(one).toBe(two);
    expect(await readFile(join(one, "model.safetensors"))).toSatisfy(isWeights);
  });
});

describe("offline", () => {
  test("cached: no request", async () => {
    const folder = await resolveModel(repoId);
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    server.requests.length = 0;
    expect(await resolveModel(repoId)).toBe(folder);
    expect(await resolveModel(`${repoId}@${commit}`)).toBe(folder);
    expect(server.requests).toEqual([]);
  });

  test("not cached, or not completely", async () => {
    vi.stubEnv("HF_HUB_OFFLINE", "True");
    const never = await errorOf(resolveModel(repoId));
    expect(never).toMatchObject({
      code: "ERR_HUB_OFFLINE",
      message: expect.stringMatching(/never downloaded/),
    });
    expect(server.requests).toEqual([]);
    vi.stubEnv("HF_HUB_OFFLINE", "0");
    const folder = await resolveModel(repoId);
    vi.stubEnv("HF_HUB_OFFLINE", "ON");
    await rm(join(folder, "model.safetensors"));
    const partly = await errorOf(resolveModel(repoId));
    expect(partly).toMatchObject({
      code: "ERR_HUB_OFFLINE",
      message: expect.stringMatching(/lacks model.safetensors/),
    });
  });

  test("a hub that does not answer is as good as offline", async () => {
    const folder = await resolveModel(repoId);
    server.faults = { apiStatus: 503 };
    expect(await resolveModel(repoId)).toBe(folder);
    await server.stop();
    expect(await resolveModel(repoId)).toBe(folder);
    await rm(folder, { recursive: true });
    expect((await errorOf(resolveModel(repoId))).code).toBe("ERR_HUB_NETWORK");
  });

  test("an interrupted update does not hide the older revision", async () => {
    const older = "f".repeat(40);
    await resolveModel(repoId);
    await rename(join(repo, "snapshots", commit), join(repo, "snapshots", older));
    await writeFile(join(repo, "refs", "main"), older);
    await rm(join(repo, "blobs"), { recursive: true });
    await mkdir(join(repo, "snapshots", older), { recursive: true });
    server.faults = { fileStatus: 403 };
    await errorOf(resolveModel(repoId));
    expect(await readFile(join(repo, "refs", "main"), "utf8")).toBe(older);
  });
});

describe("errors", () => {
  const statuses: readonly (readonly [string, number, string])[] = [
    ["apiStatus", 404, "ERR_HUB_NOT_FOUND"],
    ["apiStatus", 401, "ERR_HUB_UNAUTHORIZED"],
    ["apiStatus", 403, "ERR_HUB_UNAUTHORIZED"],
    ["apiStatus", 500, "ERR_HUB_NETWORK"],
    ["fileStatus", 404, "ERR_HUB_NOT_FOUND"],
    ["fileStatus", 403, "ERR_HUB_UNAUTHORIZED"],
    ["fileStatus", 429, "ERR_HUB_NETWORK"],
  ];
  test.each(statuses)("%s %i is %s", async (fault, status, code) => {
    server.faults = { [fault]: status };
    const error = await errorOf(resolveModel(repoId));
    expect(error).toMatchObject({ code, message: expect.stringMatching(/^org\/tiny@main: /) });
    const noFolder = `there is no folder ${join(process.cwd(), repoId)}`;
    expect(error.message.endsWith(noFolder)).toBe(fault === "apiStatus"); // else it is clear that the hub is meant
  });

  test.each([
    ["org/other", /^org\/other@main: not found/],
    [`${repoId}@v9`, /^org\/tiny@v9: not found/],
  ])("unknown id or revision: %s", async (id, message) => {
    expect(await errorOf(resolveModel(id))).toMatchObject({
      code: "ERR_HUB_NOT_FOUND",
      message: expect.stringMatching(message),
    });
  });

  test("repositories without what is needed", async () => {
    await serve({ ...unwanted, "model.safetensors": weights });
    expect((await errorOf(resolveModel(repoId))).message).toMatch(/has no config.json/);
    await serve({ ...tiny, "pytorch_model.bin": weights });
    expect(await errorOf(resolveModel(repoId))).toMatchObject({
      code: "ERR_HUB_NOT_FOUND",
      message: expect.stringMatching(/has no weights in safetensors format/),
    });
  });

  test("aborted before and during", async () => {
    await expect(resolveModel(repoId, { signal: AbortSignal.abort(new Error("no")) })).rejects.toThrow("no");
    const abort = new AbortController();
    server.faults = { onFile: () => abort.abort(new Error("stop")) };
    await expect(resolveModel(repoId, { signal: abort.signal })).rejects.toThrow("stop");
  });
});

describe("token", () => {
  test("from the option or HF_TOKEN", async () => {
    server.faults = { requiredToken: "secret" };
    expect((await errorOf(resolveModel(repoId))).code).toBe("ERR_HUB_UNAUTHORIZED");
    await resolveModel(repoId, { token: "secret" });
    await rm(repo, { recursive: true });
    vi.stubEnv("HF_TOKEN", "secret");
    await resolveModel(repoId);
  });

  test("is not sent to another origin", async () => {
    const cdn = new HubServer({ ...tiny, "model.safetensors": weights });
    try {
      server.faults = { requiredToken: "secret", redirectTo: await cdn.start() };
      await resolveModel(repoId, { token: "secret" });
      expect(cdn.requests.length).toBe(4);
      expect(cdn.requests.every(({ authorization }) => authorization === undefined)).toBe(true);
    } finally {
      await cdn.stop();
    }
  });
});

describe("what a model may be called", () => {
  test("an existing folder is returned as it is", async () => {
    expect(await resolveModel(cache)).toBe(cache);
    await expect(resolveModel(cache, { revision: "main" })).rejects.toMatchObject({
      code: "ERR_ARGUMENT_TYPE",
    });
    expect(server.requests).toEqual([]);
  });

  test.each([
    "gpt2",
    "./org/tiny",
    "/org/tiny",
    "a/b/c",
    "../tiny",
    "org/..",
    "a--b/c",
    "org/",
    "org/a b",
    "C:\\x",
  ])("neither folder nor id: %s", async (name) => {
    await expect(resolveModel(name)).rejects.toMatchObject({ code: "ERR_CHECKPOINT_MISSING" });
    expect(server.requests).toEqual([]);
  });

  test.each(["../../x", "a/../b", "", "/a", "a b", "a/.b"])(
    "revision that could leave the cache: %s",
    async (revision) => {
      await expect(resolveModel(repoId, { revision })).rejects.toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
      expect(server.requests).toEqual([]);
    },
  );

  test("other mistakes", async () => {
    const file = join(cache, "file");
    await writeFile(file, "");
    await expect(resolveModel(file)).rejects.toThrow(/it is a file/);
    await expect(resolveModel("")).rejects.toMatchObject({ code: "ERR_ARGUMENT_TYPE" });
    const contradiction = resolveModel(`${repoId}@a`, { revision: "b" });
    await expect(contradiction).rejects.toThrow(/"b" contradicts "org\/tiny@a"/);
  });
});
