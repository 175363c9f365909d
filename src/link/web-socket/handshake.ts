/**
 * ● WebSocket's opening handshake (RFC 6455, section 4), both sides: an HTTP request that asks for the upgrade, and whether it is taken. A page
 * of another origin is refused unless it is named: a browser says whose page it runs, and would otherwise lend a stranger's page its user's
 * place in the network.
 */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { BlockList, isIP } from "node:net";
import { UsageError } from "../../core/errors.ts";

/** The subprotocol, which both sides name. */
export const SUBPROTOCOL = "holdfast-link";
/** Section 1.3. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** Options of `attach` and `handleUpgrade`. */
export interface WebSocketOptions {
  /**
   * Origins whose pages may connect ("https://app.example.org"), or "*" for all. Default: those that the server itself has, by the request's
   * `Host`. Clients that are no browsers say none, and are not asked.
   */
  readonly allowedOrigins?: readonly string[] | "*";
  /**
   * Addresses of proxies (CIDR) whose `X-Forwarded-For` says who the client is, for the shares and the pace of its network. Default: none;
   * all that come through a proxy then count as one network.
   */
  readonly trustedProxies?: readonly string[];
}

/** Reads the proxies once. @throws UsageError LINK_OPTION_INVALID */
export function readProxies(trustedProxies: readonly string[] = []): BlockList {
  const list = new BlockList();
  for (const text of trustedProxies) {
    const [address = "", bits] = text.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    const most = family === "ipv6" ? 128 : 32;
    const prefix = bits === undefined ? most : Number(bits);
    if (isIP(address) === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > most)
      throw new UsageError("LINK_OPTION_INVALID", `Cannot set trustedProxies: '${text}' is no address or network`);
    list.addSubnet(address, prefix, family);
  }
  return list;
}

/** What a request for the upgrade is answered. */
export type HandshakeReply =
  | { readonly status: 101; readonly head: string }
  | { readonly status: 400 | 403 | 426; readonly why: string; readonly head: string };

/** Whether the request may become a WebSocket. */
export function answer(request: IncomingMessage, { allowedOrigins }: WebSocketOptions): HandshakeReply {
  const { headers } = request;
  const key = headers["sec-websocket-key"] ?? "";
  if (request.method !== "GET" || headers.upgrade?.toLowerCase() !== "websocket" || !/^[+/\dA-Za-z]{22}==$/.test(key))
    return refusal(400, "this is no WebSocket handshake");
  if (headers["sec-websocket-version"] !== "13")
    return refusal(426, "WebSocket's version 13 is spoken", "Sec-WebSocket-Version: 13\r\n");
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((word) => word.trim());
  if (!offered.includes(SUBPROTOCOL)) return refusal(400, `the subprotocol is ${SUBPROTOCOL}`);
  if (!isAllowed(headers.origin, headers.host, allowedOrigins))
    return refusal(403, `pages of ${headers.origin} may not connect`);
  const head =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${acceptOf(key)}\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`;
  return { status: 101, head };
}

/** The answer to a client for which there is no room, or no place. */
export function unavailable(status: 404 | 503): string {
  const words = { 404: "Not Found", 503: "Service Unavailable" };
  return `HTTP/1.1 ${status} ${words[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;
}

/** What the server proves to have read the client's key with. */
export function acceptOf(key: string): string {
  return createHash("sha1")
    .update(key + GUID)
    .digest("base64");
}

/**
 * The client's address as the nearest proxy tells it that is trusted; undefined where none is.
 *
 * @returns the last address in X-Forwarded-For that is no trusted proxy
 */
export function forwardedFor({ headers, socket }: IncomingMessage, proxies: BlockList): string | undefined {
  const trusted = (address: string): boolean =>
    isIP(address) > 0 && proxies.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  const bare = (address: string): string => address.trim().replace(/^::ffff:(?=\d+\.)/i, "");
  if (!trusted(bare(socket.remoteAddress ?? ""))) return undefined;
  const told = String(headers["x-forwarded-for"] ?? "")
    .split(",")
    .map(bare);
  const client = told.findLast((address) => !trusted(address));
  if (client === undefined || isIP(client) === 0) return undefined;
  return client.includes(":") ? `[${client}]` : client;
}

function isAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[] | "*" | undefined,
): boolean {
  if (origin === undefined || allowed === "*") return true;
  if (allowed) return allowed.includes(origin);
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}

const STATUS = { 400: "Bad Request", 403: "Forbidden", 426: "Upgrade Required" } as const;

function refusal(status: keyof typeof STATUS, why: string, more = ""): HandshakeReply {
  const head = `HTTP/1.1 ${status} ${STATUS[status]}\r\nConnection: close\r\n${more}Content-Type: text/plain\r\nContent-Length: ${why.length + 1}\r\n\r\n${why}\n`;
  return { status, why, head };
}
