/** Those that wait for something to happen, or for a time. */
export class Waiters {
  #resolves: (() => void)[] = [];

  /** @param timeoutMs default: no limit */
  async wait(timeoutMs = Infinity): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#resolves.push(resolve);
      if (timeoutMs < Infinity) timer = setTimeout(resolve, timeoutMs);
    });
    clearTimeout(timer);
  }

  /** It has happened. */
  wake(): void {
    for (const resolve of this.#resolves.splice(0)) resolve();
  }
}
