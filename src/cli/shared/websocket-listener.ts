/** ● The HTTP server of `--websocket`: sessions come in by it, and nothing else. */
import { once } from "node:events";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { parseAddress, showAddress } from "../../core/address.ts";
import { UsageError } from "../../core/errors.ts";
import type { SessionServer } from "../../link/index.ts";
import type { LINK_ALONE } from "../../settings/parts.ts";
import type { Values } from "../../settings/table.ts";
import { listenError } from "./listen-error.ts";
import type { LinkListenOptions } from "./part-options.ts";

/** 10 s for a request, as for the HELLO after it; a stranger who says nothing costs a socket for so long. */
const REQUEST_MS_MAX = 10_000;

export interface WebSocketListener {
  readonly address: string;
  /** Resolves when nobody is connected by it any more: close the sessions' server first. */
  close(): Promise<void>;
}

/** Listens where `--websocket` says; undefined without it. @throws UsageError CLI_USAGE, ADDRESS_INVALID */
export async function listenWebSocket(
  { websocket, allowedOrigins, trustedProxies }: Values<(typeof LINK_ALONE)["settings"]>,
  server: SessionServer,
  tls: LinkListenOptions["tls"],
): Promise<WebSocketListener | undefined> {
  if (websocket === undefined) {
    if (allowedOrigins ?? trustedProxies)
      throw new UsageError("CLI_USAGE", "--allowed-origins and --trusted-proxies need --websocket");
    return undefined;
  }
  const { host, port } = parseAddress(websocket, "--websocket");
  const limits = { headersTimeout: REQUEST_MS_MAX, requestTimeout: REQUEST_MS_MAX };
  const http = tls ? createTlsServer({ ...tls, ...limits }) : createServer(limits);
  http.on("request", (_request, response) => {
    response.writeHead(426, { Connection: "close", Upgrade: "websocket" }).end("sessions come by WebSocket\n");
  });
  server.attach(http, {
    ...(allowedOrigins && { allowedOrigins: allowedOrigins.includes("*") ? "*" : allowedOrigins }),
    ...(trustedProxies && { trustedProxies }),
  });
  try {
    http.listen(port, host);
    await once(http, "listening");
  } catch (error) {
    throw listenError(error, `listen on ${websocket}`, "give another address with --websocket");
  }
  const { address, port: bound } = http.address() as AddressInfo;
  return {
    address: showAddress({ host: address, port: bound }),
    async close() {
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}
