// Contract: the repository is whole. Every op has all its pieces, nothing is compiled that no list names, budgets hold,
// links resolve, and the rooms of docs/architecture.md do not reach into one another.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { findExcesses } from "../scripts/budgets.mjs";
import { commonSources, isaSources, readOps, readSources, root } from "../scripts/nativeSources.mjs";
import { repoFiles } from "../scripts/repoFiles.mjs";

const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const exists = (file: string): boolean => existsSync(path.join(root, file));

/** "file:line: text" for each line of the files that matches. */
function matches(files: readonly string[], pattern: RegExp): string[] {
  return files.flatMap((file) => {
    const lines = read(file).split("\n");
    return lines.flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim()}`] : []));
  });
}

describe("ops", () => {
  const ops = readOps();

  it("are listed", () => {
    expect(ops.length).toBeGreaterThan(0);
  });

  it.each(ops)("$js has all its files", ({ name, js }) => {
    const native = [".h", ".check.cc", ".cpu.cc", ".bind.cc"].map(
      (end) => `native/ops/${name}/${name}${end}`,
    );
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
    const listed = [...commonSources(), ...isaSources()].map((file) => `native/${file}`);
    expect(listed.sort()).toEqual(repoFiles(/^native\/.*\.cc$/));
  });

  it("has the same instruction sets and sources with CMake and with node-gyp", () => {
    const gyp = read("native/binding.gyp");
    const inGyp = [...gyp.matchAll(/WARPLOOP_ISA=(\w+)/g)].map(([, name]) => name);
    expect(inGyp).toEqual(Object.values(readSources().isas).flatMap((isas) => Object.keys(isas)));
    expect(matches(["native/binding.gyp", "CMakeLists.txt"], /(^|[\s/"])\w+\.cc\b/)).toEqual([]);
  });

  it("keeps N-API and CUDA out of native/core, and N-API in the bindings", () => {
    const coreFiles = repoFiles(/^native\/core\//);
    const unbound = repoFiles(/^native\/(core|cpu|ops)\/(?!.*\.bind\.cc$)/);
    expect(matches(coreFiles, /#include\s*[<"].*(napi|node_api|cuda)/)).toEqual([]);
    expect(matches(unbound, /#include\s*[<"].*(napi|node_api|bind\/)/)).toEqual([]);
  });
});

/** Files that `file` imports at run time, directly or not. */
function importsOf(file: string, seen = new Set<string>()): Set<string> {
  const statements = read(file).matchAll(/^(?:import|export)\s+(?!type\b)[^;]*?from\s+"(\.[^"]+)\.js"/gm);
  for (const [, target = ""] of statements) {
    const imported = `${path.posix.join(path.posix.dirname(file), target)}.ts`;
    if (seen.has(imported) || !exists(imported)) continue;
    seen.add(imported);
    importsOf(imported, seen);
  }
  return seen;
}

describe("rooms", () => {
  const pure = ["request", "scheduler", "blockPool", "prefixCache", "stepPlan"].map(
    (n) => `lib/engine/${n}.ts`,
  );

  it.each(pure)("%s is reached without the native module", (file) => {
    const forbidden = [...importsOf(file)].filter((imported) =>
      /^lib\/(native|nativeLoader|tensor|stream|device|graph|ops\/.*)\.ts$/.test(imported),
    );
    expect(forbidden).toEqual([]);
  });

  it("lib/nn and lib/models make no native call", () => {
    expect(matches(repoFiles(/^lib\/(nn|models)\//), /from "\.\.\/native(Loader)?\.js"/)).toEqual([]);
  });

  it("nothing in lib imports tests, benches, examples or scripts", () => {
    expect(matches(repoFiles(/^lib\//), /from "(\.\.\/)+(test|bench|examples|scripts)\//)).toEqual([]);
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

  it("WARPLOOP_ environment variables are read in lib/env.ts, and it names those that the addon reads", () => {
    const others = repoFiles(/^(lib|bench|examples)\/.*\.ts$/).filter((file) => file !== "lib/env.ts");
    expect(matches(others, /process\.env\b.*WARPLOOP_/)).toEqual([]);
    const native = repoFiles(/^native\/.*\.(cc|h)$/).flatMap((file) => [
      ...read(file).matchAll(/getenv\("(\w+)"\)/g),
    ]);
    const undocumented = native
      .map(([, name = ""]) => name)
      .filter((name) => !read("lib/env.ts").includes(name));
    expect(undocumented).toEqual([]);
  });

  it("no file holds a path of the machine it was written on", () => {
    const text = repoFiles(/\.(ts|mjs|js|json|md|cc|h|cu|cuh|txt|gyp|gypi)$|^\.ci\//);
    const own = text.filter((file) => !/^(models|test\/goldens)\/|^package-lock\.json$/.test(file));
    expect(matches(own, /(^|[\s"'`=(:])\/([w]ork|[r]oot|[h]ome|[t]mp\/[a-z]|[U]sers)\b/)).toEqual([]);
  });
});
