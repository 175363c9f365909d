/**
 * The interop table: every pair × who binds × mechanism × transport, against one peer. Each connection carries 20 messages of 1 to
 * 20 frames and of 0 octets to 64 KiB, some one of 16 MiB, and lives through a restart of either side; neither side may report
 * a failed handshake.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { requires } from "../../support/requires.ts";
import { curveKeyPair } from "../../../src/zmq/transport/curve-math.ts";
import * as holdfast from "../../../src/zmq/index.ts";
import { NodePeer, type ZmqModule } from "./node-peer.ts";
import { type Connection, connectionsOf, converse, type MechanismName, type Message, PAIRS, type Side } from "./pairs.ts";
import type { Options, Peer } from "./peer.ts";

const MIB = 1024 * 1024;

/** Around every border of the framing: empty, short form, 255 and 256, one read of 8 KiB (libzmq) and of 64 KiB (Node). */
const SIZES = [0, 1, 100, 254, 255, 256, 1000, 8192, 65_536];

const USER = { plainUsername: "ada", plainPassword: "lovelace" };

export interface Against {
  /** For the tests' names. */
  readonly name: string;
  readonly start: (octetsFile: string) => Peer;
  readonly needs: ReturnType<typeof requires>;
}

/** Declares the table's tests: one a pair. */
export function interopTable({ name, start, needs }: Against): void {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-interop-"));
  const octets = randomBytes(17 * MIB);
  const keys = { ours: curveKeyPair(), theirs: curveKeyPair() };
  let peers: Record<Side, Peer>;

  before(async () => {
    if (needs.skip) return;
    const file = join(directory, "octets");
    writeFileSync(file, octets);
    peers = { ours: new NodePeer(holdfast as unknown as ZmqModule, octets, "authenticate"), theirs: start(file) };
    const passwords = { [USER.plainUsername]: USER.plainPassword };
    await peers.ours.authenticate(passwords, [keys.theirs.publicKey]);
    await peers.theirs.authenticate(passwords, [keys.ours.publicKey]);
  });

  after(async () => {
    if (needs.skip) return;
    await Promise.all([peers.ours.end(), peers.theirs.end()]);
    rmSync(directory, { recursive: true });
  });

  const security = (mechanism: MechanismName, server: Side): Record<Side, Options> => {
    const client: Side = server === "ours" ? "theirs" : "ours";
    const options: Record<MechanismName, Partial<Record<Side, Options>>> = {
      NULL: {},
      PLAIN: { [server]: { plainServer: true }, [client]: USER },
      CURVE: {
        [server]: { curveServer: true, curveSecretKey: keys[server].secretKey },
        [client]: {
          curvePublicKey: keys[client].publicKey,
          curveSecretKey: keys[client].secretKey,
          curveServerKey: keys[server].publicKey,
        },
      },
    };
    return { ours: {}, theirs: {}, ...options[mechanism] };
  };

  let sockets = 0;
  for (const pair of PAIRS) {
    const title = `${pair[0]} here talks to ${pair[1]} of ${name}: either bound, NULL, PLAIN and CURVE, tcp and ipc, restarts`;
    test(title, needs, async () => {
      for (const connection of connectionsOf(pair)) {
        sockets += 1;
        const endpoint = connection.transport === "tcp" ? "tcp://127.0.0.1:*" : `ipc://${join(directory, String(sockets))}`;
        const ends = { peers, security: security(connection.mechanism, connection.server), endpoint, octets };
        try {
          await converse(connection, ends, messages(connection));
        } catch (cause) {
          throw new Error(`${JSON.stringify(connection)} broke`, { cause });
        }
      }
    });
  }
}

/** 1 to 20 frames, the sizes in turn; where ours is bound over tcp, 16 MiB and an octet more. */
function messages({ binder, transport }: Connection): Message[] {
  let turn = 0;
  const ladder = Array.from({ length: 20 }, (_, index): Message =>
    Array.from({ length: index + 1 }, () => [(turn += 1) * 7, SIZES[turn % SIZES.length]!] as const),
  );
  const huge: Message[] = binder === "ours" && transport === "tcp" ? [[[3, 16 * MIB + 1]]] : [];
  return [...ladder, ...huge];
}
