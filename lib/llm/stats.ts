/** What `LLM.stats()` says. */
import type { Device } from "../device/device.js";
import type { Engine, EngineStats } from "../engine/engine.js";
import type { ExpertLoad } from "../engine/expertCounts.js";
import type { ModelRunner } from "../engine/runner.js";
import type { GenerateContext } from "./generateOptions.js";

export interface LLMStats extends EngineStats {
  /** "cpu", "cuda:0" */
  readonly device: string;
  /** What its kernels are compiled for: "avx512", "sm_90". */
  readonly isa: string;
  /** Threads of the CPU device; 0 on a GPU. */
  readonly threads: number;
  readonly kvPages: number;
  readonly contextLength: number;
  /**
   * Where tokens have gone, as of the call of `stats` before this one, whose numbers have come from the device since;
   * null before that, and without the option `expertCounts`.
   */
  readonly experts: readonly ExpertLoad[] | null;
}

/** What knows it. */
interface Sources {
  readonly device: Device;
  readonly engine: Engine;
  readonly runner: ModelRunner;
  readonly kvPages: number;
  readonly context: GenerateContext;
}

/** @param isOpen the device may be asked for numbers that the next call has */
export function statsOf({ device, engine, runner, kvPages, context }: Sources, isOpen: boolean): LLMStats {
  const { name, isa, threads } = device;
  const experts = runner.expertCounts?.latest ?? null;
  if (isOpen) runner.expertCounts?.refresh();
  return {
    ...{ ...engine.stats, device: name, isa, threads, kvPages, contextLength: context.contextLength },
    experts,
  };
}
