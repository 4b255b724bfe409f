"""The events of a session on the wires of others: Server-Sent Events and WebSockets, AG-UI, the AI SDK, A2A."""
