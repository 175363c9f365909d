/**
 * ● Who may look: the owner of the dashboard's token; whoever reaches a loopback address; whom the application that a board is mounted
 * in lets through. /health and /ready are answered to all.
 */
import { isIP } from "node:net";
import { sameBytes } from "../../core/bytes.ts";
import { cookieOf, isOwnHost } from "./access-rules.ts";

/** What the routes ask of each request. */
export interface Access {
  /** Whether a request with this Host header is answered at all: without a secret it must name this server. */
  readonly knows: (host: string) => boolean;
  /** The answer to a request that is not let in; undefined: it is. */
  readonly refusal: (request: Request) => Promise<Response | undefined>;
}

const COOKIE = "holdfast";
const WEEK_SECONDS = 7 * 24 * 3600;

/** Whoever reaches the loopback address. @param address where it listens; known once it does */
export function loopbackAccess(address: () => string): Access {
  return { knows: (host) => isOwnHost(host, address()), refusal: () => Promise.resolve(undefined) };
}

/** Whoever has the token: in an Authorization header, in a cookie, or as `?token=` in the URL, which sets the cookie. */
export function tokenAccess(token: string): Access {
  return { knows: () => true, refusal: (request) => Promise.resolve(refusalWithout(token, request)) };
}

/** Whom the application lets in. @throws what `authorize` throws */
export function applicationAccess(authorize: Authorize): Access {
  return {
    knows: () => true,
    async refusal(request) {
      const verdict = await authorize(request);
      if (verdict instanceof Response) return verdict;
      return verdict ? undefined : new Response("Not authorized.\n", { status: 401 });
    },
  };
}

/** Everybody, under a name that DNS cannot have been made to lead here: an IP address or localhost, or one of `hosts`. */
export function openAccess(hosts: readonly string[]): Access {
  return {
    knows(host) {
      const name = host.replace(/:\d+$/, "").toLowerCase();
      return name === "localhost" || isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0 || hosts.includes(name);
    },
    refusal: () => Promise.resolve(undefined),
  };
}

/** true: let in; a Response: answered with it, such as a redirect to a login page; false: 401. */
export type Authorize = (request: Request) => boolean | Response | Promise<boolean | Response>;

function refusalWithout(token: string, request: Request): Response | undefined {
  const asked = new URL(request.url).searchParams.get("token");
  if (asked !== null && isSame(asked, token)) {
    const cookie = `${COOKIE}=${encodeURIComponent(token)}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${WEEK_SECONDS}`;
    return new Response(null, { status: 303, headers: { Location: "/", "Set-Cookie": cookie } });
  }
  const bearer = request.headers.get("authorization")?.replace(/^Bearer /, "");
  const cookie = cookieOf(request.headers.get("cookie") ?? undefined, COOKIE);
  if (isSame(bearer ?? "", token) || isSame(cookie ?? "", encodeURIComponent(token))) return undefined;
  const text = "Open /?token=… with the token given as --dashboard-token, or send it as 'Authorization: Bearer …'.\n";
  return new Response(text, { status: 401, headers: { "Content-Type": "text/plain; charset=UTF-8" } });
}

/** Compares in constant time. */
export function isSame(given: string, wanted: string): boolean {
  return sameBytes(Buffer.from(given), Buffer.from(wanted));
}
