/**
 * ○ Access rules. A page of another site can make a browser send requests here, so: the Host header must name this server (against
 * DNS rebinding), an action needs the page's token and the same origin (against cross-site request forgery), nothing is shared
 * across origins, and the content security policy allows only the page's own files.
 */
import { parseAddress, showAddress } from "../../core/address.ts";

/** Headers of every response. */
export const SAFE_HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "X-Frame-Options": "DENY",
};

export interface RequestOrigin {
  readonly host: string;
  readonly origin: string | undefined;
  /** Sec-Fetch-Site, which browsers set and pages cannot. */
  readonly fetchSite: string | undefined;
}

/** True when the Host header names this server: the address listened at, or a loopback name with its port. */
export function isOwnHost(host: string, address: string): boolean {
  const { port } = parseAddress(address, "address");
  const own = [address, ...["127.0.0.1", "localhost", "::1"].map((name) => showAddress({ host: name, port }))];
  return own.includes(host.toLowerCase());
}

/** True when an action comes from the page itself, or from a program that is not a browser. */
export function isSameOrigin({ host, origin, fetchSite }: RequestOrigin): boolean {
  if (fetchSite !== undefined && fetchSite !== "same-origin" && fetchSite !== "none") return false;
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
}

/** The value of a cookie in a Cookie header. */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const pair of header?.split(";") ?? []) {
    const [key, value] = pair.trim().split("=", 2);
    if (key === name) return value;
  }
  return undefined;
}
