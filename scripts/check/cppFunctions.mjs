// How long the functions of a C++ or CUDA file are. Not a parser: it blanks comments, strings and preprocessor lines,
// then follows braces. A block that opens at namespace or class scope after a parameter list is a function.

/** @param {string} text @returns {string} same length and lines, with only code left */
function blank(text) {
  const noise =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|R"([^(\s]*)\([\s\S]*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'|^[ \t]*#(?:\\\n|[^\n])*/gm;
  return text.replace(noise, (match) => match.replace(/[^\n]/g, " "));
}

/** @param {string} head the code between the previous ; { or } and this { */
function kindOf(head) {
  if (/\b(namespace|extern)\b/.test(head) || /\b(class|struct|union|enum)\b[^()]*$/.test(head))
    return "scope";
  return head.includes("(") ? "function" : "block";
}

/** @param {string} head */
function nameOf(head) {
  return /([~\w:]+|operator[^(]*)\s*\(/.exec(head)?.[1] ?? "anonymous";
}

/**
 * @param {string} text
 * @returns {{ name: string, line: number, lines: number }[]}
 */
export function cppFunctions(text) {
  const code = blank(text);
  const lineOf = (/** @type {number} */ offset) => code.slice(0, offset).split("\n").length;
  const found = [];
  /** @type {{ kind: string, start: number, head: string }[]} */
  const open = [];
  let headStart = 0;
  for (const { 0: mark, index } of code.matchAll(/[{};]/g)) {
    const inBody = open.some(({ kind }) => kind !== "scope");
    if (mark === "{") {
      const head = code.slice(headStart, index);
      const start = headStart + (head.length - head.trimStart().length);
      open.push({ kind: inBody ? "block" : kindOf(head), start, head });
    } else if (mark === "}") {
      const closed = open.pop();
      if (closed?.kind === "function") {
        const line = lineOf(closed.start);
        found.push({ name: nameOf(closed.head), line, lines: lineOf(index) - line + 1 });
      }
    }
    headStart = index + 1;
  }
  return found;
}
