// The files that the checks look at: what git tracks or would track. Outside a git checkout there is nothing to check.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { root } from "../build/nativeSources.mjs";

/**
 * @param {RegExp} pattern matched against the path relative to the repository, with forward slashes
 * @returns {string[]} sorted relative paths
 */
export function repoFiles(pattern) {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { status, stdout, stderr } = spawnSync("git", args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`git ls-files: ${stderr}`);
  const files = stdout.split("\0").filter((file) => pattern.test(file) && existsSync(path.join(root, file)));
  return [...new Set(files)].sort();
}
