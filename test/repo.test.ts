// Contract: the repository is whole. Every op has all its pieces, nothing is compiled that no list names, budgets hold,
// links resolve, and the rooms of docs/architecture.md do not reach into one another.
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { findExcesses } from "../scripts/check/budgets.mjs";
import {
  commonSources,
  gpuSources,
  isaSources,
  readOps,
  readSources,
  root,
} from "../scripts/build/nativeSources.mjs";
import { repoFiles } from "../scripts/check/repoFiles.mjs";
import {
  arrowProblem,
  rooms,
  tableProblems,
  upperArrowProblem,
  upperRooms,
} from "../scripts/check/rooms.mjs";
import { mutants } from "./mutants/mutants.mjs";

const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const exists = (file: string): boolean => existsSync(path.join(root, file));

/** "file:line: text" for each line of the files that matches. */
function matches(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) => {
    const lines = read(file).split("\n");
    return lines.flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : []));
  });
}

/** The same for C++, where comments may say what they like. `pattern` has no flag g. */
function matchesInCode(files: readonly string[], pattern: RegExp): string[] {
  return matches(files, pattern).filter((found) => {
    const code = found.replace(/^[^ ]+ /, "").replace(/\/\/.*$/, "");
    return pattern.test(code);
  });
}

describe("ops", () => {
  const ops = readOps();

  it("are listed", () => {
    expect(ops.length).toBeGreaterThan(0);
  });

  it.each(ops)("$js has all its files", ({ name, js }) => {
    const native = [".h", ".check.cc", ".cpu.cc", ".cu"].map((end) => `native/ops/${name}/${name}${end}`);
    const script = [`lib/ops/${js}.ts`, `test/reference/${js}.ts`, `test/ops/${js}.test.ts`];
    const pieces = [...native, ...script, `bench/ops/${js}.bench.ts`];
    expect(pieces.filter((file) => !exists(file))).toEqual([]);
  });

  it("have one folder each, and no folder is left over", () => {
    const entries = readdirSync(path.join(root, "native/ops"), { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    expect(folders.sort()).toEqual(ops.map(({ name }) => name).sort());
  });

  it("have one stem in three spellings", () => {
    const camel = (name: string) => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    for (const { name, type, js } of ops) {
      expect(js).toBe(camel(name));
      expect(type).toBe(js.charAt(0).toUpperCase() + js.slice(1));
    }
  });
});

describe("native build", () => {
  it("compiles every .cc file, each from one list", () => {
    const listed = [...commonSources(), ...isaSources(), ...gpuSources()].map((file) => `native/${file}`);
    expect(listed.sort()).toEqual(repoFiles(/^native\/.*\.cc$/));
  });

  it("finds every .cu file by its folder", () => {
    const folders = ["native/cuda/attention", "native/cuda/attention/instances"]; // as in CMakeLists.txt
    const known = new Set([...folders, ...readOps().map(({ name }) => `native/ops/${name}`)]);
    expect(repoFiles(/^native\/.*\.cu$/).filter((file) => !known.has(path.dirname(file)))).toEqual([]);
  });

  it("has the same instruction sets and sources with CMake and with node-gyp", () => {
    const gyp = read("native/binding.gyp");
    const inGyp = [...gyp.matchAll(/WARPLOOP_ISA=(\w+)/g)].map(([, name]) => name);
    expect(inGyp).toEqual(Object.values(readSources().isas).flatMap((isas) => isas.map(({ name }) => name)));
    const addon = /^(?!.*\b(atoms|mutants)\b)[^#]*[\s/"]\w+\.cc\b/; // not the suites beside it, not comments
    expect(matches(["native/binding.gyp", "CMakeLists.txt"], addon)).toEqual([]);
  });

  it("keeps N-API and CUDA out of native/core, and N-API in the bindings", () => {
    const coreFiles = repoFiles(/^native\/core\//);
    const unbound = repoFiles(/^native\/(core|cpu|cuda|simt|ops)\//);
    expect(matches(coreFiles, /#include\s*[<"].*(napi|node_api|cuda|simt)/)).toEqual([]);
    expect(matches(unbound, /#include\s*[<"].*(napi|node_api|bind\/)/)).toEqual([]);
  });

  it("keeps CUDA out of the CPU device and of an op's shared files", () => {
    const portable = repoFiles(/^native\/(cpu\/|ops\/.*\.(check|cpu)\.cc$)/);
    const contracts = readOps().map(({ name }) => `native/ops/${name}/${name}.h`);
    expect(matches([...portable, ...contracts], /#include\s*[<"].*(cuda|simt)/)).toEqual([]);
  });
});

describe("kernels", () => {
  const kernels = repoFiles(/^(native|test\/(atoms|mutants))\/.*\.(cu|cuh)$/).filter(
    (file) => !file.startsWith("native/cuda/device/"),
  );

  it("use the wrappers of native/cuda/device: no asm, intrinsics, __shared__ or <<<", () => {
    const allowed = ["global", "launch_bounds", "grid_constant", "restrict"].join("|");
    const raw = new RegExp(`\\basm\\b|<<<|(^|[^\\w"])__(?!(${allowed})__)\\w`);
    expect(matchesInCode(kernels, raw)).toEqual([]);
  });

  it("are compiled from one source: no #ifdef, no headers of CUDA or simt of their own", () => {
    expect(matchesInCode(kernels, /^\s*#\s*(if|ifdef|ifndef|elif)\b/)).toEqual([]);
    const native = kernels.filter((file) => file.startsWith("native/"));
    expect(
      matchesInCode(native, /#include\s*[<"](cuda_\w+\.h|cuda\.h|mma\.h|cooperative|cub\/|simt\/)/),
    ).toEqual([]);
  });

  it("wait for those before them: the first statement of each, or after what it may do earlier", () => {
    const bodies = repoFiles(/^native\/.*\.(cu|cuh)$/).flatMap((file) =>
      [...read(file).matchAll(/__global__\s+void[^;{]*?(\w+)\(const [^;{]*?\)\s*\{\n(.*?)\n\}\n/gs)].map(
        ([, name, body]) => ({ kernel: `${file}: ${name ?? ""}`, body: body ?? "" }),
      ),
    );
    const all = repoFiles(/^native\/.*\.(cu|cuh)$/).flatMap((file) => read(file).match(/__global__/g) ?? []);
    expect(bodies.length).toBe(all.length);
    const calls = (body: string) => body.match(/^ {2}wait_for_predecessors\(\);$/gm)?.length ?? 0;
    expect(bodies.filter(({ body }) => calls(body) !== 1).map(({ kernel }) => kernel)).toEqual([]);
    const returnsEarlier = bodies.filter(({ body }) =>
      /\breturn\b[^}]*?^ {2}wait_for_predecessors/ms.test(body),
    );
    expect(returnsEarlier.map(({ kernel }) => kernel)).toEqual([]);
  });

  it("of the CUDA host side choose the GPU of a thread in one place, which remembers it", () => {
    const callers = repoFiles(/^native\/cuda\/.*\.(cc|h|cu)$/).filter((file) =>
      /\bcudaSetDevice\(/.test(read(file)),
    );
    expect(callers).toEqual(["native/cuda/gpu.cc"]);
  });

  it("of an op begin with a header, each label on a line of its own", () => {
    const labels = "What|Steps|Mapping|Resources|Cost|Numerics|Limits|Source";
    const own = repoFiles(/^native\/ops\/.*\.(cpu\.cc|cu)$/);
    expect(own.filter((file) => !/^(\/\/.*\n)*\/\/ What: {6}/.test(read(file)))).toEqual([]);
    const native = repoFiles(/^native\/.*\.(h|cc|cu|cuh)$/);
    expect(matches(native, new RegExp(`^\\s*// .*\\S\\s+((${labels}): {2,}|Resources: )`))).toEqual([]);
    expect(matches(native, /^.{111}/)).toEqual([]);
  });
});

/** The files that a file imports, types as well. */
function importsOf(file: string): string[] {
  const targets = [...read(file).matchAll(/\bfrom "(\.[^"]+)\.js"/g)].map(([, target = ""]) => target);
  return targets.map((target) => `${path.posix.join(path.posix.dirname(file), target)}.ts`);
}

describe("rooms", () => {
  it("files of lib import each other in no circle, but for those that a device and its streams and tensors are", () => {
    const imports = new Map(repoFiles(/^lib\/.*\.ts$/).map((file) => [file, importsOf(file)]));
    const reaches = (from: string, to: string, seen = new Set<string>()): boolean =>
      imports.get(from)!.some((next) => {
        if (next === to) return true;
        if (seen.has(next)) return false;
        seen.add(next);
        return reaches(next, to, seen);
      });
    const inCircles = [...imports.keys()].filter((file) => reaches(file, file));
    expect(inCircles.sort()).toEqual(
      ["device", "graph", "scope", "stream", "tensor"].map((name) => `lib/device/${name}.ts`),
    );
  });

  it("one file of lib prints", () => {
    const others = repoFiles(/^lib\//).filter((file) => file !== "lib/llm/terminal.ts");
    expect(matches(others, /^(?!\s*(\*|\/\/)).*(process\.std(out|err)\b|\bconsole\.\w+\()/)).toEqual([]);
  });

  it("the table names only what stands above", () => {
    expect(tableProblems()).toEqual([]);
    expect(tableProblems({ a: ["b"], b: ["b", "a", "c/d.js"] })).toEqual([
      "b does not stand above a",
      "b does not stand above b",
      "c/d.js does not stand above b",
    ]);
    const folders = repoFiles(/^lib\/.*\.ts$/).map((file) => path.posix.dirname(file).slice("lib/".length));
    expect(Object.keys(rooms).sort()).toEqual([...new Set(folders)].filter((name) => name !== "").sort());
  });

  it.each([
    [
      "schedule/request.ts",
      "../device/tensor.js",
      "lib/schedule may import no other folder, not device/tensor.js",
    ],
    ["nn/mlp.ts", "../device/native.js", expect.stringMatching("not device/native.js")],
    ["nn/mlp.ts", "../device/tensor.js", undefined],
    ["text/jinja/loop.ts", "../tokenizer.js", expect.stringMatching("not text/tokenizer.js")],
    ["text/jinja/loop.ts", "../../errors.js", undefined],
    ["errors.ts", "./device/tensor.js", "files directly in lib/ import no folder, as device"],
    ["llm/llm.ts", "../index.js", "lib/index.ts is the public face: nothing in lib/ imports it"],
    [
      "llm/llm.ts",
      "../../test/support/random.js",
      "lib/ imports nothing from outside, as test/support/random.js",
    ],
    ["cellar/wine.ts", "../device/tensor.js", "lib/cellar is not in the table of scripts/check/rooms.mjs"],
  ])("%s imports %s: %s", (file, specifier, problem) => {
    expect(arrowProblem(file, specifier)).toEqual(problem);
  });
});

describe("rooms above lib", () => {
  it("the table names only what stands above", () => {
    expect(tableProblems(upperRooms)).toEqual([]);
  });

  it.each([
    ["server/app.ts", "../lib/index.js", undefined],
    ["server/routes/chat.ts", "../../toolcalls/index.js", undefined],
    ["server/routes/chat.ts", "../app.js", undefined],
    ["server/app.ts", "hono", undefined],
    ["server/child/receivers.ts", "../../lib/llm/generationStream.js", undefined],
    [
      "server/app.ts",
      "../lib/llm/llm.js",
      "server/ may import lib/index.js, toolcalls/index.js, lib/llm/generationStream.js, not lib/llm/llm.js",
    ],
    ["toolcalls/machine.ts", "../server/index.js", "toolcalls/ may import lib/index.js, not server/index.js"],
    ["cli/run.ts", "../test/support/random.js", expect.stringMatching("not test/support/random.js")],
  ])("%s imports %s: %s", (file, specifier, problem) => {
    expect(upperArrowProblem(file, specifier)).toEqual(problem);
  });
});

describe("habits", () => {
  it("every file and function is within its budget", () => {
    expect(findExcesses()).toEqual([]);
  });

  it("relative links in Markdown files resolve", () => {
    const broken = repoFiles(/\.md$/).flatMap((file) => {
      const links = [
        ...read(file)
          .replace(/```[\s\S]*?```/g, "")
          .matchAll(/\]\(([^)\s#]+)(#[^)]*)?\)/g),
      ];
      const relative = links.map(([, target = ""]) => target).filter((target) => !/^[a-z]+:/.test(target));
      return relative
        .filter((target) => !exists(path.join(path.dirname(file), target)))
        .map((t) => `${file}: ${t}`);
    });
    expect(broken).toEqual([]);
  });

  it("what a change costs: files that would change are there, and files that would come are not", () => {
    const rows = read("docs/what-a-change-costs.md")
      .split("\n")
      .filter((line) => line.startsWith("| ") && !line.startsWith("| -"))
      .slice(1)
      .map((line) => line.split("|").slice(1, -1));
    expect(rows.length).toBeGreaterThan(10);
    const named = (cell = ""): string[] =>
      [...cell.matchAll(/`([\w./-]+\/[\w.-]+)`/g)].map(([, file = ""]) => file);
    expect(rows.flatMap(([, changed]) => named(changed)).filter((file) => !exists(file))).toEqual([]);
    expect(rows.flatMap(([, , fresh]) => named(fresh)).filter(exists)).toEqual([]);
  });

  it("every npm script that a Markdown file names exists", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const missing = repoFiles(/\.md$/).flatMap((file) => {
      const names = [...read(file).matchAll(/\b(?:npm run|run\.sh) ([a-z]+(?:[:-][a-z0-9]+)*)/g)];
      return names.filter(([, name = ""]) => !(name in scripts)).map(([text]) => `${file}: ${text}`);
    });
    expect(missing).toEqual([]);
  });

  it("WARPLOOP_ environment variables are read in lib/env.ts, and those that the addon reads are documented", () => {
    const others = repoFiles(/^(lib|toolcalls|server|providers|cli|bench|examples)\/.*\.ts$/).filter(
      (file) => file !== "lib/env.ts",
    );
    const set = /^[^:]+:\d+: (delete process\.env\b|process\.env\["\w+"\] = )/; // for the addon, which reads it
    const found = matches(others, /process\.env\b.*WARPLOOP_/);
    expect(found.filter((line) => !set.test(line))).toEqual([]);
    const native = repoFiles(/^native\/.*\.(cc|h)$/).flatMap((file) => [
      ...read(file).matchAll(/"(WARPLOOP_[A-Z]\w+)"/g),
    ]);
    const page = (name: string) => (name.startsWith("WARPLOOP_SIMT_") ? "docs/simt.md" : "lib/env.ts");
    const undocumented = native
      .map(([, name = ""]) => name)
      .filter((name) => !read(page(name)).includes(name));
    expect(undocumented).toEqual([]);
  });

  it("each edit of a planted bug still finds its text, once", () => {
    const stale = mutants.flatMap(({ name, file, edits }) =>
      edits.filter(([text]) => read(file).split(text).length !== 2).map(([text]) => `${name}: ${text}`),
    );
    expect(stale).toEqual([]);
  });

  it("the goldens, which every clone carries, are small: thin and packed (test/support/thinGolden.ts)", () => {
    const files = repoFiles(/^test\/(gguf\/)?goldens\//);
    const bytes = files.reduce((sum, file) => sum + statSync(path.join(root, file)).size, 0);
    expect(bytes).toBeGreaterThan(2 ** 20);
    expect(bytes).toBeLessThan(12 * 2 ** 20);
    expect(files.filter((file) => file.endsWith("/model.safetensors"))).toEqual([]);
  });

  it("no file holds a path of the machine it was written on", () => {
    const text = repoFiles(/\.(ts|mjs|js|json|md|cc|h|cu|cuh|txt|cmake|py|gyp|gypi)$|^\.ci\//);
    const own = text.filter((file) => !/^(models|test\/goldens)\/|^package-lock\.json$/.test(file));
    expect(matches(own, /(^|[\s"'`=(:])\/([w]ork|[r]oot|[h]ome|[t]mp\/[a-z]|[U]sers)\b/)).toEqual([]);
  });
});
