// Follows a session with A2A's own client for HTTP+JSON and prints each update as the client has read it.
import { RestTransportFactory } from "@a2a-js/sdk/client";

const fetchImpl = (_url, init) => fetch(process.argv[2], { ...init, method: "GET" });
const transport = await new RestTransportFactory({ fetchImpl }).create("http://task", {});
const updates = [];
for await (const update of transport.resubscribeTask({ tenant: "", id: "s" })) {
  updates.push(update);
  const artifact = update.payload?.value?.artifact;
  console.log(JSON.stringify({ event: update.payload?.$case, id: artifact?.artifactId }));
}
console.log(JSON.stringify({ updates }));
