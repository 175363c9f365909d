/** ● Makes a WebSocket connection within 10 s, over a socket as any other: with TLS, keep-alive and the address of this machine that it is told. */
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { request as startRequest } from "node:http";
import type { Socket } from "node:net";
import { UsageError } from "../../core/errors.ts";
import type { Clock } from "../../core/clock.ts";
import { dialSocket } from "../bytes/dial-socket.ts";
import type { DialOptions } from "../bytes/dial-socket.ts";
import { CONNECT_MS_MAX } from "../limits.ts";
import { acceptOf, SUBPROTOCOL } from "./handshake.ts";

/** A connection that has become a WebSocket, and what came behind the server's answer. */
export interface WebSocketHandshake {
  readonly socket: Socket;
  readonly head: Buffer;
}

/** What the server, or a proxy before it, answered instead of the upgrade. */
export class UpgradeRefused extends Error {}

/**
 * Reads the address of a server that is reached by WebSocket.
 *
 * @throws UsageError ADDRESS_INVALID
 */
export function readUrl(text: string): URL {
  if (URL.canParse(text)) {
    const url = new URL(text);
    if ((url.protocol === "ws:" || url.protocol === "wss:") && url.hash === "" && url.username === "") return url;
  }
  throw new UsageError("ADDRESS_INVALID", `Cannot read url: '${text}' is not ws://HOST[:PORT][/PATH] or wss://…`);
}

/** Rejects with the system's or TLS's error, or UpgradeRefused. */
export async function dialWebSocket(
  url: URL,
  { tls, localAddress }: Pick<DialOptions, "tls" | "localAddress">,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<WebSocketHandshake> {
  const isSecure = url.protocol === "wss:";
  const target = {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port) || (isSecure ? 443 : 80),
    ...(localAddress !== undefined && { localAddress }),
    ...(isSecure && { tls: tls || true }),
  };
  const socket = await dialSocket(target, { clock, signal });
  const abort = (): void => void socket.destroy(new Error("closed"));
  const cancel = clock.at(clock.now() + CONNECT_MS_MAX, () => {
    socket.destroy(Object.assign(new Error("no answer within 10 s"), { code: "EHOSTUNREACH" }));
  });
  signal.addEventListener("abort", abort);
  try {
    const head = await upgrade(socket, url);
    return { socket, head };
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    cancel();
    signal.removeEventListener("abort", abort);
  }
}

function upgrade(socket: Socket, url: URL): Promise<Buffer> {
  const key = randomBytes(16).toString("base64");
  return new Promise((resolve, reject) => {
    const request = startRequest({
      createConnection: () => socket,
      path: url.pathname + url.search,
      headers: {
        Host: url.host,
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": SUBPROTOCOL,
      },
    });
    request.once("error", reject);
    request.once("response", ({ statusCode, statusMessage }: IncomingMessage) =>
      reject(new UpgradeRefused(`the server answered HTTP ${statusCode} ${statusMessage}`)),
    );
    request.once("upgrade", ({ headers }: IncomingMessage, _socket: unknown, head: Buffer) => {
      const isRight = headers["sec-websocket-accept"] === acceptOf(key) && headers["sec-websocket-protocol"] === SUBPROTOCOL;
      if (isRight) resolve(head);
      else reject(new UpgradeRefused(`the server does not speak ${SUBPROTOCOL}`));
    });
    request.end();
  });
}
