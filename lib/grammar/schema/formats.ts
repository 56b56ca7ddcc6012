/**
 * Formats of strings as patterns, whole texts. RFC 3339 (dates and times), 5321 (mail, without quoted names), 1123 (host names), 2673 and
 * 4291 (addresses), 4122 (uuid), 3986 (uri).
 */
const octet = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const ipv4 = `${octet}(?:\\.${octet}){3}`;
const h16 = "[0-9a-fA-F]{1,4}";
const ls32 = `(?:${h16}:${h16}|${ipv4})`;
/** The forms of RFC 3986: so many groups before the gap, and so many behind it. */
const ipv6 = [
  `(?:${h16}:){6}${ls32}`,
  `::(?:${h16}:){5}${ls32}`,
  `(?:${h16})?::(?:${h16}:){4}${ls32}`,
  `(?:(?:${h16}:){0,1}${h16})?::(?:${h16}:){3}${ls32}`,
  `(?:(?:${h16}:){0,2}${h16})?::(?:${h16}:){2}${ls32}`,
  `(?:(?:${h16}:){0,3}${h16})?::${h16}:${ls32}`,
  `(?:(?:${h16}:){0,4}${h16})?::${ls32}`,
  `(?:(?:${h16}:){0,5}${h16})?::${h16}`,
  `(?:(?:${h16}:){0,6}${h16})?::`,
].join("|");
const days = [
  "(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])",
  "(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)",
  "02-(?:0[1-9]|1\\d|2[0-8])",
].join("|");
const leapYear = "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
const date = `(?:\\d{4}-(?:${days})|${leapYear}-02-29)`;
const offset = "(?:[zZ]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)";
const time = `(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?${offset}`;
// Not two hyphens in the third and the fourth place: those are other alphabets written in this one, which have rules of their own.
const [alnum, inner] = ["[a-zA-Z0-9]", "[a-zA-Z0-9-]"];
const label = `${alnum}(?:${inner}?${alnum}|${inner}{2}${alnum}|${inner}(?:${alnum}${inner}|-${alnum})${inner}{0,58}${alnum})?`;
const hostname = `${label}(?:\\.${label})*`;
const atom = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+";
const percent = "%[0-9a-fA-F]{2}";
const pchar = `(?:[a-zA-Z0-9._~!$&'()*+,;=:@-]|${percent})`;
const authority = `(?:(?:[a-zA-Z0-9._~!$&'()*+,;=:-]|${percent})*@)?(?:\\[(?:${ipv6})\\]|(?:[a-zA-Z0-9._~!$&'()*+,;=-]|${percent})*)(?::\\d*)?`;
const path = `(?://${authority}(?:/${pchar}*)*|/(?:${pchar}+(?:/${pchar}*)*)?|${pchar}+(?:/${pchar}*)*)`;

const sources: Readonly<Record<string, string>> = {
  "date-time": `${date}[tT]${time}`,
  date,
  time,
  duration:
    "P(?:\\d+W|(?:\\d+Y(?:\\d+M(?:\\d+D)?)?|\\d+M(?:\\d+D)?|\\d+D)(?:T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S))?|T(?:\\d+H(?:\\d+M(?:\\d+S)?)?|\\d+M(?:\\d+S)?|\\d+S))",
  email: `${atom}(?:\\.${atom})*@${label}(?:\\.${label})+`,
  hostname,
  ipv4,
  ipv6,
  uuid: "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
  uri: `[a-zA-Z][a-zA-Z0-9+.-]*:${path}(?:\\?(?:${pchar}|[/?])*)?(?:#(?:${pchar}|[/?])*)?`,
};

export interface StringFormat {
  /** Of the whole text. */
  readonly pattern: string;
  readonly maxLength?: number;
}

/** By name. */
export const formats: Readonly<Record<string, StringFormat>> = Object.fromEntries(
  Object.entries(sources).map(([name, source]) => {
    return [name, { pattern: `^(?:${source})$`, ...(name === "hostname" ? { maxLength: 253 } : {}) }];
  }),
);

/** Formats of numbers, as OpenAPI names them: bounds of integers; undefined: any number. */
export const numberFormats: ReadonlyMap<string, number | undefined> = new Map([
  ["int32", 2 ** 31],
  ["int64", 2 ** 63],
  ["float", undefined],
  ["double", undefined],
]);
