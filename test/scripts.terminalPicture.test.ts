// Contract: the picture of a terminal has the lines that commands wrote, in their order, none wider than the terminal.
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { root } from "../scripts/build/nativeSources.mjs";
import { drawTerminal, linesOf } from "../scripts/terminalPicture.mjs";

it("joins what came in pieces, and wraps at spaces", () => {
  const word = "x".repeat(60);
  const pieces = [
    { kind: "result" as const, text: `${word} ` },
    { kind: "result" as const, text: `${word}\n\nend\n` },
    { kind: "note" as const, text: "y".repeat(101) },
  ];
  expect(linesOf(pieces)).toEqual([
    ...[word, word, "", "end"].map((text) => ({ kind: "result", text })),
    ...["y".repeat(100), "y"].map((text) => ({ kind: "note", text })),
  ]);
});

it("draws a line each, and no markup of theirs", () => {
  const svg = drawTerminal([
    { kind: "command", text: 'run "a" < b' },
    { kind: "result", text: "<&>" },
  ]);
  expect(svg.match(/<text /g)).toHaveLength(2);
  expect(svg).toContain('<tspan fill="#3fb950">$ </tspan>run "a" &lt; b</text>');
  expect(svg).toContain(">&lt;&amp;&gt;</text>");
});

it("is in the README, with commands that there are", () => {
  expect(readFileSync(path.join(root, "README.md"), "utf8")).toContain("(docs/terminal.svg)");
  const svg = readFileSync(path.join(root, "docs/terminal.svg"), "utf8");
  expect([...svg.matchAll(/\$ <\/tspan>npx warploop (\w+) /g)].map(([, name]) => name)).toEqual([
    "run",
    "info",
  ]);
  expect(svg).toMatch(/tokens\/s/);
});
