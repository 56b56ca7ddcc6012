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
const label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";
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

/** By name: a pattern of the whole text. */
export const formats: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(sources).map(([name, source]) => [name, `^(?:${source})$`]),
);
