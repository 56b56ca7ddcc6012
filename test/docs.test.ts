// Contract: the pages for users say what the code does. Options, their defaults and ranges, error codes and architectures
// are all there and no others, and what is shown as TypeScript compiles.
import { readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { loadOptionNames, resolveOptions } from "../lib/llm/engineOptions.js";
import { generateOptionNames, resolveGeneration } from "../lib/llm/generateOptions.js";
import * as errors from "../lib/errors.js";
import { supportedArchitectures } from "../lib/models/registry.js";
import { root } from "../scripts/build/nativeSources.mjs";
import { repoFiles } from "../scripts/check/repoFiles.mjs";
import { noDefaults } from "./llm/bareEngine.js";

const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const unique = (list: Iterable<string>): string[] => [...new Set(list)].sort();

/** The rows of the first table behind a heading of a page, as cells. */
function table(page: string, heading: string): string[][] {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("|"));
  return rows.slice(2).map((row) =>
    row
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}

/** Names of the properties that an interface declares itself. */
function propertiesOf(file: string, name: string): string[] {
  const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022);
  const found = source.statements.find((one) => ts.isInterfaceDeclaration(one) && one.name.text === name);
  return (found as ts.InterfaceDeclaration).members.map((member) => (member.name as ts.Identifier).text);
}

