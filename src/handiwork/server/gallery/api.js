/** What the server answers: sessions, artifacts, links and bytes. Nothing here knows the page. */

const BASE = "/api/v1";
const DEADLINE = 30_000;
const PAGE = 50;

/** Why a request came to nothing, in the words of the server's problem document. */
export class Problem extends Error {
  constructor({ title, detail = "", hint = "", status = 0, retryAfter = null }) {
    super(detail || title);
    Object.assign(this, { title, hint, status, retryAfter });
  }

  /** Too much in all is 429 as well; only what passes by itself says when to come back. */
  get isBusy() {
    return this.status === 503 || (this.status === 429 && this.retryAfter !== null);
  }

  get isLocked() {
    return this.status === 401 || this.status === 403;
  }
}

export class Api {
  constructor({ token }) {
    this.token = token;
  }

  /** A WebSocket cannot send headers, so its token travels as a subprotocol. */
  get subprotocols() {
    return this.token ? ["handiwork", `bearer.${this.token}`] : ["handiwork"];
  }

  sessions({ limit, signal }) {
    return this.#json(`${BASE}/sessions?limit=${limit}`, { signal });
  }

  artifacts(session, { search, cursor, signal }) {
    const query = new URLSearchParams({ limit: PAGE, ...(search && { q: search }), ...(cursor && { cursor }) });
    return this.#json(`${BASE}/sessions/${encodeURIComponent(session)}/artifacts?${query}`, { signal });
  }

  artifact(id, { signal }) {
    return this.#json(`${BASE}/artifacts/${encodeURIComponent(id)}`, { signal });
  }

  /** A signed link to the newest version or to this one, which works without a header. */
  async link(id, { disposition, version, signal }) {
    const body = JSON.stringify({ disposition, version });
    const headers = { "Content-Type": "application/json" };
    const path = `${BASE}/artifacts/${encodeURIComponent(id)}/links`;
    return (await this.#json(path, { method: "POST", body, headers, signal })).url;
  }

  /** The bytes at a path that an artifact names in its `links`. */
  async blob(path, { signal }) {
    return (await this.#send(path, { signal })).blob();
  }

  /** The first `length` bytes at such a path. */
  async head(path, { length, signal }) {
    const response = await this.#send(path, { signal, headers: { Range: `bytes=0-${length - 1}` } });
    return new Uint8Array(await response.arrayBuffer()).subarray(0, length);
  }

  async #json(path, options) {
    return (await this.#send(path, options)).json();
  }

  async #send(path, { signal, headers, ...options }) {
    const deadline = AbortSignal.timeout(DEADLINE);
    const response = await fetch(path, {
      ...options,
      headers: { ...headers, ...(this.token && { Authorization: `Bearer ${this.token}` }) },
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    }).catch((error) => {
      if (signal?.aborted) throw error;
      const hint = "Is the server still running, and are you online?";
      throw new Problem({ title: "The server does not answer", detail: "The request did not get through.", hint });
    });
    if (response.ok) return response;
    const stated = await response.json().catch(() => ({ detail: `It answered ${response.status}.` }));
    const retryAfter = response.headers.get("Retry-After");
    throw new Problem({ title: "The server refused", ...stated, status: response.status, retryAfter });
  }
}
