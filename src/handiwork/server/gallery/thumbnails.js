/** Pictures on cards: fetched when a card comes into view, a few at once. What a card looks like is not known here. */

const AT_ONCE = 4;
const TRIES = 4;
const BUSY_WAIT = 2000;
const MARGIN = "200px";
const SVG = "image/svg+xml";
const LARGEST_DRAWING = 512 * 1024;

/** An artifact's small picture, as path and media type; null where it has none. An SVG is its own. */
export function pictureOf({ links, version }) {
  if (links.thumbnail) return { path: links.thumbnail, mediaType: "image/png" };
  const isDrawing = version.mediaType === SVG && version.size <= LARGEST_DRAWING;
  return isDrawing ? { path: links.content, mediaType: SVG } : null;
}

/** Shows bytes in an `<img>`, where nothing in them can run. Rejects what cannot be drawn. */
export function draw(image, blob, mediaType) {
  // An SVG is drawn only under its own type, which a server that sends it as a download may not tell.
  const url = URL.createObjectURL(blob.slice(0, blob.size, mediaType));
  image.src = url;
  return image.decode().finally(() => URL.revokeObjectURL(url));
}

export class Thumbnails {
  #api;
  #jobs = new WeakMap();
  #waiting = new Set();
  #running = 0;
  #observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: MARGIN });

  constructor({ api }) {
    this.#api = api;
  }

  /** Draws `picture` in `image` once `card` is near the view, and then tells `onDrawn`. */
  watch(card, { picture, image, onDrawn }) {
    this.#jobs.set(card, { picture, image, onDrawn, tries: 0, abort: new AbortController() });
    this.#observer.observe(card);
  }

  forget(card) {
    this.#observer.unobserve(card);
    this.#waiting.delete(card);
    this.#jobs.get(card)?.abort.abort();
    this.#jobs.delete(card);
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) this.#waiting[isIntersecting ? "add" : "delete"](target);
    this.#pump();
  }

  async #pump() {
    if (this.#running >= AT_ONCE || !this.#waiting.size) return;
    const [card] = this.#waiting;
    this.#waiting.delete(card);
    this.#observer.unobserve(card);
    this.#running += 1;
    this.#pump();
    await this.#fetch(card, this.#jobs.get(card));
    this.#running -= 1;
    this.#pump();
  }

  async #fetch(card, job) {
    const { path, mediaType } = job.picture;
    try {
      await draw(job.image, await this.#api.blob(path, { signal: job.abort.signal }), mediaType);
      job.onDrawn();
    } catch (problem) {
      // The icon that stands there already is the answer, unless the server was only busy.
      if (problem.isBusy && ++job.tries < TRIES) setTimeout(() => this.#again(card, job), BUSY_WAIT * job.tries);
    }
  }

  #again(card, job) {
    if (this.#jobs.get(card) === job) this.#observer.observe(card);
  }
}
