// The planted bugs: what is replaced where, and who has to notice. A text that no longer occurs exactly once is an
// error of the suite: the kernel has changed and the mutant has to follow.

import { blockMutants } from "./mutants.blocks.mjs";
import { maskMutants } from "./mutants.masks.mjs";
import { portableMutants } from "./mutants.sm80.mjs";
import { hopperMutants } from "./mutants.sm90.mjs";

/**
 * @typedef {"naive" | "adversarial" | "race" | "asan"} Mode
 * @typedef {object} Mutant
 * @property {string} name
 * @property {string} bug in words
 * @property {string} program the file of this folder that runs the kernel, without .cu
 * @property {string} file where the bug is planted, relative to the repository
 * @property {[from: string, to: string][]} edits
 * @property {Mode[]} foundBy modes that have to find it; adversarial: with at least one of its seeds
 */

/** @type {Mutant[]} */
export const mutants = [...portableMutants, ...maskMutants, ...hopperMutants, ...blockMutants];
