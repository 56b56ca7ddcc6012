/** Python's `datetime.strftime` in the C locale, with the flags and further letters of the GNU library. */

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const months = [
  ...["January", "February", "March", "April", "May", "June", "July", "August", "September"],
  ...["October", "November", "December"],
];
const msPerDay = 86_400_000;

/** A number with the width and filling that it has without a flag. */
type Field = string | { readonly value: number; readonly width: number; readonly fill: "0" | " " };

/**
 * @param date read in the local time zone; like `datetime.now()` it does not know its zone, so %z and %Z give nothing
 * @returns the text; directives that do not exist stay as they are
 */
export function strftime(date: Date, format: string): string {
  return format.replace(/%([-_0^#]?)(.)/gsu, (directive, flag: string, letter: string) => {
    const field = fieldOf(date, letter);
    if (field === undefined) return directive;
    if (typeof field === "string") {
      if (flag === "^") return field.toUpperCase();
      return flag === "#" ? (letter === "p" ? field.toLowerCase() : field.toUpperCase()) : field;
    }
    const fill = flag === "_" ? " " : flag === "0" ? "0" : field.fill;
    return flag === "-" ? String(field.value) : String(field.value).padStart(field.width, fill);
  });
}

function fieldOf(date: Date, letter: string): Field | undefined {
  const composite = composites[letter];
  return composite === undefined ? fields[letter]?.(date) : strftime(date, composite);
}

const composites: Readonly<Record<string, string | undefined>> = {
  __proto__: null as never,
  c: "%a %b %e %H:%M:%S %Y",
  D: "%m/%d/%y",
  F: "%Y-%m-%d",
  h: "%b",
  r: "%I:%M:%S %p",
  R: "%H:%M",
  T: "%H:%M:%S",
  x: "%m/%d/%y",
  X: "%H:%M:%S",
};

const zeros = (value: number, width = 2): Field => ({ value, width, fill: "0" });
const spaces = (value: number, width = 2): Field => ({ value, width, fill: " " });
const hour12 = (date: Date): number => date.getHours() % 12 || 12;

const fields: Readonly<Record<string, ((date: Date) => Field) | undefined>> = {
  __proto__: null as never,
  "%": () => "%",
  a: (date) => days[date.getDay()]!.slice(0, 3),
  A: (date) => days[date.getDay()]!,
  b: (date) => months[date.getMonth()]!.slice(0, 3),
  B: (date) => months[date.getMonth()]!,
  C: (date) => zeros(Math.floor(date.getFullYear() / 100)),
  d: (date) => zeros(date.getDate()),
  e: (date) => spaces(date.getDate()),
  f: (date) => zeros(date.getMilliseconds() * 1000, 6),
  g: (date) => zeros(isoWeek(date).year % 100),
  G: (date) => zeros(isoWeek(date).year, 4),
  H: (date) => zeros(date.getHours()),
  I: (date) => zeros(hour12(date)),
  j: (date) => zeros(dayOfYear(date) + 1, 3),
  k: (date) => spaces(date.getHours()),
  l: (date) => spaces(hour12(date)),
  m: (date) => zeros(date.getMonth() + 1),
  M: (date) => zeros(date.getMinutes()),
  n: () => "\n",
  p: (date) => (date.getHours() < 12 ? "AM" : "PM"),
  P: (date) => (date.getHours() < 12 ? "am" : "pm"),
  s: (date) => zeros(Math.floor(date.getTime() / 1000), 1),
  S: (date) => zeros(date.getSeconds()),
  t: () => "\t",
  u: (date) => zeros(date.getDay() || 7, 1),
  U: (date) => zeros(Math.floor((dayOfYear(date) + 7 - date.getDay()) / 7)),
  V: (date) => zeros(isoWeek(date).week),
  w: (date) => zeros(date.getDay(), 1),
  W: (date) => zeros(Math.floor((dayOfYear(date) + 7 - ((date.getDay() + 6) % 7)) / 7)),
  y: (date) => zeros(date.getFullYear() % 100),
  Y: (date) => zeros(date.getFullYear(), 1),
  z: () => "",
  Z: () => "",
};

/** Days since the first of January; counted in UTC, where every day has the same length. */
function dayOfYear(date: Date): number {
  const start = Date.UTC(date.getFullYear(), 0, 1);
  return (Date.UTC(date.getFullYear(), date.getMonth(), date.getDate()) - start) / msPerDay;
}

/** The ISO week belongs to the year that has its Thursday. */
function isoWeek(date: Date): { readonly year: number; readonly week: number } {
  const offset = 3 - ((date.getDay() + 6) % 7);
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + offset);
  return { year: thursday.getFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 };
}
