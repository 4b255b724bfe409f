/** The cards in their order, newest first, and the category that is shown. Where artifacts come from is not known here. */

import { agoText, exactText, expiryText, extensionOf, isExpired, sizeText, summaryText } from "./measures.js";
import { pictureOf } from "./thumbnails.js";

const LEAVING = 300;
const template = document.getElementById("card").content.firstElementChild;

export class Shelf {
  category = null;
  #cards = new Map();
  #options;

  constructor({ list, thumbnails, onOpen, onDownload }) {
    this.#options = { list, thumbnails, onOpen, onDownload };
  }

  get(id) {
    return this.#cards.get(id)?.artifact;
  }

  /** How many artifacts there are, of one category or of all. */
  count(category) {
    if (category === null) return this.#cards.size;
    return [...this.#cards.values()].filter((card) => card.dataset.category === category).length;
  }

  replace(artifacts) {
    for (const card of this.#cards.values()) this.#options.thumbnails.forget(card);
    this.#cards.clear();
    this.#options.list.replaceChildren();
    this.append(artifacts);
  }

  append(artifacts) {
    this.#options.list.append(...this.#unknown(artifacts).map((artifact) => this.#cardOf(artifact)));
  }

  /** Puts what is new in front and returns it; `artifacts` are the newest, newest first. */
  prepend(artifacts) {
    const arrived = this.#unknown(artifacts);
    const cards = arrived.map((artifact) => this.#cardOf(artifact));
    for (const card of cards) card.classList.add("new");
    this.#options.list.prepend(...cards);
    return arrived;
  }

  /** Shows another version of an artifact in its old place. */
  update(artifact) {
    const old = this.#cards.get(artifact.id);
    const hadFocus = old.contains(document.activeElement);
    this.#options.thumbnails.forget(old);
    old.replaceWith(this.#cardOf(artifact));
    if (hadFocus) this.focus(artifact.id);
  }

  remove(id) {
    const card = this.#cards.get(id);
    if (!card) return;
    this.#cards.delete(id);
    this.#options.thumbnails.forget(card);
    if (card.contains(document.activeElement)) this.#options.list.focus();
    card.classList.add("leaving");
    setTimeout(() => card.remove(), LEAVING);
  }

  show(category) {
    this.category = category;
    for (const card of this.#cards.values()) card.hidden = this.#isLeftOut(card);
  }

  focus(id) {
    this.#cards.get(id)?.querySelector(".open").focus();
  }

  /** The artifact that is shown `step` places after this one. */
  neighbour(id, step) {
    const shown = [...this.#options.list.querySelectorAll("[data-id]:not([hidden], .leaving)")];
    return shown[shown.findIndex((card) => card.dataset.id === id) + step]?.artifact;
  }

  /** Writes the times anew and returns the ids of what has expired meanwhile. */
  tick(now) {
    const cards = [...this.#cards.values()];
    for (const card of cards) writeTimes(card, now);
    return cards.filter((card) => isExpired(card.artifact, now)).map((card) => card.dataset.id);
  }

  #unknown(artifacts) {
    return artifacts.filter(({ id }) => !this.#cards.has(id));
  }

  #isLeftOut(card) {
    return this.category !== null && card.dataset.category !== this.category;
  }

  #cardOf(artifact) {
    const { thumbnails, onOpen, onDownload } = this.#options;
    const card = filled(artifact);
    card.hidden = this.#isLeftOut(card);
    card.querySelector(".open").addEventListener("click", () => onOpen(artifact));
    card.querySelector(".download").addEventListener("click", () => onDownload(artifact));
    this.#cards.set(artifact.id, card);
    const picture = pictureOf(artifact);
    const image = card.querySelector(".thumbnail");
    if (picture) thumbnails.watch(card, { picture, image, onDrawn: () => card.classList.add("pictured") });
    return card;
  }
}

/** The sheet of paper that stands for a file without a picture. */
export function sheetOf({ version }, sheet = template.querySelector(".sheet").cloneNode(true)) {
  sheet.dataset.category = version.category;
  sheet.querySelector("use").setAttribute("href", `#icon-${version.category}`);
  sheet.querySelector(".extension").textContent = extensionOf(version.name);
  return sheet;
}

function filled(artifact) {
  const { id, title, version } = artifact;
  const card = template.cloneNode(true);
  const write = (selector, text) => Object.assign(card.querySelector(selector), { textContent: text });
  Object.assign(card, { artifact });
  Object.assign(card.dataset, { id, category: version.category });
  const below = title === version.name ? summaryText(version).split("\n", 1)[0] || version.mediaType : version.name;
  write(".open", title || version.name);
  write(".name", below).title = below;
  write(".size", sizeText(version.size));
  write(".version", `v${version.number}`).hidden = version.number === 1;
  card.querySelector(".download").setAttribute("aria-label", `Download ${version.name}`);
  sheetOf(artifact, card.querySelector(".sheet"));
  writeTimes(card, Date.now());
  return card;
}

function writeTimes(card, now) {
  const { updatedAt, expiresAt } = card.artifact;
  const time = card.querySelector("time");
  Object.assign(time, { textContent: agoText(updatedAt, now), dateTime: updatedAt, title: exactText(updatedAt) });
  const ending = expiryText(card.artifact, now);
  const badge = Object.assign(card.querySelector(".expiry"), { textContent: ending, hidden: !ending });
  if (ending) badge.title = exactText(expiresAt);
}
