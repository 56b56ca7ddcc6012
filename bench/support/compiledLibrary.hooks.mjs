/** The hooks of compiledLibrary.mjs, which run on a thread of their own. */

let root = "";

/** @param {{ readonly root: string }} data root: URL of the repository */
export function initialize(data) {
  root = data.root;
}

/** @type {import("node:module").ResolveHook} */
export async function resolve(specifier, context, nextResolve) {
  const resolved = await nextResolve(specifier, context);
  const [, path] = resolved.url.startsWith(root)
    ? (/^((?:lib|toolcalls|server)\/.*)\.ts\b/.exec(resolved.url.slice(root.length)) ?? [])
    : [];
  if (path === undefined) return resolved;
  return { ...resolved, url: `${root}dist/${path}.js`, format: "module" };
}
