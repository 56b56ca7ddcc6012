// Which of many slow checks one run takes: a share of them that a seed picks, and those that the change touches, as far as there
// is time for them.
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
 * @param {number} [options.most] share of the candidates, 0 to 1, rounded up: of those that are touched, the seed leaves out what is more
 * @returns {string[]} names, in the order of the candidates
 */
export function sample({ seed, candidates, share, changed = [], most = 1 }) {
  const rank = (/** @type {Candidate} */ { name }) =>
    createHash("sha256").update(`${seed} ${name}`).digest("hex");
  const ranked = [...candidates].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  const picked = new Set(ranked.slice(0, Math.ceil(share * candidates.length)));
  const room = Math.ceil(most * candidates.length);
  for (const candidate of ranked)
    if (picked.size < room && isTouched(candidate, changed)) picked.add(candidate);
  return candidates.filter((candidate) => picked.has(candidate)).map(({ name }) => name);
}

/** @param {Candidate} candidate @param {readonly string[]} changed */
function isTouched({ paths }, changed) {
  return changed.some((file) => paths.some((at) => (at.endsWith("/") ? file.startsWith(at) : file === at)));
}
