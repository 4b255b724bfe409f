/** The page: which session is shown, what a happening changes, and what is said when there is nothing to show. */

import { Api, Problem } from "./api.js";
import { Live } from "./live.js";
import { elapsedText } from "./measures.js";
import { Preview } from "./preview.js";
import { Sessions } from "./sessions.js";
import { Shelf } from "./shelf.js";
import { Thumbnails } from "./thumbnails.js";

const TOKEN = "handiwork.token";
const CATEGORIES = { text: "Text", document: "Documents", spreadsheet: "Spreadsheets", image: "Images", data: "Data", archive: "Archives" };
const PANELS = ["loading", "empty", "unmatched", "failed", "locked"];
const SKELETONS = 8;
const TYPING_PAUSE = 200;
const GATHERING = 150;
const POLL = 3000;
const TOAST = 6000;
const LOOK_BACK = 50; // Events that are read again, for runs that began before the page did.
const NOT_FOLLOWED = {
  title: "This session cannot be followed",
  detail: "The server has closed the line for good.",
  hint: "Choose another session, or open the page again.",
};
const FRUITLESS_PAGES = 4; // Pages without a card of the chosen category, after which a person must ask for more.

const $ = (id) => document.getElementById(id);
const api = new Api({ token: sessionStorage.getItem(TOKEN) });
const shelf = new Shelf({ list: $("shelf"), thumbnails: new Thumbnails({ api }), onOpen: (artifact) => preview.show(artifact), onDownload: download });
const sessions = new Sessions({ api, onProblem: report });
const preview = new Preview({
  api,
  neighbour: (id, step) => shelf.neighbour(id, step),
  onClose: (id) => shelf.focus(id),
  onDownload: download,
  onOpen: (artifact) => visitLink(artifact, { disposition: artifact.type === "file" ? "inline" : "view", target: "_blank" }),
});
const end = new IntersectionObserver((entries) => entries.at(-1).isIntersecting && loadMore(), { rootMargin: "600px" });
const running = new Map();
const timers = {};

let session = "";
let cursor = null;
let position = 0;
let live = null;
let visit = new AbortController();
let isLoadingMore = false;
let fruitlessPages = 0;

function after(name, delay, action) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(action, delay);
}

/* The address names the session and may bring a token, which leaves the address bar at once. */

function readAddress() {
  const address = new URLSearchParams(location.hash.slice(1));
  session = address.get("session") ?? "";
  if (!address.has("token")) return;
  unlock(address.get("token"));
  address.delete("token");
  history.replaceState(null, "", address.size ? `#${address}` : location.pathname);
}

function unlock(token) {
  api.token = token;
  sessionStorage.setItem(TOKEN, token);
}

/* Loading */

/** Shows a session from its beginning. */
function enter({ lookBack = LOOK_BACK } = {}) {
  leave();
  shelf.replace([]);
  show("loading");
  return load({ lookBack });
}

function leave() {
  visit.abort();
  live?.close();
  live = null;
  cursor = null;
  running.clear();
  clearTimeout(timers.poll);
  clearTimeout(timers.gather);
  $("connection").hidden = true;
  $("following").hidden = true;
}

/** Reads the list anew; what is shown stays until it is there. */
async function load({ lookBack = LOOK_BACK } = {}) {
  visit.abort();
  visit = new AbortController();
  const { signal } = visit;
  try {
    session ||= (await api.sessions({ limit: 1, signal })).items[0]?.session ?? "";
    sessions.select(session);
    const page = session && (await firstPage(signal));
    shelf.replace(page ? page.items : []);
    cursor = page ? page.nextCursor : null;
    fruitlessPages = 0;
    if (page) follow(page.seq, lookBack);
    // Nothing tells when a session begins, so the page asks now and then.
    else after("poll", POLL, load);
    draw();
  } catch (problem) {
    if (!signal.aborted) fail(problem);
  }
}

/** The newest artifacts, or null where the session does not exist, or not yet. */
async function firstPage(signal) {
  try {
    return await api.artifacts(session, { search: searched(), signal });
  } catch (problem) {
    if (problem.status === 404) return null;
    throw problem;
  }
}

