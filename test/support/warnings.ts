/** Warnings of the process while something runs. */
export type WarploopWarning = Error & { readonly code?: string };

/** Runs `action` and returns the warnings that it gave, in their order. */
export async function collectWarnings(action: () => unknown): Promise<WarploopWarning[]> {
  const warnings: WarploopWarning[] = [];
  const listen = (warning: Error): void => void warnings.push(warning);
  process.on("warning", listen);
  try {
    await action();
    // Node gives them to listeners on the next tick.
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("warning", listen);
  }
  return warnings;
}
