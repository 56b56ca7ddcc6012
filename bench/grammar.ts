/**
 * Masks of constrained output over 151,936 tokens (the lowest ranks of OpenAI's o200k): how long a form takes to compile, a first mask to come and the
 * others, in time of the processor. Texts are of the form, in the tokenizer's own tokens, and then random: any token that the mask has. With a
 * folder where web-xgrammar is installed, it walks through the same tokens in a process of its own.
 *
 *     npm run bench:grammar -- [--texts 20] [--random 20] [--peer <folder with @mlc-ai/web-xgrammar>]
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { checkFormat, writeFormat } from "../lib/grammar/format.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../lib/grammar/matcher.js";
import { tokenBytes } from "../lib/grammar/tokenBytes.js";
import { Tokenizer } from "../lib/text/tokenizer.js";
import { benchArgs } from "./support/benchArgs.js";
import { Dice } from "./support/dice.js";
import { type GrammarCase, grammarCases } from "./support/grammarCases.js";
import { processCpuMs as cpuMs } from "./support/cpuClock.js";
import { realTokenizer } from "./support/realTokenizers.js";
import { quantile } from "./support/statistics.js";
import { printTable } from "./support/table.js";
import { wideVocabulary } from "./support/wideVocabulary.js";
import type { PeerCase, PeerResult } from "./support/xgrammarPeer.js";

const values = benchArgs(import.meta.url, {
  texts: { type: "string", default: "20" },
  random: { type: "string", default: "20" },
  peer: { type: "string" },
});
const numTexts = Number(values.texts);
const randomTokens = 120;

/** Of one case. Milliseconds. */
interface Times {
  readonly compileMs: number;
  readonly firstMs: number;
  readonly masks: readonly number[];
  readonly random: readonly number[];
}

/** What the clock itself takes. */
const clockMs = quantile(
  Array.from({ length: 1000 }, () => -cpuMs() + cpuMs()),
  0.5,
);
const timed = (work: () => void): number => {
  const start = cpuMs();
  work();
  return Math.max(0, cpuMs() - start - clockMs);
};

const tokenizer = (await Tokenizer.load(realTokenizer("o200k", wideVocabulary)))!;
const bytes = drain(tokenBytes(tokenizer, wideVocabulary));
let vocabulary!: GrammarVocabulary;
const trieMs = timed(() => (vocabulary = new GrammarVocabulary(bytes)));
console.log(
  `${wideVocabulary.toLocaleString("en")} tokens: trie in ${trieMs.toFixed(0)} ms of processor time\n`,
);

const documents = grammarCases.map(documentsOf);
const ours = grammarCases.map((each, i) => measure(each, documents[i]!));
const peer = values.peer === undefined ? undefined : measurePeer(values.peer, documents);
const us = (ms: number | undefined): string => (ms === undefined ? "" : (1000 * ms).toFixed(0));
const columns = (masks: readonly number[]): string[] =>
  [0.5, 0.99, 1].map((share) => us(masks.length > 0 ? quantile(masks, share) : undefined));
const row = (name: string, { compileMs, firstMs, masks, random }: Times): string[] => [
  ...[name, compileMs.toFixed(1), firstMs.toFixed(2), String(masks.length)],
  ...[...columns(masks), ...columns(random)],
];
printTable(
  [
    ...["form", "compile ms", "first mask ms", "masks", "p50 us", "p99 us", "largest us"],
    ...["random: p50", "p99", "largest"],
  ],
  [
    ...ours.map((times, i) => row(grammarCases[i]!.name, times)),
    row("all", together(ours)),
    ...(peer ?? []).map((times, i) => row(`web-xgrammar: ${grammarCases[i]!.name}`, times)),
    ...(peer ? [row("web-xgrammar: all", together(peer))] : []),
  ],
);
console.log(
  "\nMicroseconds of processor time for each mask; compile: mean over forms in the last rows. Targets: p50 below 50, p99 below 500; first mask below 2 ms.",
);

function measure({ format }: GrammarCase, texts: readonly Int32Array[]): Times {
  let grammar!: CompiledGrammar;
  const json = checkFormat(format);
  const compileMs = timed(() => (grammar = new CompiledGrammar(writeFormat(json))));
  const words = new Int32Array(vocabulary.words);
  const begin = (): Matcher => new Matcher(grammar, vocabulary);
  using first = begin();
  const firstMs = timed(() => first.fillMask(words));
  const masks: number[] = [];
  for (const ids of texts) {
    using matcher = begin();
    for (const id of ids) {
      masks.push(timed(() => matcher.fillMask(words)));
      if (!matcher.accept(id))
        throw new Error(
          `${tokenizer.decode([...ids])}: token ${JSON.stringify(tokenizer.tokenText(id))} is not accepted`,
        );
    }
  }
  const random: number[] = [];
  for (let i = 0; i < Number(values.random); i++) {
    using matcher = begin();
    const dice = new Dice(i + 1);
    for (let token = 0; token < randomTokens; token++) {
      let any = false;
      random.push(timed(() => (any = matcher.fillMask(words))));
      if (!any) break;
      matcher.accept(anyOf(words, dice));
    }
  }
  grammar[Symbol.dispose]();
  return { compileMs, firstMs, masks, random };
}

function documentsOf({ text }: GrammarCase): Int32Array[] {
  const dice = new Dice(1);
  return Array.from({ length: numTexts }, () => tokenizer.encode(text(dice), { addSpecialTokens: false }));
}

function anyOf(words: Int32Array, dice: Dice): number {
  for (;;) {
    const id = dice.integer(0, wideVocabulary - 1);
    // Of few tokens a draw finds none: the next one that there is.
    for (let next = id; next < Math.min(wideVocabulary, id + 4096); next++)
      if ((words[next >> 5]! >> (next & 31)) & 1) return next;
  }
}

function together(all: readonly Times[]): Times {
  const mean = (of: (times: Times) => number): number =>
    all.reduce((sum, one) => sum + of(one), 0) / all.length;
  return {
    compileMs: mean(({ compileMs }) => compileMs),
    firstMs: mean(({ firstMs }) => firstMs),
    masks: all.flatMap(({ masks }) => masks),
    random: all.flatMap(({ random }) => random),
  };
}

function measurePeer(folder: string, texts: readonly (readonly Int32Array[])[]): Times[] {
  const cases = grammarCases.map(({ format }, i): PeerCase => {
    return { format, texts: texts[i]!.map((ids) => [...ids]) };
  });
  const vocabulary = Array.from({ length: wideVocabulary }, (_, id) => tokenizer.tokenText(id) ?? "");
  const script = fileURLToPath(new URL("support/xgrammarPeer.ts", import.meta.url));
  const input = JSON.stringify({ folder, vocabulary, end: wideVocabulary - 1, cases });
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--import", "tsx", script], {
    ...{ input, encoding: "utf8", maxBuffer: 2 ** 28 },
  });
  if (status !== 0) throw new Error(`web-xgrammar: ${stderr}`);
  const { vocabularyMs, results } = JSON.parse(stdout) as PeerResult;
  console.log(`web-xgrammar: vocabulary in ${vocabularyMs.toFixed(0)} ms of processor time\n`);
  return results.map((one) => ({ ...one, random: [] }));
}

function drain<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}
