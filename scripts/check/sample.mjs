// Which of many slow checks one run takes: a share of them that a seed picks, and every one that the change touches.
import { createHash } from "node:crypto";

/**
 * @typedef {object} Candidate
 * @property {string} name
 * @property {string[]} paths the files whose change asks for it; one that ends in a slash: everything below that folder
 */

/**
 * Each candidate has a rank that depends on the seed and on its own name, so a new one moves no other.
 * @param {object} options
 * @param {string | number} options.seed
 * @param {readonly Candidate[]} options.candidates
 * @param {number} options.share of the candidates, 0 to 1; rounded up
 * @param {readonly string[]} [options.changed] files relative to the repository
 * @returns {string[]} names, in the order of the candidates
 */
export function sample({ seed, candidates, share, changed = [] }) {
  const rank = (/** @type {Candidate} */ { name }) =>
    createHash("sha256").update(`${seed} ${name}`).digest("hex");
  const ranked = [...candidates].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  const picked = new Set(ranked.slice(0, Math.ceil(share * candidates.length)));
  return candidates
    .filter((candidate) => picked.has(candidate) || isTouched(candidate, changed))
    .map(({ name }) => name);
}

/** @param {Candidate} candidate @param {readonly string[]} changed */
function isTouched({ paths }, changed) {
  return changed.some((file) => paths.some((at) => (at.endsWith("/") ? file.startsWith(at) : file === at)));
}
