/** ● `listen`: one function for both modes. */
import { LinkServer } from "./bytes/byte-server.ts";
import type { ListenOptions } from "./bytes/byte-server.ts";
import { SessionServer } from "./session/server/session-server.ts";
import type { SessionListenOptions } from "./session/server/session-server.ts";

/**
 * Listens for connections: in byte mode, which any TCP client speaks, or with `session` in session mode, which `connect` speaks.
 *
 * @returns the server, listening
 * @throws UsageError LINK_OPTION_INVALID, UNIT_INVALID; the system's error (EADDRINUSE …) when the address cannot be listened on
 * @example
 * const server = await listen({ port: 12345, idle: "5s", interval: "10s", count: 3 });
 * server.on("bytes", (link, bytes) => console.log(link.peer, bytes.toString()));
 * @example
 * const server = await listen({ port: 12346, session: { onMessage: (session, message) => store(session.name, message) } });
 */
export function listen(options: SessionListenOptions): Promise<SessionServer>;
export function listen(options?: ListenOptions): Promise<LinkServer>;
export async function listen(options: ListenOptions | SessionListenOptions = {}): Promise<LinkServer | SessionServer> {
  if ("session" in options) {
    const sessions = new SessionServer(options);
    await sessions.start(options);
    return sessions;
  }
  const server = new LinkServer(options);
  await server.start(options);
  return server;
}
