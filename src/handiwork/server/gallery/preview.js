/** The dialog that shows one artifact larger, with its facts. A typed one is shown by its view page, in a frame. */

import { EXCERPT_BYTES, excerptOf, isReadable, noteOf } from "./excerpt.js";
import { agoText, exactText, sizeText, summaryText } from "./measures.js";
import { sheetOf } from "./shelf.js";
import { draw, pictureOf } from "./thumbnails.js";

const IN_FULL = /^image\/(png|jpeg|gif|webp|avif|bmp|svg\+xml|vnd\.microsoft\.icon)$/;
const PDF = "application/pdf";
/** Files and images are shown here; what has a type of its own, by the page that the server makes of it. */
const SHOWN_HERE = new Set(["file", "image"]);
const $ = (id) => document.getElementById(id);

export class Preview {
  #options;
  #artifact = null;
  #abort = new AbortController();

  /** `neighbour(id, step)` is the artifact beside this one, if any; `onClose` gets the id that was shown last. */
  constructor({ api, neighbour, onClose, onDownload, onOpen }) {
    this.#options = { api, neighbour, onClose };
    $("close").addEventListener("click", () => this.close());
    $("previous").addEventListener("click", () => this.#step(-1));
    $("next").addEventListener("click", () => this.#step(1));
    $("preview-download").addEventListener("click", () => onDownload(this.#artifact));
    $("preview-open").addEventListener("click", () => onOpen(this.#artifact));
    $("preview").addEventListener("close", () => this.#closed());
    $("preview").addEventListener("click", ({ target }) => target === $("preview") && this.close());
    $("preview").addEventListener("keydown", (event) => this.#keyed(event));
  }

  get shownId() {
    return this.#artifact?.id;
  }

  show(artifact) {
    const { title, version } = artifact;
    this.#artifact = artifact;
    $("preview-title").textContent = title || version.name;
    $("preview-summary").textContent = summaryText(version);
    $("preview-open").hidden = SHOWN_HERE.has(artifact.type) && version.mediaType !== PDF;
    $("previous").disabled = !this.#options.neighbour(artifact.id, -1);
    $("next").disabled = !this.#options.neighbour(artifact.id, 1);
    $("facts").replaceChildren(...factsOf(artifact));
    if (!$("preview").open) $("preview").showModal();
    this.#fillStage(artifact);
  }

  close() {
    $("preview").close();
  }

  #closed() {
    const { id } = this.#artifact;
    this.#abort.abort();
    this.#artifact = null;
    $("stage").replaceChildren();
    this.#options.onClose(id);
  }

  #step(step) {
    const artifact = this.#options.neighbour(this.#artifact.id, step);
    if (artifact) this.show(artifact);
  }

  #keyed({ key, target, altKey, ctrlKey, metaKey }) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
    // Where something can be scrolled sideways, the arrows scroll it.
    const isFree = target.scrollWidth <= target.clientWidth || target instanceof HTMLButtonElement;
    if (step && isFree && !altKey && !ctrlKey && !metaKey) this.#step(step);
  }

  async #fillStage(artifact) {
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    $("stage").replaceChildren();
    $("stage").setAttribute("aria-busy", "true");
    const elements = await this.#elementsFor(artifact, signal).catch(({ isBusy }) => [
      sheetOf(artifact),
      noteOf(isBusy ? "The preview is busy. Try again in a moment." : "The preview could not be loaded."),
    ]);
    if (signal.aborted) return;
    $("stage").replaceChildren(...elements);
    $("stage").scrollTo(0, 0);
    $("stage").removeAttribute("aria-busy");
  }

  async #elementsFor(artifact, signal) {
    const { id, links, type, version } = artifact;
    if (!SHOWN_HERE.has(type)) {
      const order = { disposition: "view", version: version.number, signal };
      const page = await this.#options.api.link(id, order).catch(() => null);
      if (page) return [frameOf(page, artifact)];
    }
    if (version.size === 0) return [sheetOf(artifact), noteOf("This file is empty.")];
    const picture = pictureOf(artifact);
    if (IN_FULL.test(version.mediaType)) {
      const whole = { path: links.content, mediaType: version.mediaType };
      // What the browser cannot draw may still have a small picture that the server drew.
      return this.#image(artifact, whole, signal).catch(() => this.#image(artifact, picture, signal));
    }
    if (isReadable(version.mediaType)) {
      return excerptOf(await this.#options.api.head(links.content, { length: EXCERPT_BYTES, signal }), version);
    }
    if (picture) return this.#image(artifact, picture, signal);
    return [sheetOf(artifact), noteOf("This format has no preview. Download it to open it.")];
  }

  async #image({ version }, { path, mediaType }, signal) {
    const alt = version.mediaType === PDF ? `First page of ${version.name}` : version.name;
    const image = Object.assign(new Image(), { alt });
    await draw(image, await this.#options.api.blob(path, { signal }), mediaType);
    return [image];
  }
}

/** The page says itself what it may do; the frame says it once more. Its bar is left out: title and buttons are here. */
function frameOf(url, { title, version }) {
  const frame = Object.assign(document.createElement("iframe"), { title: title || version.name });
  frame.sandbox.add("allow-scripts", "allow-downloads");
  frame.referrerPolicy = "no-referrer";
  frame.src = `${url}#bare`;
  return frame;
}

function factsOf({ type, handle, createdAt, expiresAt, held, version }) {
  const { executionId, principal } = version.provenance;
  return [
    ["File", version.name],
    ["Type", type === "file" ? version.mediaType : `${type} · ${version.mediaType}`],
    ["Size", sizeText(version.size)],
    ["Version", version.number > 1 && version.number],
    ["Made", `${agoText(createdAt)} · ${exactText(createdAt)}`],
    ["Expires", held ? "Never, it is held" : expiresAt && exactText(expiresAt)],
    ["Made by", principal],
    ["Run", executionId, "code"],
    ["Reference", handle, "code"],
    ["SHA-256", version.sha256, "digest"],
  ].flatMap(([label, value, kind]) => (value ? [factOf(label, value, kind)] : []));
}

function factOf(label, value, kind = "text") {
  const row = $("fact").content.firstElementChild.cloneNode(true);
  row.dataset.kind = kind;
  row.querySelector("dt").textContent = label;
  row.querySelector("code").textContent = kind === "digest" ? `${value.slice(0, 12)}…` : value;
  row.querySelector("code").title = value;
  const copy = row.querySelector(".copy");
  copy.setAttribute("aria-label", `Copy ${label}`);
  copy.dataset.copy = value;
  return row;
}
