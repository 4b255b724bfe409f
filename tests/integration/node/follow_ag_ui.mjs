// Follows a session with AG-UI's own client, which refuses what is out of order, and prints what it comes to.
import { HttpAgent } from "@ag-ui/client";

class Follower extends HttpAgent {
  requestInit(input) {
    const { body, ...asked } = super.requestInit(input);
    return { ...asked, method: "GET" };
  }
}

const refused = [];
console.warn = (...words) => refused.push(words.join(" "));
const agent = new Follower({ url: process.argv[2], threadId: "s" });
await agent.runAgent({}, { onEvent: ({ event }) => console.log(JSON.stringify({ event: event.type, id: event.messageId })) });
console.log(JSON.stringify({ messages: agent.messages, refused }));
