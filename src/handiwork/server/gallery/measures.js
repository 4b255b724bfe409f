/** Sizes, times, formats and summaries in the words that people use for them. Nothing here touches the page. */

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });

export function sizeText(bytes) {
  const step = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), 4);
  const amount = bytes / 1024 ** step;
  return `${step && amount < 10 ? amount.toFixed(1) : Math.round(amount)} ${["bytes", "KB", "MB", "GB", "TB"][step]}`;
}

export function agoText(time, now = Date.now()) {
  const past = now - Date.parse(time);
  if (past < MINUTE) return "just now";
  if (past >= 7 * DAY) return day.format(new Date(time));
  const [unit, length] = [["day", DAY], ["hour", HOUR], ["minute", MINUTE]].find(([, length]) => past >= length);
  return relative.format(-Math.floor(past / length), unit).replace(".", "");
}

export function exactText(time) {
  return exact.format(new Date(time));
}

function timeLeft({ expiresAt, held }, now) {
  return expiresAt && !held ? Date.parse(expiresAt) - now : Infinity;
}

export function isExpired(artifact, now) {
  return timeLeft(artifact, now) <= 0;
}

/** When an artifact ends, where that is within a day; otherwise an empty text. */
export function expiryText(artifact, now) {
  const left = timeLeft(artifact, now);
  if (left >= DAY) return "";
  return left >= HOUR ? `Expires in ${Math.floor(left / HOUR)} h` : `Expires in ${Math.max(Math.ceil(left / MINUTE), 1)} min`;
}

export function elapsedText(since, now = Date.now()) {
  const seconds = Math.max(Math.floor((now - since) / 1000), 0);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function extensionOf(name) {
  return name.match(/[^.]\.(tar\.\w{1,4}|\w{1,8})$/)?.[1].toLowerCase() ?? "file";
}

/** A version's summary, or an empty text where it only repeats name, type and size. */
export function summaryText({ name, mediaType, summary }) {
  return summary.startsWith(`${name} (${mediaType}`) && summary.endsWith(")") ? "" : summary;
}
