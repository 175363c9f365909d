/** Who may not come in: Holdfast refuses libzmq's clients and is refused by libzmq's servers, and each side's events say the same. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { curveKeyPair, Dealer, Router } from "../../../src/zmq/index.ts";
import { requires } from "../../support/requires.ts";
import type { Options, Peer } from "./peer.ts";
import { pyzmqPeer } from "./process-peer.ts";

const needs = requires("python3-zmq");
const directory = mkdtempSync(join(tmpdir(), "holdfast-refusals-"));
const known = curveKeyPair();
const stranger = curveKeyPair();
const server = curveKeyPair();
let libzmq: Peer;

before(async () => {
  if (needs.skip) return;
  const file = join(directory, "octets");
  writeFileSync(file, "");
  libzmq = pyzmqPeer(file);
  await libzmq.authenticate({ ada: "lovelace" }, [known.publicKey]);
});

after(async () => {
  if (!needs.skip) await libzmq.end();
  rmSync(directory, { recursive: true });
});

const curveClient = ({ publicKey, secretKey }: typeof known, serverKey = server.publicKey): Options => ({
  curvePublicKey: publicKey,
  curveSecretKey: secretKey,
  curveServerKey: serverKey,
});

/** Client's options, server's options, and what libzmq's monitor says as either side. */
const REFUSALS: readonly {
  readonly name: string;
  readonly client: Options;
  readonly server: Options;
  /** libzmq's event as the client that our server refuses. */
  readonly libzmqClient: RegExp;
  /** Our event as the client that libzmq's server refuses: type, code and status. */
  readonly ourClient: RegExp;
}[] = [
  {
    name: "a wrong password",
    client: { plainUsername: "ada", plainPassword: "byron" },
    server: { plainServer: true },
    libzmqClient: /^handshake:error:protocol 268435457$/, // an "unexpected command": it misspells PLAIN's ERROR on both sides
    ourClient: /^handshake:error:auth ERR_ZMTP_REFUSED 400$/,
  },
  {
    name: "a CURVE key that nobody knows",
    client: curveClient(stranger),
    server: { curveServer: true, curveSecretKey: server.secretKey },
    libzmqClient: /^handshake:error:auth 400$/,
    ourClient: /^handshake:error:auth ERR_ZMTP_REFUSED 400$/,
  },
  {
    name: "a client that expects a server with another CURVE key",
    client: curveClient(known, stranger.publicKey),
    server: { curveServer: true, curveSecretKey: server.secretKey },
    libzmqClient: /^handshake:error:(other|protocol) \d+$/,
    ourClient: /^handshake:error:other/, // libzmq closes without a word
  },
  {
    name: "a client without a mechanism at a CURVE server",
    client: {},
    server: { curveServer: true, curveSecretKey: server.secretKey },
    libzmqClient: /^handshake:error:protocol \d+$/,
    ourClient: /^handshake:error:(protocol ERR_ZMTP_MECHANISM_MISMATCH|other)/, // whoever sees the other's greeting first
  },
];

for (const [index, refusal] of REFUSALS.entries()) {
  test(`${refusal.name} is refused by Holdfast, and libzmq's client hears why`, needs, async () => {
    const router = new Router({
      linger: 0,
      ...refusal.server,
      authenticate: ({ username, password, publicKey }) =>
        (username === "ada" && password === "lovelace") || publicKey === known.publicKey,
    });
    await router.bind("tcp://127.0.0.1:*");
    const told = new Promise<string>((resolve) => {
      for (const type of ["handshake:error:auth", "handshake:error:protocol", "handshake:error:other"] as const) {
        router.events.on(type, ({ type }) => resolve(type));
      }
    });
    const name = `refused ${index}`;
    await libzmq.open(name, "Dealer", { linger: 0, reconnectInterval: 1000, ...refusal.client });
    await libzmq.connect(name, router.lastEndpoint!);
    await told;
    await libzmq.wait(name, "disconnect");
    const events = await libzmq.close(name);
    assert.ok(
      events.some((event) => refusal.libzmqClient.test(event)),
      events.join(", "),
    );
    assert.ok(!events.includes("handshake"), events.join(", "));
    await router.close();
  });

  test(`${refusal.name} is refused by libzmq, and Holdfast's client says why`, needs, async () => {
    const name = `refuses ${index}`;
    await libzmq.open(name, "Router", { linger: 0, ...refusal.server });
    const endpoint = await libzmq.bind(name, "tcp://127.0.0.1:*");
    const dealer = new Dealer({ linger: 0, reconnectInterval: 1000, ...refusal.client });
    const told = new Promise<{ type: string; error: Error & { code?: string; status?: number } }>((resolve) => {
      for (const type of ["handshake:error:auth", "handshake:error:protocol", "handshake:error:other"] as const) {
        dealer.events.on(type, resolve);
      }
    });
    dealer.connect(endpoint);
    const { type, error } = await told;
    assert.match(`${type} ${error.code ?? ""} ${error.status ?? ""}`.trimEnd(), refusal.ourClient, error.message);
    await dealer.close();
    await libzmq.close(name);
  });
}
