// Renders a template as the library does, at a fixed time.
import { render } from "../../lib/text/jinja/interpreter.js";
import { valueOf } from "../../lib/text/jinja/json.js";
import { parseTemplate } from "../../lib/text/jinja/syntax.js";
import type { Value } from "../../lib/text/jinja/values.js";

export function renderTemplate(source: string, variables: Readonly<Record<string, unknown>> = {}): string {
  const values = Object.entries(variables).map(([name, value]): [string, Value] => [
    name,
    valueOf(value, name),
  ]);
  return render(parseTemplate(source), new Map(values), { now: new Date(2024, 6, 3, 9, 5, 7) });
}
