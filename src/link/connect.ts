/** ● `connect`: one function for both modes. */
import { OperationError } from "../core/errors.ts";
import { HOST_DEFAULT } from "../core/limits.ts";
import { LinkClient } from "./bytes/byte-client.ts";
import type { ConnectOptions } from "./bytes/byte-client.ts";
import { endOfError } from "./end.ts";
import { PORT_DEFAULT } from "./limits.ts";
import { SessionClient } from "./session/client/session-client.ts";
import type { SessionConnectOptions } from "./session/client/session-client.ts";

/**
 * Connects: in byte mode to any TCP server, or with `session` in session mode to `listen`.
 *
 * @returns the client: connected, or, where it may reconnect, still trying after the first attempt failed
 * @throws OperationError LINK_ENDED when the connection cannot be made and there is no reconnecting, LINK_REFUSED when the server
 *   does not take the session, ABORTED; UsageError LINK_OPTION_INVALID, UNIT_INVALID
 * @example
 * const client = await connect({ host: "10.0.0.5", port: 12345 });
 * await client.send("21.5\n");
 * @example
 * const client = await connect({ host: "10.0.0.5", port: 12346, session: { name: "sensor-7" } });
 * await client.send("21.5"); // resolves when the server's application has it, whatever happens to the connection meanwhile
 */
export function connect(options: SessionConnectOptions): Promise<SessionClient>;
export function connect(options?: ConnectOptions): Promise<LinkClient>;
export async function connect(options: ConnectOptions | SessionConnectOptions = {}): Promise<LinkClient | SessionClient> {
  if (options.signal?.aborted) throw new OperationError("ABORTED", "Cannot connect: the signal is already aborted");
  return "session" in options ? connectSession(options) : connectBytes(options);
}

async function connectSession(options: SessionConnectOptions): Promise<SessionClient> {
  const client = new SessionClient(options);
  await client.begin();
  return client;
}

async function connectBytes(options: ConnectOptions): Promise<LinkClient> {
  const client = new LinkClient(options);
  if (options.reconnect) {
    client.retry();
    return client;
  }
  try {
    await client.attempt();
  } catch (cause) {
    const { message } = endOfError(cause);
    const where = `${options.host ?? HOST_DEFAULT}:${options.port ?? PORT_DEFAULT}`;
    throw new OperationError("LINK_ENDED", `Cannot connect to ${where}: ${message}`, { cause });
  }
  return client;
}
