// Contract: whoever waits for a build sees how far it is: on a terminal in one line, in a log every half minute, and as part of
// `npm install` nothing beside npm's own output; and what is said of its length follows from what there is to compile.
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { estimate } from "../../scripts/build/estimate.mjs";
import { Progress } from "../../scripts/build/progress.mjs";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function start(how: { isTTY: boolean; isBrief?: boolean }) {
  const shown: string[] = [];
  const stream = { isTTY: how.isTTY, write: (text: string) => shown.push(text) > 0 };
  return { shown, progress: new Progress({ stream, isBrief: how.isBrief ?? false }) };
}

describe("the progress of a build", () => {
  it("is a line every half minute in a log", () => {
    const { shown, progress } = start({ isTTY: false });
    vi.advanceTimersByTime(31_000); // CMake looks around
    progress.show("-- The CXX compiler is GNU\n");
    vi.advanceTimersByTime(30_000);
    expect(shown).toEqual([]);
    progress.show("-- Done\n[11/67] Building a.o\n[12/67] Building b.o\n");
    vi.advanceTimersByTime(30_000);
    progress.show("-- Done\n[11/67] Building a.o\n[12/67] Building b.o\n[13/67] Building c.o\n");
    vi.advanceTimersByTime(60_000);
    expect(shown).toEqual([
      "[warploop] compiling: 12 of 67 files, 90 s\n",
      "[warploop] compiling: 13 of 67 files, 2 min\n",
      "[warploop] compiling: 13 of 67 files, 3 min\n",
    ]);
    progress.end();
    vi.advanceTimersByTime(90_000);
    expect(shown).toHaveLength(3);
  });

  it("is one line on a terminal, which goes away", () => {
    const { shown, progress } = start({ isTTY: true });
    progress.show("[1/67] a");
    progress.show("[1/67] a\n[ 20%] Building");
    progress.end();
    expect(shown).toEqual([
      "\r\x1b[K[warploop] compiling: 1 of 67 files, 0 s",
      "\r\x1b[K[warploop] compiling: 20 %, 0 s",
      "\r\x1b[K",
    ]);
  });

  it("counts the files of node-gyp's make", () => {
    const { shown, progress } = start({ isTTY: false });
    progress.show("  CXX(target) Release/a.o\n  CXX(target) Release/b.o\n");
    vi.advanceTimersByTime(30_000);
    expect(shown).toEqual(["[warploop] compiling: 2 files, 30 s\n"]);
    progress.end();
  });

  it("is nothing in what npm keeps of an install", () => {
    const { shown, progress } = start({ isTTY: false, isBrief: true });
    progress.show("[1/67] a");
    vi.advanceTimersByTime(300_000);
    progress.end();
    expect(shown).toEqual([]);
  });
});

describe("the estimate of a build", () => {
  const minutes = (text: string) => Number(/^about (\d+) minutes on (?:one core|\d+ cores),/.exec(text)?.[1]);

  it("grows with architectures and shrinks with cores", () => {
    const tool = "cmake-js";
    const one = minutes(estimate({ tool, architectures: "80", jobs: 1 }));
    const two = minutes(estimate({ tool, architectures: "80;90a-real", jobs: 1 }));
    expect(two).toBeGreaterThan(one);
    expect(minutes(estimate({ tool, architectures: "80;90a-real", jobs: 2 }))).toBeLessThan(two);
    expect(one).toBeGreaterThan(minutes(estimate({ tool, jobs: 1 })));
    expect(minutes(estimate({ tool: "node-gyp", jobs: 1 }))).toBeGreaterThan(
      minutes(estimate({ tool, jobs: 1 })),
    );
    expect(estimate({ tool, jobs: 64 })).toBe("about a minute on 64 cores, more where they are busy");
  });
});
