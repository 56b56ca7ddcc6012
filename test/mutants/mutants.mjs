// The planted bugs: what is replaced where, and who has to notice. A text that no longer occurs exactly once is an
// error of the suite: the kernel has changed and the mutant has to follow.

import { behindMutants } from "./mutants.behind.mjs";
import { blockMutants } from "./mutants.blocks.mjs";
import { borderMutants } from "./mutants.borders.mjs";
import { clusterMutants } from "./mutants.cluster.mjs";
import { latentMutants } from "./mutants.latent.mjs";
import { indexerMutants } from "./mutants.indexer.mjs";
import { maskMutants } from "./mutants.masks.mjs";
import { offsetMutants } from "./mutants.offsets.mjs";
import { optionMutants } from "./mutants.options.mjs";
import { orderMutants } from "./mutants.order.mjs";
import { pagedMutants } from "./mutants.paged.mjs";
import { planMutants } from "./mutants.plans.mjs";
import { portableMutants } from "./mutants.sm80.mjs";
import { hopperMutants } from "./mutants.sm90.mjs";
import { scoreMutants } from "./mutants.scores.mjs";
import { codeMutants } from "./mutants.codes.mjs";
import { fusedMutants } from "./mutants.fused.mjs";
import { stateMutants } from "./mutants.state.mjs";
import { codedMutants } from "./mutants.coded.mjs";
import { quantizeMutants } from "./mutants.quantize.mjs";
import { storedMutants } from "./mutants.stored.mjs";

/**
 * @typedef {"naive" | "adversarial" | "race" | "asan"} Mode
 *
 * @typedef {object} Bug
 * @property {string} name
 * @property {string} bug in words
 * @property {string} file where it is planted, relative to the repository
 * @property {[from: string, to: string][]} edits
 *
 * @typedef {object} ByProgram
 * @property {string} program the file of this folder that runs the kernel, without .cu
 * @property {Mode[]} foundBy modes that have to find it; adversarial: with at least one of its seeds
 *
 * @typedef {object} ByTable
 * @property {string} table the test file that has to find it, on the emulated GPU
 * @property {string} cases a pattern: which of its cases run
 * @property {string[]} [kernels] the .cu files that are compiled with it; all that include `file`, if not given
 *
 * @typedef {Bug & ByProgram} ProgramMutant
 * @typedef {Bug & ByTable} TableMutant
 * @typedef {ProgramMutant | TableMutant} Mutant
 */

/** @type {Mutant[]} */
export const mutants = [
  ...portableMutants,
  ...maskMutants,
  ...scoreMutants,
  ...codeMutants,
  ...hopperMutants,
  ...clusterMutants,
  ...blockMutants,
  ...offsetMutants,
  ...borderMutants,
  ...optionMutants,
  ...orderMutants,
  ...planMutants,
  ...pagedMutants,
  ...latentMutants,
  ...behindMutants,
  ...stateMutants,
  ...codedMutants,
  ...quantizeMutants,
  ...storedMutants,
  ...fusedMutants,
  ...indexerMutants,
];
