/** A session's events over a WebSocket, resumed where it broke off. What an event means is not decided here. */

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;
const OPENING_DEADLINE = 10_000;
const RESYNC = 4410;
/** How long a line stands before it counts as good, where nothing happens. */
const STEADY = 5_000;
/** The server lets a socket open before it looks who is there; these say that coming back would change nothing. */
const FINAL = new Set([4401, 4403, 4404, 4422]);

export class Live {
  #options;
  #after;
  #failures = 0;
  #socket = null;
  #timer = 0;
  #steadying = 0;

  /**
   * `onEvent` gets each event once and in order, `onState` whether the line is open; `onResync` says that
   * events were missed and this line is over, `onRefused` that the server did not let a connection open, or with
   * `isFinal` that it closed the line for good.
   */
  constructor({ session, after, subprotocols, onEvent, onState, onResync, onRefused }) {
    this.#options = { session, subprotocols, onEvent, onState, onResync, onRefused };
    this.#after = after;
    addEventListener("online", this.#hurry);
    this.#connect();
  }

  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#steadying);
    removeEventListener("online", this.#hurry);
    if (this.#socket) Object.assign(this.#socket, { onopen: null, onmessage: null, onclose: null }).close();
  }

  #hurry = () => {
    if (this.#socket) return;
    clearTimeout(this.#timer);
    this.#connect();
  };

  #connect() {
    const { session, subprotocols, onState } = this.#options;
    const url = new URL(`/api/v1/sessions/${encodeURIComponent(session)}/ws?after=${this.#after}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url, subprotocols);
    const deadline = setTimeout(() => socket.close(), OPENING_DEADLINE);
    let hasOpened = false;
    socket.onopen = () => {
      clearTimeout(deadline);
      hasOpened = true;
      this.#steadying = setTimeout(this.#steady, STEADY);
      onState(true);
    };
    socket.onmessage = ({ data }) => {
      this.#steady();
      this.#receive(JSON.parse(data));
    };
    socket.onclose = ({ code }) => {
      clearTimeout(deadline);
      clearTimeout(this.#steadying);
      this.#socket = null;
      this.#lost({ code, hasOpened });
    };
    this.#socket = socket;
  }

  #steady = () => {
    this.#failures = 0;
  };

  #receive(event) {
    if (event.type === "resync") return this.#options.onResync();
    // What is told twice, and what has no number, such as a sign of life, changes nothing here.
    if (!(event.seq > this.#after)) return;
    this.#after = event.seq;
    this.#options.onEvent(event);
  }

  #lost({ code, hasOpened }) {
    if (code === RESYNC) return this.#options.onResync();
    this.#options.onState(false);
    if (FINAL.has(code)) {
      this.close();
      return this.#options.onRefused({ isFinal: true });
    }
    if (!hasOpened) this.#options.onRefused({ isFinal: false });
    // A spread of waits keeps many pages from coming back to a restarted server in one instant.
    const wait = Math.min(FIRST_WAIT * 2 ** this.#failures++, LONGEST_WAIT) * (0.75 + Math.random() / 2);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }
}
