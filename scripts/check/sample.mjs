// Which of many slow checks one run takes: a share of them that a seed picks, and those that the change touches, as far as there
// is time for them.
import { createHash } from "node:crypto";

/**
 * @typedef {object} Candidate
 * @property {string} name
 * @property {string[]} paths the files whose change asks for it; one that ends in a slash: everything below that folder
 * @property {number} [seconds] what it takes; 1 if not known
 */

/**
 * Each candidate has a rank that depends on the seed and on its own name, so a new one moves no other.
 * @param {object} options
 * @param {string | number} options.seed
 * @param {readonly Candidate[]} options.candidates
 * @param {number} options.share of the candidates, 0 to 1; rounded up
 * @param {readonly string[]} [options.changed] files relative to the repository: what they touch comes first, as the seed ranks it
 * @param {number} [options.room] seconds: once they are used up, the rest is left out
 * @returns {string[]} names, in the order in which they should be looked at
 */
export function sample({ seed, candidates, share, changed = [], room = Infinity }) {
  const rank = (/** @type {Candidate} */ { name }) =>
    createHash("sha256").update(`${seed} ${name}`).digest("hex");
  const ranked = [...candidates].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  const touched = ranked.filter((candidate) => isTouched(candidate, changed));
  const wanted = new Set([...touched, ...ranked.slice(0, Math.ceil(share * candidates.length))]);
  /** @type {Set<Candidate>} */
  const picked = new Set();
  let used = 0;
  for (const candidate of wanted) {
    if (used >= room) break;
    picked.add(candidate);
    used += candidate.seconds ?? 1;
  }
  return [...picked].map(({ name }) => name);
}

/** @param {Candidate} candidate @param {readonly string[]} changed */
function isTouched({ paths }, changed) {
  return changed.some((file) => paths.some((at) => (at.endsWith("/") ? file.startsWith(at) : file === at)));
}
