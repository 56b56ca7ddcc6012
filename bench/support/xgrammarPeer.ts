/** The process in which bench/grammar.ts runs web-xgrammar: reads a PeerInput from standard input, writes a PeerResult. */
import { copyFileSync, mkdtempSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { processCpuMs as cpuMs } from "./cpuClock.js";

export interface PeerCase {
  readonly format: {
    readonly schema?: unknown;
    readonly regex?: string;
    readonly choice?: readonly string[];
  };
  readonly texts: readonly (readonly number[])[];
}

export interface PeerResult {
  readonly vocabularyMs: number;
  readonly results: readonly {
    readonly compileMs: number;
    readonly firstMs: number;
    readonly masks: number[];
  }[];
}

interface Disposed {
  dispose(): void;
}

interface GrammarMatcher extends Disposed {
  getNextTokenBitmask(): Promise<Int32Array>;
  acceptToken(id: number): boolean;
}

interface GrammarCompiler {
  compileJSONSchema(
    schema: string,
    anyWhitespace: boolean,
    indent: number,
    separators: [string, string],
    strict: boolean,
  ): Promise<Disposed>;
  compileStructuralTag(tag: object): Promise<Disposed>;
  compileGrammar(ebnf: string): Promise<Disposed>;
}

interface Xgrammar {
  TokenizerInfo: {
    createTokenizerInfo(
      vocab: readonly string[],
      type: string,
      prependSpace: boolean,
      size: number,
      stops: number[],
    ): Promise<Disposed>;
  };
  GrammarCompiler: { createGrammarCompiler(info: Disposed): Promise<GrammarCompiler> };
  GrammarMatcher: { createGrammarMatcher(grammar: Disposed): Promise<GrammarMatcher> };
}

const { folder, vocabulary, end, cases } = JSON.parse(readFileSync(0, "utf8")) as {
  readonly folder: string;
  readonly vocabulary: readonly string[];
  readonly end: number;
  readonly cases: readonly PeerCase[];
};
// The package says that it is a module and is none.
const file = join(mkdtempSync(join(tmpdir(), "warploop-peer-")), "web-xgrammar.cjs");
copyFileSync(join(folder, "node_modules/@mlc-ai/web-xgrammar/lib/index.js"), file);
const xgrammar = createRequire(import.meta.url)(file) as Xgrammar;

const start = cpuMs();
const info = await xgrammar.TokenizerInfo.createTokenizerInfo(
  vocabulary,
  "byte_level",
  false,
  vocabulary.length,
  [end],
);
const vocabularyMs = cpuMs() - start;
const results: PeerResult["results"][number][] = [];
for (const { format, texts } of cases) {
  const compiler = await xgrammar.GrammarCompiler.createGrammarCompiler(info); // nothing is in its cache
  const before = cpuMs();
  const grammar = await compile(compiler, format);
  const compileMs = cpuMs() - before;
  const masks: number[] = [];
  for (const ids of texts) {
    const matcher = await xgrammar.GrammarMatcher.createGrammarMatcher(grammar);
    for (const id of ids) {
      const at = cpuMs();
      await matcher.getNextTokenBitmask();
      masks.push(cpuMs() - at);
      if (!matcher.acceptToken(id)) break; // it writes some numbers otherwise
    }
    matcher.dispose();
  }
  results.push({ compileMs, firstMs: masks[0] ?? NaN, masks });
  grammar.dispose();
}
process.stdout.write(JSON.stringify({ vocabularyMs, results } satisfies PeerResult));

function compile(
  compiler: GrammarCompiler,
  { schema, regex, choice }: PeerCase["format"],
): Promise<Disposed> {
  if (schema !== undefined)
    return compiler.compileJSONSchema(JSON.stringify(schema), false, -1, [",", ":"], false);
  if (regex !== undefined)
    return compiler.compileStructuralTag({ format: { type: "regex", pattern: regex } });
  return compiler.compileGrammar(`root ::= ${choice!.map((text) => JSON.stringify(text)).join(" | ")}`);
}
