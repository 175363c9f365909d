/**
 * ● The other processes of a farm, asked for what they tell of themselves (member.ts). Nobody is asked while nobody looks; whoever looks
 * is answered at once with what is known, and a peer that does not answer holds up nothing: it is shown as down, with what it said last.
 * Brokers of one group tell each other over the group's own connection, and are asked nothing.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { Clock } from "../../core/clock.ts";
import { parseAddress, showAddress } from "../../core/address.ts";
import { messageOf, UsageError } from "../../core/errors.ts";
import { FARM_MEMBERS_MAX, MEMBER_BYTES_MAX, MEMBER_MS_MAX, MEMBER_NEWS_MS, MEMBERS_STALE_MS } from "../limits.ts";
import type { ClusterNumbers } from "../snapshot/monitored-parts.ts";
import { type FarmRow, type Member, readMember } from "./member.ts";

export interface FarmOptions {
  /** "HOST:PORT", or the URL of a mounted board. A name that leads to several addresses is all of them. */
  readonly peers: readonly string[];
  /** Sent to each as its token. */
  readonly token: string | undefined;
  readonly clock: Clock;
}

/** One of `peers`, and the processes that its name leads to. */
interface Peer {
  readonly url: URL;
  /** By URL. */
  readonly rows: Map<string, FarmRow>;
  isAsked: boolean;
}

export class Farm {
  readonly #peers: readonly Peer[];
  readonly #headers: Readonly<Record<string, string>>;
  readonly #clock: Clock;
  #askedMs = -Infinity;

  /** @throws UsageError ADDRESS_INVALID, DASHBOARD_OPTIONS_INVALID */
  constructor({ peers, token, clock }: FarmOptions) {
    this.#peers = peers.map((peer) => ({ url: readPeer(peer), rows: new Map(), isAsked: false }));
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.#clock = clock;
  }

  /** All that is known now: this process first, then the peers. When it is older than two seconds the peers are asked anew. */
  members(own: Member, group: ClusterNumbers | undefined): FarmRow[] {
    if (this.#clock.now() - this.#askedMs >= MEMBERS_STALE_MS) {
      this.#askedMs = this.#clock.now();
      for (const peer of this.#peers) if (!peer.isAsked) void this.#askAll(peer);
    }
    const self: FarmRow = { url: "", state: "up", why: undefined, sinceMs: undefined, member: own };
    // One process under two names is one; this one may be among its own peers.
    const seen = new Set([own.id]);
    const others = [...this.#peers.flatMap(({ rows }) => [...rows.values()]), ...this.#groupRows(group)];
    return [self, ...others.filter(({ member }) => member === undefined || (!seen.has(member.id) && seen.add(member.id)))];
  }

  /** One that has told nothing for three of its turns is down. */
  #groupRows({ others = [] }: Partial<ClusterNumbers> = {}): FarmRow[] {
    return others.flatMap(({ writer, about, agoMs }): FarmRow[] => {
      const member = readMember(about);
      const isUp = agoMs < 3 * MEMBER_NEWS_MS;
      const sinceMs = isUp ? undefined : this.#clock.wallMs() - agoMs;
      const why = isUp ? undefined : "it has told its group nothing since";
      return member ? [{ url: `group:${writer}`, state: isUp ? "up" : "down", why, sinceMs, member }] : [];
    });
  }

  async #askAll(peer: Peer): Promise<void> {
    const { url, rows } = peer;
    peer.isAsked = true;
    try {
      const found = new Set(await addressesOf(url));
      for (const known of rows.keys()) if (!found.has(known)) rows.delete(known);
      await Promise.all(Array.from(found, (each) => this.#ask(each, rows)));
    } catch (error) {
      for (const each of rows.size > 0 ? rows.keys() : [url.href]) this.#isDown(each, rows, messageOf(error));
    } finally {
      peer.isAsked = false;
    }
  }

  /** Never throws. */
  async #ask(url: string, rows: Map<string, FarmRow>): Promise<void> {
    if (!rows.has(url))
      rows.set(url, { url, state: "asking", why: undefined, sinceMs: this.#clock.wallMs(), member: undefined });
    try {
      const signal = AbortSignal.timeout(MEMBER_MS_MAX);
      const response = await fetch(new URL("api/member", url), { headers: this.#headers, redirect: "error", signal });
      if (!response.ok) throw new Error(`it answered ${response.status}`);
      const member = readMember(JSON.parse(await limitedText(response)));
      if (!member) throw new Error(NO_BOARD);
      rows.set(url, { url, state: "up", why: undefined, sinceMs: undefined, member });
    } catch (error) {
      this.#isDown(url, rows, reasonOf(error));
    }
  }

  #isDown(url: string, rows: Map<string, FarmRow>, why: string): void {
    const before = rows.get(url);
    const sinceMs = before?.state === "down" ? before.sinceMs : this.#clock.wallMs();
    rows.set(url, { url, state: "down", why, sinceMs, member: before?.member });
  }
}

const NO_BOARD = "it is no board of Holdfast";

/** @throws UsageError ADDRESS_INVALID, DASHBOARD_OPTIONS_INVALID */
function readPeer(peer: string): URL {
  if (!/^https?:\/\//.test(peer))
    return new URL(`http://${showAddress(parseAddress(peer, "a peer's address", { port: 8280 }))}/`);
  if (!URL.canParse(peer)) throw new UsageError("DASHBOARD_OPTIONS_INVALID", `Cannot use peer '${peer}': it is not a URL`);
  const url = new URL(peer);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** A certificate names its host: behind https a name is one peer. */
async function addressesOf(peer: URL): Promise<string[]> {
  const host = peer.hostname.replace(/^\[(.*)\]$/, "$1");
  if (peer.protocol === "https:" || isIP(host) !== 0 || host === "localhost") return [peer.href];
  const found = await lookup(host, { all: true });
  return found.slice(0, FARM_MEMBERS_MAX).map(({ address, family }) => {
    const url = new URL(peer);
    url.hostname = family === 6 ? `[${address}]` : address;
    return url.href;
  });
}

async function limitedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MEMBER_BYTES_MAX) throw new Error("its answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return `no answer within ${MEMBER_MS_MAX / 1000} s`;
  if (error instanceof SyntaxError) return NO_BOARD;
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}
