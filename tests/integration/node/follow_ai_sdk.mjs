// Follows a session with the AI SDK's own reader, which checks each chunk, and prints the message that it comes to.
import { parseJsonEventStream, readUIMessageStream, uiMessageChunkSchema } from "ai";

const response = await fetch(process.argv[2]);
const previews = [];
const chunks = parseJsonEventStream({ stream: response.body, schema: uiMessageChunkSchema }).pipeThrough(
  new TransformStream({
    transform(parsed, controller) {
      if (!parsed.success) throw parsed.error;
      console.log(JSON.stringify({ event: parsed.value.type, id: parsed.value.id }));
      if (parsed.value.transient) previews.push(parsed.value.data);
      controller.enqueue(parsed.value);
    },
  }),
);
let message;
for await (message of readUIMessageStream({ stream: chunks, terminateOnError: true }));
console.log(JSON.stringify({ message, previews, version: response.headers.get("x-vercel-ai-ui-message-stream") }));
