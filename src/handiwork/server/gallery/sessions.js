/** The menu of sessions: plain links to `#session=…`, so that Back and a new tab work. What they hold is not shown here. */

import { agoText, exactText, sizeText } from "./measures.js";

const MOST = 100;
const $ = (id) => document.getElementById(id);

export class Sessions {
  #current = "";

  constructor({ api, onProblem }) {
    $("session-menu").addEventListener("beforetoggle", ({ newState }) => {
      if (newState !== "open") return;
      const left = Math.max($("session-button").getBoundingClientRect().left, 16);
      $("session-menu").style.setProperty("--menu-left", `${left}px`);
      const fill = ({ items }) => $("session-list").replaceChildren(...items.map((item) => this.#entryOf(item)));
      api.sessions({ limit: MOST }).then(fill).catch(onProblem);
    });
    $("session-list").addEventListener("click", () => $("session-menu").hidePopover());
  }

  select(session) {
    this.#current = session;
    $("session-button").hidden = !session;
    $("session-name").textContent = session;
    document.title = session ? `${session} · Handiwork` : "Handiwork";
  }

  #entryOf({ session, updatedAt, artifacts, bytes }) {
    const entry = $("session-entry").content.firstElementChild.cloneNode(true);
    const link = entry.querySelector("a");
    link.href = `#${new URLSearchParams({ session })}`;
    if (session === this.#current) link.setAttribute("aria-current", "true");
    link.querySelector("b").textContent = session;
    link.querySelector(".count").textContent = artifacts === 1 ? "1 artifact" : `${artifacts} artifacts`;
    const when = link.querySelector(".when");
    Object.assign(when, { textContent: `${agoText(updatedAt)} · ${sizeText(bytes)}`, title: exactText(updatedAt) });
    return entry;
  }
}