async function loadMore() {
  if (!cursor || isLoadingMore) return;
  const { signal } = visit;
  isLoadingMore = true;
  try {
    const page = await api.artifacts(session, { search: searched(), cursor, signal });
    const before = shelf.count(shelf.category);
    shelf.append(page.items);
    cursor = page.nextCursor;
    fruitlessPages = shelf.count(shelf.category) > before ? 0 : fruitlessPages + 1;
    draw();
  } catch (problem) {
    report(problem);
  } finally {
    isLoadingMore = false;
  }
}

/* Happenings */

function follow(seq, lookBack) {
  if (live) return;
  position = seq;
  live = new Live({
    session,
    after: Math.max(seq - lookBack, 0),
    subprotocols: api.subprotocols,
    onEvent: happened,
    onState: (isOpen) => {
      $("following").hidden = !isOpen;
      $("connection").hidden = isOpen;
    },
    onResync: () => enter({ lookBack: 0 }),
    // The socket does not say why it was refused; asking does.
    onRefused: refused,
  });
}

async function refused({ isFinal }) {
  const line = live;
  const problem = await api.sessions({ limit: 1 }).then(() => null, (problem) => problem);
  if (live !== line) return;
  if (problem?.isLocked) fail(problem);
  else if (isFinal) fail(new Problem(NOT_FOLLOWED));
}

function happened({ type, seq, at, artifactId, executionId, status }) {
  // The list already tells what came of whatever happened before it.
  const isNews = seq > position;
  if (type === "execution-started") running.set(executionId, Date.parse(at));
  if (type === "execution-finished") running.delete(executionId);
  if (type === "execution-finished" && isNews && status !== "succeeded") say(`A run ended: ${status.replaceAll("_", " ")}`);
  if ((type === "artifact-created" || type === "tool-result-cached") && isNews) after("gather", GATHERING, gather);
  if (type === "artifact-revised" && isNews) renew(artifactId);
  if (type === "artifact-expired" && isNews) remove(artifactId);
  draw();
}

/** Fetches what is new, once for all the happenings of a moment. */
async function gather() {
  try {
    const page = await api.artifacts(session, { search: searched(), signal: visit.signal });
    const isGap = page.nextCursor && !page.items.some(({ id }) => shelf.get(id));
    if (isGap) shelf.replace([]);
    if (!shelf.count(null)) cursor = page.nextCursor;
    const arrived = shelf.prepend(page.items);
    if (arrived.length) announce(arrived.length === 1 ? `New: ${arrived[0].title}` : `${arrived.length} new artifacts`);
    draw();
  } catch (problem) {
    report(problem);
  }
}

async function renew(id) {
  try {
    if (shelf.get(id)) shelf.update(await api.artifact(id, { signal: visit.signal }));
  } catch (problem) {
    report(problem);
  }
}

function remove(id) {
  if (preview.shownId === id) {
    preview.close();
    say("This artifact has expired");
  }
  shelf.remove(id);
  draw();
}

/* Drawing */

function show(panel) {
  for (const id of PANELS) $(id).hidden = id !== panel;
  $("toolbar").hidden = ["empty", "failed", "locked"].includes(panel);
  $("searching").hidden = $("toolbar").hidden && !searched();
}

function draw() {
  for (const [name, chip] of chips) {
    const count = shelf.count(name);
    chip.querySelector("span").textContent = cursor ? `${count}+` : count;
    chip.hidden = count === 0 && shelf.category !== name;
    chip.setAttribute("aria-pressed", String(shelf.category === name));
  }
  $("running").hidden = !running.size;
  drawElapsed();
  $("more").hidden = !cursor;
  // Observed anew, the button speaks even if it has been in view all the time.
  end.unobserve($("more"));
  if (cursor && fruitlessPages < FRUITLESS_PAGES) end.observe($("more"));
  if (shelf.count(shelf.category) || cursor) show(null);
  else if (searched() || shelf.category) showUnmatched();
  else if (running.size) show(null);
  else showEmpty();
}

function drawElapsed() {
  if (!running.size) return;
  $("running-title").textContent = running.size === 1 ? "A program is running" : `${running.size} programs are running`;
  $("running-time").textContent = elapsedText(Math.min(...running.values()));
}

