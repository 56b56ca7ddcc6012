/** `--fallback name=target` of `warploop serve`. */
import type { Fallback, FallbackServer } from "../server/index.js";
import { UsageError } from "./failure.js";

/**
 * @param flags name=target, where a target is another name, URL#MODEL or URL#MODEL,VARIABLE
 * @param environment has keys
 * @throws UsageError
 */
export function fallbackOf(
  flags: readonly string[] = [],
  environment: Readonly<Record<string, string | undefined>>,
): Fallback {
  const chains = new Map<string, (string | FallbackServer)[]>();
  for (const flag of flags) {
    const [, name, target] = /^([^=]+)=(.+)$/.exec(flag) ?? [];
    if (name === undefined || target === undefined)
      throw new UsageError(`--fallback: expected name=target, got "${flag}"`);
    chains.set(name, [...(chains.get(name) ?? []), targetOf(target, environment)]);
  }
  return Object.fromEntries(chains);
}

function targetOf(
  target: string,
  environment: Readonly<Record<string, string | undefined>>,
): string | FallbackServer {
  if (!/^https?:/.test(target)) return target;
  const [, url, model, variable] = /^([^#]+)#(.+?)(?:,(\w+))?$/.exec(target) ?? [];
  if (url === undefined || model === undefined)
    throw new UsageError(
      `--fallback: expected a URL with the model's name there as URL#MODEL, got "${target}"`,
    );
  if (variable === undefined) return { url, model };
  const apiKey = environment[variable];
  if (!apiKey) throw new UsageError(`--fallback: ${variable} is not set, which has the key for ${url}`);
  return { url, model, apiKey };
}