const optionsPage = read("docs/options.md");
const context = {
  vocabSize: 200,
  contextLength: 1000,
  eosTokenIds: [],
  sampling: noDefaults,
  hasTokenizer: true,
};
const calls = [
  { heading: "LLM.load", names: loadOptionNames },
  { heading: "generate", names: generateOptionNames },
  { heading: "chat", names: propertiesOf("lib/llm/chatOptions.ts", "ChatOptions") },
  { heading: "embed", names: propertiesOf("lib/llm/embed.ts", "EmbedOptions") },
  { heading: "generateAll", names: propertiesOf("lib/llm/generateAll.ts", "GenerateAllOptions") },
  {
    heading: "close",
    names: [
      ...(/readOptions\("close", .*?\[(.*?)\]/.exec(read("lib/llm/llm.ts"))?.[1] ?? "").matchAll(/\w+/g),
    ].map(([name]) => name),
  },
];
const checked = [
  { heading: "LLM.load", resolve: (options: object): object => resolveOptions(options) },
  {
    heading: "generate",
    resolve: (options: object): object => {
      const { sampling, ...rest } = resolveGeneration(options, context);
      return { ...sampling, ...rest };
    },
  },
];

describe("docs/options.md", () => {
  it.each(calls)("has every option of $heading and no other", ({ heading, names }) => {
    expect(names.length).toBeGreaterThan(0);
    expect(unique(table(optionsPage, heading).map(([name = ""]) => name))).toEqual(
      unique(names.map((name) => `\`${name}\``)),
    );
  });

  it.each(checked)("has the defaults of $heading", ({ heading, resolve }) => {
    const defaults = resolve({}) as Readonly<Record<string, unknown>>;
    const stated = table(optionsPage, heading).flatMap(([name = "", , value = ""]) => {
      const literal = /^`([^`]+)`/.exec(value)?.[1];
      return literal?.match(/^["\d-]|^(true|false)$/)
        ? [[name.slice(1, -1), JSON.parse(literal)] as const]
        : [];
    });
    expect(stated.length).toBeGreaterThan(6);
    for (const [name, value] of stated) if (name in defaults) expect(defaults[name], name).toEqual(value);
  });

  it.each(checked)("has the ranges of $heading", ({ heading, resolve }) => {
    const ranges = table(optionsPage, heading).flatMap(([name = "", , , range = ""]) => {
      const [, min, max] = /^(-?[\d.]+) to (-?[\d.]+)\b/.exec(range) ?? [];
      return min === undefined ? [] : [{ name: name.slice(1, -1), min: Number(min), max: Number(max) }];
    });
    expect(ranges.length).toBeGreaterThan(4);
    for (const { name, min, max } of ranges) {
      expect(() => resolve({ [name]: min }), `${name}: ${min}`).not.toThrow();
      expect(() => resolve({ [name]: max }), `${name}: ${max}`).not.toThrow();
      for (const outside of [min - 2, max + 2])
        expect(() => resolve({ [name]: outside }), `${name}: ${outside}`).toThrow(errors.ArgumentRangeError);
    }
  });
});

it("README, docs and the build name the same compiler", () => {
  const files = ["README.md", "docs/use-in-your-app.md", "scripts/build/toolchain.mjs"];
  const named = files.map((file) =>
    [...read(file).matchAll(/g\+\+ (\d+)(?:,| or newer)/g)].map(([, version]) => version),
  );
  expect(named).toEqual(files.map(() => [named[0]?.[0]]));
});

describe("docs/errors.md", () => {
  const page = read("docs/errors.md");
  const ofNode = ["ERR_SCRIPT_EXECUTION_TIMEOUT", "ERR_WORKER_OUT_OF_MEMORY"]; // caught, and thrown as errors of ours
  const code = /\b(?:ERR|WARN)_[A-Z_]+\b/g;
  const codesOf = (text: string) => [...text.matchAll(code)].map(([name]) => name);

  it("has every code of the sources and no other", () => {
    const sources = repoFiles(/^(lib\/.*\.ts|native\/bind\/.*\.(cc|h))$/).flatMap((file) =>
      codesOf(read(file)),
    );
    expect(unique(codesOf(page))).toEqual(unique(sources.filter((name) => !ofNode.includes(name))));
  });

  it("has every class in a table and no other", () => {
    const classes = [...page.matchAll(/^\| `(\w+Error)`/gm)].map(([, name = ""]) => name);
    expect(unique(classes)).toEqual(Object.keys(errors).sort());
  });
});

describe("docs/gpu.md", () => {
  it("quotes only messages that the code has", () => {
    const code = repoFiles(/^(lib|native)\/.*\.(ts|cc|cu|cuh|h)$/)
      .map(read)
      .join("\n");
    const quoted = table(read("docs/gpu.md"), "Errors and what to do").map(([cell = ""]) => cell);
    expect(quoted.length).toBeGreaterThan(5);
    for (const cell of quoted) {
      // Without what stands for a value: names in quotes, numbers, single capitals, dots.
      const message = /`([^`]+)`/.exec(cell)?.[1] ?? "";
      const pieces = message
        .split(/"[^"]*"|\[.*?\]|\d[\d.]*|\b[A-Z]\b|\.\.\.|^\w+: /)
        .map((piece) => piece.replace(/[:,\s]+$/, "").trim());
      const words = pieces.filter((piece) => /[a-z]{3}/i.test(piece));
      expect(words.length, cell).toBeGreaterThan(0);
      for (const piece of words) expect(code.includes(piece), `${cell}: ${piece}`).toBe(true);
    }
  });
});

describe("docs/choose-a-model.md", () => {
  it("has every architecture that runs and no other", () => {
    const rows = table(read("docs/choose-a-model.md"), "What runs").map(([name = ""]) => name);
    expect(rows.filter((name) => /^`\w+`$/.test(name)).sort()).toEqual(
      supportedArchitectures.map((name) => `\`${name}\``).sort(),
    );
  });
});

describe("TypeScript in README.md and docs", () => {
  /** What a snippet without imports may take for granted. */
  const prelude = 'declare const llm: import("warploop").LLM;\nexport {};\n';
  const snippets = new Map<string, string>();
  for (const page of repoFiles(/^(README\.md|docs\/[\w-]+\.md)$/)) {
    for (const [i, [, code = ""]] of [...read(page).matchAll(/^```ts\n([\s\S]*?)^```/gm)].entries())
      snippets.set(
        path.join(root, `${page.replaceAll("/", "-")}-${i + 1}.ts`),
        code.includes("import ") ? code : prelude + code,
      );
  }

  it("compiles", () => {
    const config = ts.getParsedCommandLineOfConfigFile(
      path.join(root, "tsconfig.json"),
      {
        noUnusedLocals: false,
        paths: {
          warploop: ["./lib/index.ts"],
          "warploop/server": ["./server/index.ts"],
          "warploop/openai": ["./server/openai/index.ts"],
          "warploop/toolcalls": ["./toolcalls/index.ts"],
          "warploop/ai-sdk": ["./providers/aiSdk/index.ts"],
        },
      },
      { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => undefined },
    )!;
    const host = ts.createCompilerHost(config.options);
    const { fileExists, readFile } = host;
    host.fileExists = (file) => snippets.has(file) || fileExists(file);
    host.readFile = (file) => snippets.get(file) ?? readFile(file);
    const program = ts.createProgram([...snippets.keys()], config.options, host);
    const problems = [...snippets.keys()].flatMap((file) => [
      ...program.getSyntacticDiagnostics(program.getSourceFile(file)),
      ...program.getSemanticDiagnostics(program.getSourceFile(file)),
    ]);
    expect(snippets.size).toBeGreaterThan(5);
    expect(
      ts.formatDiagnostics(problems, {
        getCanonicalFileName: (one) => one,
        getCurrentDirectory: () => root,
        getNewLine: () => "\n",
      }),
    ).toBe("");
  });
});
