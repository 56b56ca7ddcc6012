// Renders a template as the library does, at a fixed time, and tables of templates with what comes of them.
import { expect, test } from "vitest";
import { render } from "../../lib/text/jinja/interpreter.js";
import { valueOf } from "../../lib/text/jinja/json.js";
import { parseTemplate } from "../../lib/text/jinja/syntax.js";
import { TemplateError, type Value } from "../../lib/text/jinja/values.js";

export function renderTemplate(source: string, variables: Readonly<Record<string, unknown>> = {}): string {
  const values = Object.entries(variables).map(([name, value]): [string, Value] => [
    name,
    valueOf(value, name),
  ]);
  return render(parseTemplate(source), new Map(values), { now: new Date(2024, 6, 3, 9, 5, 7) });
}

type Variables = Readonly<Record<string, unknown>>;

/** One test per source: it gives the text. */
export function testTexts(
  variables: Variables,
  cases: readonly (readonly [source: string, text: string])[],
): void {
  test.each(cases)("%j", (source, text) => {
    expect(renderTemplate(source, variables)).toBe(text);
  });
}

/** One test per source: it is refused with a message that contains the text. */
export function testRefusals(
  variables: Variables,
  cases: readonly (readonly [source: string, message: string])[],
): void {
  test.each(cases)("refuses %j", (source, message) => {
    expect(() => renderTemplate(source, variables)).toThrow(TemplateError);
    expect(() => renderTemplate(source, variables)).toThrow(message);
  });
}
