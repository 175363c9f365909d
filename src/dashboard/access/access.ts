/**
 * ● Who may look: the owner of the dashboard's token; whoever reaches a loopback address; whom the application that a board is mounted
 * in lets through. /health and /ready are answered to all.
 */
import { isIP } from "node:net";
import type { AccessControl } from "../../access/access-control.ts";
import type { AskedRights } from "../../access/access-table.ts";
import { sameBytes } from "../../core/bytes.ts";
import { cookieOf, isOwnHost } from "./access-rules.ts";

/** What the routes ask of each request. */
export interface Access {
  /** Whether a request with this Host header is answered at all: without a secret it must name this server. */
  readonly knows: (host: string) => boolean;
  /** The answer to a request that is not let in; undefined: it is. */
  readonly refusal: (request: Request) => Promise<Response | undefined>;
  /** With an access file: what who asks may do; undefined, or without one: everything, if it is let in. */
  readonly rightsOf?: (request: Request) => Promise<AskedRights | undefined>;
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

/**
 * With an access file: whom the board lets in by itself may everything, where it asks for something (`own`); a user's token is that user's, and who
 * has none is `*`. The page shows everybody's names and counts: it needs the right dashboard:see.
 */
export function userAccess(control: AccessControl, own: Access, { isOwnOpen }: { readonly isOwnOpen: boolean }): Access {
  const isOwner = async (request: Request): Promise<boolean> => !isOwnOpen && (await own.refusal(request)) === undefined;
  const rightsNow = (request: Request): AskedRights => {
    const token = givenToken(request);
    return control.rightsOf(token === undefined ? undefined : control.table.withToken(token)?.name);
  };
  return {
    knows: own.knows,
    async refusal(request) {
      const refusal = isOwnOpen ? undefined : await own.refusal(request);
      if (!isOwnOpen && (refusal === undefined || refusal.status === 303)) return refusal;
      const asked = new URL(request.url).searchParams.get("token");
      if (asked !== null && control.table.withToken(asked)) return cookieResponse(asked);
      const rights = rightsNow(request);
      if (rights.mayAny("dashboard:see")) return undefined;
      rights.refused("dashboard:see");
      return refusal ?? new Response("Send a token: 'Authorization: Bearer …'.\n", { status: 401 });
    },
    rightsOf: async (request) => ((await isOwner(request)) ? undefined : rightsNow(request)),
  };
}

/** In an Authorization header, or in the cookie. */
function givenToken({ headers }: Request): string | undefined {
  const bearer = headers.get("authorization")?.replace(/^Bearer /i, "");
  const cookie = cookieOf(headers.get("cookie") ?? undefined, COOKIE);
  return bearer ?? (cookie === undefined ? undefined : decoded(cookie));
}

function decoded(cookie: string): string | undefined {
  try {
    return decodeURIComponent(cookie);
  } catch {
    return undefined;
  }
}

/** true: let in; a Response: answered with it, such as a redirect to a login page; false: 401. */
export type Authorize = (request: Request) => boolean | Response | Promise<boolean | Response>;

function refusalWithout(token: string, request: Request): Response | undefined {
  const asked = new URL(request.url).searchParams.get("token");
  if (asked !== null && isSame(asked, token)) {
    return cookieResponse(token);
  }
  const bearer = request.headers.get("authorization")?.replace(/^Bearer /, "");
  const cookie = cookieOf(request.headers.get("cookie") ?? undefined, COOKIE);
  if (isSame(bearer ?? "", token) || isSame(cookie ?? "", encodeURIComponent(token))) return undefined;
  const text = "Open /?token=… with the token given as --dashboard-token, or send it as 'Authorization: Bearer …'.\n";
  return new Response(text, { status: 401, headers: { "Content-Type": "text/plain; charset=UTF-8" } });
}

function cookieResponse(token: string): Response {
  const cookie = `${COOKIE}=${encodeURIComponent(token)}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${WEEK_SECONDS}`;
  return new Response(null, { status: 303, headers: { Location: "/", "Set-Cookie": cookie } });
}

/** Compares in constant time. */
export function isSame(given: string, wanted: string): boolean {
  return sameBytes(Buffer.from(given), Buffer.from(wanted));
}
