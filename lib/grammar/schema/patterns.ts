/** Patterns as schemas in the wild write them. */

/** Characters that a regular expression with the flag "u" may have a backslash before. */
const syntax = "^$\\.*+?()[]{}|/";

/**
 * A pattern with the same meaning with the flag "u": without it a backslash before any other sign is that sign, with it an error.
 */
export function patternSource(source: string): string {
  return source.replace(/\\([\s\S])/g, (whole, character: string) => {
    if (/[A-Za-z0-9]/.test(character) || syntax.includes(character) || character > "\u007f") return whole;
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}
