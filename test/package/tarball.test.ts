// Contract: what `npm pack` makes can be used: it has what an install needs and no tooling of the repository, TypeScript
// projects of every module setting compile against it with their libraries checked, `import` and `require` run it, and its
// source maps hold the sources.
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { buildSync } from "esbuild";
import ts from "typescript";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { root } from "../../scripts/build/nativeSources.mjs";
import { targets, targetsHere } from "../../scripts/build/prebuilt.mjs";
import { packMain } from "../../scripts/packages/packMain.mjs";
import { packPrebuilt } from "../../scripts/packages/packPrebuilt.mjs";
import { repoFiles } from "../../scripts/check/repoFiles.mjs";
import { someOf } from "../support/seed.js";

const app = mkdtempSync(path.join(tmpdir(), "warploop-package-"));
const installed = path.join(app, "node_modules/warploop");
let files: readonly string[];

const target = targetsHere().at(-1)!; // without CUDA
const prebuilt = `@warploop/${target}`;
let prebuiltTarball: string;

beforeAll(() => {
  const tar = (...args: string[]) => execFileSync("tar", args, { cwd: app, encoding: "utf8" });
  prebuiltTarball = packPrebuilt(target, { addon: path.join(root, "build/Release/warploop.node"), out: app });
  const tarball = packMain(app);
  tar("-xzf", tarball);
  const names = tar("-tzf", tarball).trimEnd().split("\n");
  files = names.map((name) => name.replace(/^package\//, ""));
  mkdirSync(path.dirname(installed));
  cpSync(path.join(app, "package"), installed, { recursive: true });
  for (const name of readdirSync(path.join(root, "node_modules")))
    if (!name.startsWith("."))
      symlinkSync(path.join(root, "node_modules", name), path.join(app, "node_modules", name));
}, 300_000);
afterAll(() => rmSync(app, { recursive: true, force: true }));

describe("the tarball", () => {
  it("has docs, sources and no tooling", () => {
    expect(files).toEqual(expect.arrayContaining(["README.md", "LICENSE", "CHANGELOG.md", "docs/gpu.md"]));
    const known =
      /^(dist|native|docs|scripts)\/|^(README|CHANGELOG|CONTRIBUTING)\.md$|^(LICENSE|package\.json|CMakeLists\.txt)$/;
    expect(files.filter((file) => !known.test(file) || /^native\/(simt|build)\//.test(file))).toEqual([]);
  });

  it("has nothing but what is compiled that a clone has not", () => {
    const kept = new Set(repoFiles(/./)); // a file that git ignores is here and in no clone
    expect(files.filter((file) => !file.startsWith("dist/") && !kept.has(file))).toEqual([]);
  });

  it("has every page that its pages link to", () => {
    const pages = files.filter((file) => file.endsWith(".md"));
    const dead = pages.flatMap((page) => {
      const text = readFileSync(path.join(installed, page), "utf8").replace(/^```[\s\S]*?^```/gm, "");
      const links = [...text.matchAll(/\]\((?![a-z]+:|#)([^)\s#]+)/g)].map(([, target = ""]) => target);
      return links
        .map((target) => path.posix.join(path.posix.dirname(page), target))
        .filter((target) => !files.some((file) => file === target || file.startsWith(`${target}/`)))
        .map((target) => `${page}: ${target}`);
    });
    expect(pages.length).toBeGreaterThan(10);
    expect(dead).toEqual([]);
  });

  it("has just the scripts that its commands import", () => {
    const needed = new Set<string>();
    const follow = (script: string): void => {
      if (needed.has(script)) return;
      needed.add(script);
      const code = readFileSync(path.join(installed, script), "utf8").replace(/\/\*\*[\s\S]*?\*\//g, ""); // types
      for (const [, name = ""] of code.matchAll(/(?:from |import\()"(\.\.?\/[^"]+)"/g))
        follow(path.posix.join(path.posix.dirname(script), name));
    };
    for (const script of ["scripts/cli.mjs", "scripts/install.mjs"]) follow(script);
    expect(files.filter((file) => file.startsWith("scripts/")).sort()).toEqual([...needed].sort());
  });

  it("maps every compiled file to a source that it holds", () => {
    const maps = files.filter((file) => file.endsWith(".js.map"));
    expect(maps.length).toBeGreaterThan(50);
    for (const file of maps) {
      const map = JSON.parse(readFileSync(path.join(installed, file), "utf8")) as {
        sources: string[];
        sourcesContent?: string[];
      };
      expect(map.sourcesContent?.length, file).toBe(map.sources.length);
    }
  });
});

/** What a user writes: values, types of options and results, single operations. */
const program = `
import { type ChatMessage, Device, type EngineStats, type GenerateResult, LLM, type ModelShape, ops, Tensor, Tokenizer } from "warploop";
import { createWarploop, languageModel, type LanguageModelSettings } from "warploop/ai-sdk";
import { createHandler, type Handler } from "warploop/openai";
import { type App, createApp, serve, type Server, type ServeOptions } from "warploop/server";
export const options: ops.FlashAttentionOptions & ops.RmsNormOptions = { causal: true };
export async function main(folder: string): Promise<string> {
  await using llm: LLM = await LLM.load(folder, { device: "cpu", threads: 1, contextLength: 64 });
  const shape: ModelShape = llm.shape;
  const stats: EngineStats = llm.stats();
  const tokenizer: Tokenizer | null = llm.tokenizer;
  const messages: ChatMessage[] = [{ role: "user", content: "x" }];
  void [shape, stats, tokenizer, messages];
  const settled = await llm.generateAll([[1, 2]], { maxTokens: 2, onError: "settle" });
  const results: GenerateResult[] = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const serveOptions: ServeOptions = { port: 0, logger: false };
  const server: Server = await serve({ mine: llm }, serveOptions);
  const app: App = createApp({ mine: llm });
  const { status }: Response = await app.fetch(new Request("http://host/ready"));
  await server.close();
  const handler: Handler = createHandler({ mine: llm }, { basePath: "/ai" });
  const route: (request: Request) => Promise<Response> = handler.fetch;
  void route;
  const settings: LanguageModelSettings = { modelId: "mine" };
  const chat = languageModel(llm, settings);
  const content = await chat.doGenerate({ prompt: [{ role: "user", content: [{ type: "text", text: "x" }] }] });
  void [content.usage.inputTokens.total, createWarploop({ mine: llm })("mine").provider];
  await using device = Device.open("cpu", { threads: 1 });
  const stream = device.createStream();
  const x: Tensor = stream.fromArray("f32", [1, 2], Float32Array.of(3, 4));
  const [sum] = await ops.add(stream, x, x).readFloat32(stream);
  return \`\${results.length} \${sum} \${status}\`;
}
`;
const { ModuleKind, ModuleResolutionKind } = ts;
const settings = [
  { name: "NodeNext, ES module", file: "a.mts", module: ModuleKind.NodeNext },
  { name: "NodeNext, CommonJS", file: "b.cts", module: ModuleKind.NodeNext },
  { name: "Node16, ES module", file: "c.mts", module: ModuleKind.Node16 },
  {
    name: "CommonJS",
    file: "d.ts",
    module: ModuleKind.CommonJS,
    moduleResolution: ModuleResolutionKind.Bundler,
  },
  {
    name: "Bundler",
    file: "e.ts",
    module: ModuleKind.ESNext,
    moduleResolution: ModuleResolutionKind.Bundler,
  },
];

describe("TypeScript", () => {
  it.each(someOf(settings, 2))(
    "compiles: $name",
    ({ file, name: _name, ...modules }) => {
      const source = path.join(app, file);
      writeFileSync(source, program);
      const options: ts.CompilerOptions = {
        ...modules,
        target: ts.ScriptTarget.ES2022,
        lib: ["lib.es2022.d.ts", "lib.esnext.disposable.d.ts"],
        types: ["node"],
        strict: true,
        skipLibCheck: false,
        noEmit: true,
      };
      const problems = ts.getPreEmitDiagnostics(ts.createProgram([source], options));
      const host = {
        getCanonicalFileName: (one: string) => one,
        getCurrentDirectory: () => app,
        getNewLine: () => "\n",
      };
      expect(ts.formatDiagnostics(problems, host)).toBe("");
    },
    180_000,
  ); // the first has the libraries to read, on a machine that does other things
});

describe("Node", () => {
  const body = (load: string) => `
    (async () => {
      const { LLM, GenerateAllError } = ${load};
      const { serve } = ${load.replace("warploop", "warploop/server")};
      const { languageModel } = ${load.replace("warploop", "warploop/ai-sdk")};
      const llm = await LLM.load(process.argv[2], { device: "cpu", threads: 1, contextLength: 64 });
      const result = await llm.generate([1, 2], { maxTokens: 2, ignoreEos: true }).result();
      const server = await serve({ mine: llm }, { port: 0, logger: false });
      const { status } = await fetch(server.url + "/ready");
      await server.close();
      await llm.close();
      console.log(result.tokenIds.length, typeof GenerateAllError, status, languageModel(llm).provider);
    })();`;
  it.each([
    { file: "run.mjs", load: 'await import("warploop")' },
    { file: "run.cjs", load: 'require("warploop")' },
  ])("$load", ({ file, load }) => {
    const script = path.join(app, file);
    writeFileSync(script, body(load));
    const binary = process.env["WARPLOOP_BINARY"] ?? path.join(root, "build/Release/warploop.node");
    const model = path.join(root, "models/tiny-draft");
    const env = { ...process.env, WARPLOOP_BINARY: path.resolve(root, binary) };
    expect(execFileSync(process.execPath, [script, model], { env, encoding: "utf8" })).toBe(
      "2 function 200 warploop\n",
    );
  });

  it("the command says what it can do", () => {
    const help = execFileSync(process.execPath, [path.join(installed, "scripts/cli.mjs"), "--help"], {
      encoding: "utf8",
    });
    expect(help).toMatch(/^Usage: warploop/);
  });

  it("the command answers", () => {
    const binary = process.env["WARPLOOP_BINARY"] ?? path.join(root, "build/Release/warploop.node");
    const env = { ...process.env, WARPLOOP_BINARY: path.resolve(root, binary) };
    const run = [
      "run",
      path.join(root, "models/tiny-moe"),
      "Hello",
      "--max-tokens",
      "4",
      "--ignore-eos",
      "--json",
    ];
    const answer = execFileSync(process.execPath, [path.join(installed, "scripts/cli.mjs"), ...run], {
      ...{ env, encoding: "utf8" },
    });
    expect(JSON.parse(answer)).toMatchObject({ finishReason: "length", usage: { completionTokens: 4 } });
  });
});

describe("the addon of a package with a prebuilt one", () => {
  const folder = path.join(app, "node_modules", prebuilt);
  const manifestFile = path.join(installed, "package.json");
  const readJson = (file: string) => JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  const { version } = readJson(path.join(root, "package.json")) as { version: string };
  const env: NodeJS.ProcessEnv = { ...process.env };
  delete env["WARPLOOP_BINARY"];
  const run = (...args: string[]) =>
    execFileSync(process.execPath, args, { cwd: app, env, encoding: "utf8", stdio: "pipe" });
  const opening =
    'import("warploop").then((w) => w.Device.open("cpu").name).catch((e) => e.message).then(console.log)';
  const open = () => run("-e", opening);
  const write = (file: string, changes: object) =>
    writeFileSync(file, JSON.stringify({ ...readJson(file), ...changes }));

  beforeEach(() => {
    mkdirSync(folder, { recursive: true });
    execFileSync("tar", ["-xzf", prebuiltTarball, "-C", folder, "--strip-components=1"]);
  });

  it("comes with an optional dependency at this very version, for the systems that it fits", () => {
    expect(readJson(manifestFile)["optionalDependencies"]).toEqual({ [prebuilt]: version });
    expect(readdirSync(folder).sort()).toEqual(["LICENSE", "README.md", "package.json", "warploop.node"]);
    const { os, cpu, ...other } = targets[target];
    expect(readJson(path.join(folder, "package.json"))).toMatchObject({
      ...{ name: prebuilt, version, os: [os], cpu: [cpu], main: "warploop.node" },
      ...("libc" in other && { libc: [other.libc] }),
    });
    expect(readFileSync(path.join(folder, "README.md"), "utf8")).toMatch(/It needs (glibc 2\.\d+|macOS)/);
  });

  it("is loaded where nothing was built, and named by doctor; an install compiles nothing then", () => {
    expect(open()).toBe("cpu\n");
    expect(run(path.join(installed, "scripts/cli.mjs"), "doctor")).toMatch(
      new RegExp(`^addon .*${prebuilt}/warploop\\.node \\([\\d.]+ MiB, prebuilt\\)$`, "m"),
    );
    expect(run(path.join(installed, "scripts/install.mjs"))).toMatch(/ fits: nothing is compiled\.\n$/);
    expect(existsSync(path.join(installed, "build"))).toBe(false);
  });

  it("is refused in another version, with both and the way out", () => {
    write(path.join(folder, "package.json"), { version: "0.0.1" });
    const message = open();
    expect(message).toContain(`${prebuilt} has version 0.0.1, warploop has version ${version}`);
    expect(message).toContain(`npm install ${prebuilt}@${version}`);
  });

  it("was left out by an option or a lock file, when it is one of the optional dependencies", () => {
    rmSync(folder, { recursive: true });
    expect(open()).toMatch(
      new RegExp(`${prebuilt}: not installed\n.*${prebuilt} has it.*--omit=optional.*lock file`),
    );
  });

  it("does not exist, when it is none of them", () => {
    rmSync(folder, { recursive: true });
    const listed = readJson(manifestFile)["optionalDependencies"];
    write(manifestFile, { optionalDependencies: {} });
    const message = open();
    write(manifestFile, { optionalDependencies: listed });
    expect(message).toMatch(/has no prebuilt one for this system: run `npx warploop build`/);
  });

  it.each([["esm"], ["cjs"]] as const)(
    "is found from a bundle (%s) that leaves warploop external",
    (format) => {
      const bundle = (external: string[]): string => {
        const outfile = path.join(app, `bundle.${format === "esm" ? "mjs" : "cjs"}`);
        buildSync({
          stdin: { contents: opening, resolveDir: app },
          ...{ bundle: true, platform: "node", format, external, outfile, logLevel: "silent" },
        });
        return run(outfile);
      };
      expect(bundle(["warploop"])).toBe("cpu\n");
      expect(bundle([])).toMatch(/cannot be found from a bundle.*esbuild --external:warploop/);
    },
  );
});
