// What the commit that is checked out changes, as git knows it.
import { spawnSync } from "node:child_process";
import { root } from "../build/nativeSources.mjs";

/** @param {string[]} args @returns {string | undefined} what git prints, undefined when it fails */
function git(...args) {
  const { status, stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 2 ** 26 });
  return status === 0 ? stdout.trim() : undefined;
}

/**
 * @typedef {{ commit: string, base: string, changed: string[] }} History base: what the changes are counted from, in words
 * @returns {History} against where the branch left main; on main itself, and where there is no main, against the parent
 */
export function readHistory() {
  const commit = git("rev-parse", "HEAD");
  if (commit === undefined)
    return { commit: "0", base: "nothing: there is no git history here", changed: [] };
  const branches = ["origin/main", "origin/master", "main", "master"];
  const forks = branches.map((branch) => git("merge-base", branch, "HEAD"));
  const fork = forks.find((base) => base && base !== commit) ?? git("rev-parse", "HEAD^");
  if (!fork) return { commit, base: "nothing: the parent commit is not here", changed: [] };
  const files = git("diff", "--name-only", `${fork}...HEAD`) ?? "";
  return { commit, base: fork.slice(0, 7), changed: files.split("\n").filter(Boolean) };
}
