/**
 * Measures one generation, of any engine: it sees token streams only. Prompt time ends when the last sequence has its
 * first token; decoding is timed from there until the first sequence is done, so that all of them run all the time.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { randomIds } from "./randomValues.js";

export interface Workload {
  readonly sequences: number;
  /** Of each sequence. */
  readonly promptTokens: number;
  /** Of each sequence, after the first token, which comes with the prompt. */
  readonly decodeTokens: number;
}

export interface Phase {
  readonly tokens: number;
  readonly seconds: number;
  /** Processor time of the whole process, all threads. */
  readonly cpuSeconds: number;
}

export interface GenerationTiming {
  readonly prompt: Phase;
  readonly decode: Phase;
  /** Longest time that the event loop did not turn. */
  readonly loopBlockMs: number;
  /** First token of every sequence: equal models give equal ones. */
  readonly firstTokens: readonly number[];
}

/** Generates `count` tokens greedily, one by one, whatever they are. */
export type Generate = (prompt: number[], count: number, sequence: number) => AsyncIterable<number>;

/** @param seed chooses the prompts */
export async function timeGeneration(
  workload: Workload,
  generate: Generate,
  { vocabSize, seed }: { readonly vocabSize: number; readonly seed: number },
): Promise<GenerationTiming> {
  const { sequences, promptTokens, decodeTokens } = workload;
  const firstTokens: number[] = [];
  const marks = { first: 0, firstCpu: 0, end: 0, endCpu: 0 };
  let started = 0;
  let decoded = 0;
  const follow = async (sequence: number): Promise<void> => {
    const prompt = randomIds(seed * sequences + sequence, promptTokens, vocabSize);
    let count = 0;
    for await (const token of generate(prompt, decodeTokens + 1, sequence)) {
      if (count++ === 0) {
        firstTokens[sequence] = token;
        if (++started === sequences) [marks.first, marks.firstCpu] = [performance.now(), cpuMs()];
      } else if (started === sequences && marks.end === 0) {
        decoded++;
        if (count > decodeTokens) [marks.end, marks.endCpu] = [performance.now(), cpuMs()];
      }
    }
    if (count !== decodeTokens + 1) throw new Error(`expected ${decodeTokens + 1} tokens, got ${count}`);
  };

  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const [start, startCpu] = [performance.now(), cpuMs()];
  await Promise.all(Array.from({ length: sequences }, (_, sequence) => follow(sequence)));
  delay.disable();
  const phase = (tokens: number, ms: number, cpu: number): Phase => ({
    ...{ tokens, seconds: ms / 1000, cpuSeconds: cpu / 1000 },
  });
  return {
    prompt: phase(sequences * promptTokens, marks.first - start, marks.firstCpu - startCpu),
    decode: phase(decoded, marks.end - marks.first, marks.endCpu - marks.firstCpu),
    loopBlockMs: delay.max / 1e6,
    firstTokens,
  };
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