function showUnmatched() {
  const what = shelf.category ? CATEGORIES[shelf.category].toLowerCase() : "artifacts";
  $("unmatched-text").textContent = searched() ? `No ${what} match “${searched()}”.` : `There are no ${what} here any more.`;
  show("unmatched");
}

function showEmpty() {
  // A session's name can come from a link: only a plain one goes into a line that is pasted into a shell.
  const name = /^\w[\w.-]*$/.test(session) ? session : "first";
  const code = "import matplotlib.pyplot as plt; plt.plot([1, 4, 9, 16])";
  const key = api.token ? ` \\\n  -H "Authorization: Bearer $HANDIWORK_KEY"` : "";
  const url = `${location.origin}/api/v1/sessions/${name}/executions`;
  $("run-command").textContent = `echo "${code}" \\\n  | handiwork run - --session ${name}`;
  $("http-command").textContent = `curl ${url}${key} \\\n  --json '${JSON.stringify({ code })}'`;
  show("empty");
}

function fail(problem) {
  leave();
  shelf.replace([]);
  $("running").hidden = true;
  $("more").hidden = true;
  $("failed-title").textContent = problem.title ?? "Something went wrong";
  writeProse($("failed-detail"), problem.message);
  writeProse($("failed-hint"), problem.hint ?? "");
  show(problem.isLocked ? "locked" : "failed");
}

/** Messages name things in backticks. */
function writeProse(element, text) {
  const codeOf = (name) => Object.assign(document.createElement("code"), { textContent: name });
  element.replaceChildren(...text.split("`").map((part, i) => (i % 2 ? codeOf(part) : part)));
}

/** Says what went wrong beside what still stands; a request that was given up went wrong for nobody. */
function report(problem) {
  if (problem.name === "AbortError") return;
  if (problem.isLocked) fail(problem);
  else say(`${problem.message} ${problem.hint ?? ""}`);
}

function say(text) {
  $("toast").textContent = text;
  $("toast").showPopover();
  announce(text);
  after("toast", TOAST, () => $("toast").hidePopover());
}

function announce(text) {
  $("announcement").textContent = text;
}

/* What a person does */

function searched() {
  return $("search").value.trim();
}

function download(artifact) {
  return visitLink(artifact, { disposition: "attachment", target: "" });
}

async function visitLink({ id }, { disposition, target }) {
  try {
    Object.assign($("link"), { href: await api.link(id, { disposition }), target }).click();
  } catch (problem) {
    report(problem);
  }
}

async function copy(button) {
  await navigator.clipboard.writeText(button.dataset.copy ?? $(button.dataset.copies).textContent);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

function chipOf([name, label]) {
  const chip = $("chip").content.firstElementChild.cloneNode(true);
  chip.querySelector("b").textContent = label;
  if (name) chip.querySelector("use").setAttribute("href", `#icon-${name}`);
  else chip.querySelector("svg").remove();
  chip.dataset.category = name ?? "";
  chip.addEventListener("click", () => {
    shelf.show(shelf.category === name ? null : name);
    fruitlessPages = 0;
    draw();
  });
  return [name, chip];
}

const chips = [[null, "All"], ...Object.entries(CATEGORIES)].map(chipOf);
$("categories").append(...chips.map(([, chip]) => chip));
for (let i = 0; i < SKELETONS; i += 1) $("loading").append($("skeleton").content.cloneNode(true));
// Without a secure context the browser offers no clipboard.
document.documentElement.classList.toggle("no-clipboard", !navigator.clipboard);

$("search").addEventListener("input", () => after("search", TYPING_PAUSE, load));
$("more").addEventListener("click", loadMore);
$("again").addEventListener("click", () => enter());
$("clear").addEventListener("click", () => {
  $("search").value = "";
  shelf.show(null);
  load();
  $("search").focus();
});
$("unlock").addEventListener("submit", (event) => {
  event.preventDefault();
  unlock($("token").value.trim());
  $("token").value = "";
  enter();
});
document.addEventListener("click", ({ target }) => target.matches(".copy") && copy(target));
addEventListener("hashchange", () => {
  readAddress();
  $("search").value = "";
  shelf.show(null);
  enter();
});
setInterval(drawElapsed, 1000);
setInterval(() => shelf.tick(Date.now()).forEach(remove), 20_000);

readAddress();
enter();
