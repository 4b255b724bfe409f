/** The beginning of a text file as elements: a table for delimited values, plain text for all else. Never markup. */

import { sizeText } from "./measures.js";

export const EXCERPT_BYTES = 64 * 1024;
const READABLE = /^text\/|^message\/rfc822$|^application\/(.+\+)?(json|xml|yaml|toml|sql|rtf|x-ndjson|x-subrip)$|\+xml$/;
const ROWS = 200;
const COLUMNS = 60;

export function isReadable(mediaType) {
  return READABLE.test(mediaType);
}

/** Returns elements that show the first `bytes` of a file that has `size` of them. */
export function excerptOf(bytes, { mediaType, size }) {
  const text = decoded(bytes);
  const isWhole = bytes.length >= size;
  if (mediaType === "text/csv") return tableOf(text, { delimiter: delimiterOf(text), isWhole });
  if (mediaType === "text/tab-separated-values") return tableOf(text, { delimiter: "\t", isWhole });
  const isJson = /[/+]json$/.test(mediaType) && isWhole;
  const pre = element("pre", isJson ? indented(text) : text);
  return isWhole ? [pre] : [pre, noteOf(`The first ${sizeText(bytes.length)} of ${sizeText(size)}.`)];
}

export function noteOf(text) {
  return element("p", text, { className: "note" });
}

function element(tag, text, properties = {}) {
  return Object.assign(document.createElement(tag), { textContent: text, ...properties });
}

function decoded(bytes) {
  const mark = bytes[0] * 256 + bytes[1];
  const label = { 0xfffe: "utf-16le", 0xfeff: "utf-16be" }[mark] ?? "utf-8";
  // As a stream, it leaves out a last character that was cut in two.
  return new TextDecoder(label).decode(bytes, { stream: true });
}

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function tableOf(text, { delimiter, isWhole }) {
  const records = recordsOf(text, { delimiter, most: ROWS + 2 });
  // The last record of a text that was cut may itself be cut.
  if (!isWhole && records.length < ROWS + 2) records.pop();
  const [head = [], ...rows] = records.slice(0, ROWS + 1);
  const isNumber = head.map((_, column) => rows.every((row) => /^\s*([-+]?[\d.,]+%?)?\s*$/.test(row[column] ?? "")));
  const rowOf = (tag) => (values) => {
    const row = document.createElement("tr");
    const classOf = (column) => ({ className: isNumber[column] ? "number" : "" });
    row.append(...values.slice(0, COLUMNS).map((value, column) => element(tag, value, classOf(column))));
    return row;
  };
  const table = document.createElement("table");
  table.createTHead().append(rowOf("th")(head));
  table.createTBody().append(...rows.map(rowOf("td")));
  const scroller = element("div", "", { className: "grid" });
  scroller.append(table);
  return isWhole && records.length <= ROWS + 1 ? [scroller] : [scroller, noteOf(`The first ${rows.length} rows.`)];
}

function delimiterOf(text) {
  // The server's rule: the comma, or what cuts the first row into cells where the comma does not.
  const start = text.replace(/^[\r\n]+/, "");
  const isCut = (delimiter) => recordsOf(start, { delimiter, most: 1 })[0]?.length > 1;
  return [",", ";", "\t"].find(isCut) ?? ",";
}

/** Reads delimited values as RFC 4180 has them, at most `most` records. */
function recordsOf(text, { delimiter, most }) {
  const field = new RegExp(`("(?:[^"]|"")*"?|[^${delimiter}\\r\\n]*)(${delimiter}|\\r\\n?|\\n|$)`, "y");
  const records = [];
  let record = [];
  while (field.lastIndex < text.length && records.length < most) {
    const [, value, end] = field.exec(text);
    record.push(value.startsWith('"') ? value.replace(/^"|"$/g, "").replaceAll('""', '"') : value);
    if (end === delimiter) continue;
    records.push(record);
    record = [];
  }
  return records;
}
