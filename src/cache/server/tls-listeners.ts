/**
 * ● TLS for the cache's TCP addresses (`-Z`): certificates from files, read again while connections go on with those they have. Node's
 * own TLS does the work; this says which files and rules, as memcached's `-o ssl_…` do.
 */
import { readFileSync } from "node:fs";
import type { SecureContextOptions, Server, TlsOptions, TLSSocket } from "node:tls";
import type { Clock } from "../../core/clock.ts";
import { UsageError, codeOf, messageOf } from "../../core/errors.ts";
import { PendingHandshakes } from "../../core/pending-handshakes.ts";
import { readSecret } from "../../core/private-files.ts";
import type { TlsFiles } from "./cache-server-options.ts";
import type { StatLine } from "../protocol/cache-session.ts";

/** 6 MB, loaded only where TLS is asked for. */
const tls = () => process.getBuiltinModule("node:tls");

/** 20,480 sessions: OpenSSL's own default; the oldest goes first. */
const SESSIONS_MAX = 20_480;

/** 10 s: a client that has not finished its handshake by then will not. */
const HANDSHAKE_MS_MAX = 10_000;

/** memcached's numbers of `ssl_min_version`. */
const VERSIONS = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;
const VERSION_DEFAULT = 2;

/** memcached's numbers of `ssl_verify_mode`. */
const ASK = 1;
const REQUIRE = 2;

export class TlsListeners {
  readonly #files: TlsFiles;
  readonly #clock: Clock;
  readonly #servers: Server[] = [];
  readonly #handshakes: PendingHandshakes[] = [];
  readonly #sessions = new Map<string, Buffer>();
  #newSessions = 0;
  #handshakeErrors = 0;
  #protocolErrors = 0;
  #context: SecureContextOptions;
  #refreshedMs: number;

  /** @throws UsageError CACHE_TLS_FILES_INVALID */
  constructor(files: TlsFiles, clock: Clock) {
    this.#files = files;
    this.#clock = clock;
    this.#context = readContext(files);
    this.#refreshedMs = clock.now();
  }

  /** A server whose connections are handed over once their handshake is done. @param clientCertificate they must show one */
  createServer(clientCertificate: boolean, accept: (socket: TLSSocket) => void): Server {
    const mode = clientCertificate ? REQUIRE : (this.#files.verifyMode ?? 0);
    const options: TlsOptions = {
      ...this.#context,
      requestCert: mode >= ASK,
      rejectUnauthorized: mode >= REQUIRE,
      handshakeTimeout: HANDSHAKE_MS_MAX,
      noDelay: true,
      allowHalfOpen: true,
    };
    const server = tls().createServer(options, (socket) => {
      const shown = mode === ASK && !socket.authorized && Object.keys(socket.getPeerCertificate()).length > 0;
      if (shown) socket.destroy(); // asked for, shown and wrong
      else accept(socket);
      socket.on("error", (error) => (this.#protocolErrors += codeOf(error)?.startsWith("ERR_SSL") ? 1 : 0));
    });
    server.on("tlsClientError", (_error, socket) => {
      this.#handshakeErrors += 1;
      socket.destroy();
    });
    if (this.#files.sessionCache) this.#keepSessions(server);
    this.#servers.push(server);
    this.#handshakes.push(new PendingHandshakes(server));
    return server;
  }

  /** The servers stop: a client that has not finished its handshake is cut off. */
  endHandshakes(): void {
    for (const handshakes of this.#handshakes) handshakes.destroy();
  }

  /** Reads the files again, for the connections to come. @throws UsageError CACHE_TLS_FILES_INVALID; then all stays as it was */
  refresh(): void {
    this.#context = readContext(this.#files);
    this.#refreshedMs = this.#clock.now();
    this.#sessions.clear(); // a session kept would go on with the certificate it was made with
    for (const server of this.#servers) server.setSecureContext(this.#context);
  }

  stats(): StatLine[] {
    return [
      ...(this.#files.sessionCache ? [["ssl_new_sessions", this.#newSessions] as const] : []),
      ["ssl_handshake_errors", this.#handshakeErrors],
      ["ssl_proto_errors", this.#protocolErrors],
      ["time_since_server_cert_refresh", Math.floor((this.#clock.now() - this.#refreshedMs) / 1000)],
    ];
  }

  #keepSessions(server: Server): void {
    server.on("newSession", (id: Buffer, session: Buffer, done: () => void) => {
      this.#newSessions += 1;
      this.#sessions.set(id.toString("hex"), session);
      const [oldest] = this.#sessions.keys();
      if (this.#sessions.size > SESSIONS_MAX && oldest !== undefined) this.#sessions.delete(oldest);
      done();
    });
    server.on("resumeSession", (id: Buffer, done: (error: null, session: Buffer | null) => void) => {
      done(null, this.#sessions.get(id.toString("hex")) ?? null);
    });
  }
}

/** TLS in `stats settings`, in memcached's names. */
export function tlsSettings(files: TlsFiles | undefined): StatLine[] {
  if (!files) return [];
  return [
    ["ssl_enabled", "yes"],
    ["ssl_chain_cert", files.chainCert ?? "(null)"],
    ["ssl_key", files.key ?? "(null)"],
    ["ssl_verify_mode", files.verifyMode ?? 0],
    ["ssl_keyformat", 1],
    ["ssl_ciphers", files.ciphers ?? "NULL"],
    ["ssl_ca_cert", files.caCert ?? "NULL"],
    ["ssl_wbuf_size", files.writeBufferBytes ?? WRITE_BUFFER_BYTES],
    ["ssl_session_cache", files.sessionCache ? "yes" : "no"],
    ["ssl_kernel_tls", "no"],
    ["ssl_min_version", VERSIONS[files.minVersion ?? VERSION_DEFAULT]!.toLowerCase()],
  ];
}

/** 16 KiB: memcached's default. Only reported: Node cuts records itself. */
const WRITE_BUFFER_BYTES = 16 * 1024;

function readContext(files: TlsFiles): SecureContextOptions {
  try {
    const { chainCert, key, caCert, ciphers, minVersion = VERSION_DEFAULT } = files;
    if (chainCert === undefined) throw new Error("a file with the certificate chain is needed");
    const options: SecureContextOptions = {
      cert: readFileSync(chainCert),
      key: readSecret(key ?? chainCert),
      minVersion: VERSIONS[minVersion]!,
      secureOptions: process.getBuiltinModule("node:crypto").constants.SSL_OP_NO_TICKET, // sessions are resumed from the cache, or not at all
      ...(caCert !== undefined && { ca: readFileSync(caCert) }),
      ...(ciphers !== undefined && { ciphers }),
    };
    tls().createSecureContext(options); // what cannot be used is refused here, not at the first connection
    return options;
  } catch (error) {
    if (codeOf(error) === "FILE_NOT_PRIVATE") throw error;
    throw new UsageError("CACHE_TLS_FILES_INVALID", `Cannot use the TLS files: ${messageOf(error)}`, { cause: error });
  }
}
