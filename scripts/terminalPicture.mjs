// `node scripts/terminalPicture.mjs`: docs/terminal.svg, the picture in the README. It shows what the commands below write where it runs.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { root } from "./build/nativeSources.mjs";

const story = "Please tell me about Tala, a badger who finds a lantern.";
const commands = [
  ["run", "models/tiny-moe", story],
  ["info", "models/tiny-moe", "--quantize", "int4"],
];

/** @typedef {"command" | "result" | "note"} Kind */
/** @typedef {{ kind: Kind, text: string }} Line */

const columns = 100;
const [fontSize, charWidth, lineHeight, margin, top] = [14, 8.43, 20, 22, 52];
/** @type {Record<Kind, string>} */
const fills = { command: "#f0f6fc", result: "#c9d1d9", note: "#8b949e" };

/**
 * What one command writes, in the order in which it comes.
 * @param {string[]} args
 * @returns {Promise<Line[]>}
 */
function written(args) {
  const child = spawn(process.execPath, [path.join(root, "scripts/cli.mjs"), ...args], { cwd: root });
  child.stdin.end();
  /** @type {Line[]} */
  const pieces = [];
  const keep = (/** @type {Kind} */ kind) => (/** @type {string} */ text) => void pieces.push({ kind, text });
  child.stdout.setEncoding("utf8").on("data", keep("result"));
  child.stderr.setEncoding("utf8").on("data", keep("note"));
  return new Promise((resolve, reject) => {
    child.on("close", (status) => {
      if (status === 0) resolve(linesOf(pieces));
      else reject(new Error(`warploop ${args.join(" ")}: ${pieces.map(({ text }) => text).join("")}`));
    });
  });
}

/** Pieces of one kind that follow each other become lines. @param {readonly Line[]} pieces @returns {Line[]} */
export function linesOf(pieces) {
  /** @type {Line[]} */
  const joined = [];
  for (const { kind, text } of pieces) {
    const last = joined.at(-1);
    if (last?.kind === kind) last.text += text;
    else joined.push({ kind, text });
  }
  return joined.flatMap(({ kind, text }) =>
    text
      .replace(/\n$/, "")
      .split("\n")
      .flatMap((line) => wrapped(line).map((part) => ({ kind, text: part }))),
  );
}

/** At spaces, as far as there are some. @param {string} line @returns {string[]} */
function wrapped(line) {
  if (line.length <= columns) return [line];
  const space = line.lastIndexOf(" ", columns);
  const [end, next] = space > 0 ? [space, space + 1] : [columns, columns];
  return [line.slice(0, end), ...wrapped(line.slice(next))];
}

/** A terminal as an SVG. @param {readonly Line[]} lines */
export function drawTerminal(lines) {
  const width = Math.ceil(2 * margin + columns * charWidth);
  const height = top + lines.length * lineHeight + margin;
  const texts = lines.map(({ kind, text }, i) => {
    const mark = kind === "command" ? '<tspan fill="#3fb950">$ </tspan>' : "";
    const weight = kind === "command" ? ' font-weight="bold"' : "";
    const at = `x="${margin}" y="${top + i * lineHeight + fontSize}"`;
    return `<text ${at} fill="${fills[kind]}"${weight} xml:space="preserve">${mark}${escaped(text)}</text>`;
  });
  const buttons = ["#ff5f57", "#febc2e", "#28c840"].map(
    (fill, i) => `<circle cx="${margin + 6 + i * 20}" cy="24" r="6" fill="${fill}"/>`,
  );
  const font = `font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${fontSize}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" ${font}>`,
    `<rect width="${width}" height="${height}" rx="10" fill="#0d1117"/>`,
    ...buttons,
    ...texts,
    "</svg>\n",
  ].join("\n");
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  /** @type {Line[]} */
  const lines = [];
  for (const args of commands) {
    const shown = args.map((arg) => (/[\s"]/.test(arg) ? `"${arg}"` : arg)).join(" ");
    if (lines.length > 0) lines.push({ kind: "result", text: "" });
    lines.push(...linesOf([{ kind: "command", text: `npx warploop ${shown}` }]), ...(await written(args)));
  }
  writeFileSync(path.join(root, "docs/terminal.svg"), drawTerminal(lines));
}
