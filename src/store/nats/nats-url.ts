/**
 * ○ The address of NATS servers as `--store` takes it: `nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT][,HOST[:PORT]…][?replicas=3&group=NAME&creds=FILE]`,
 * or `tls://…`. Invariant: what was read has at least one host, and names that a NATS subject and a stream's name can hold.
 */
import { UsageError } from "../../core/errors.ts";

export interface NatsUrl {
  /** `host:port` each. */
  readonly servers: readonly string[];
  readonly tls: boolean;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  /** A file with a JWT and its key, as `nsc` writes them. */
  readonly credentials: string | undefined;
  readonly group: string;
  readonly replicas: number;
}

export interface NatsUrlDefaults {
  readonly group?: string | undefined;
  readonly replicas?: number | undefined;
}

const PORT_DEFAULT = 4222;
const GROUP_DEFAULT = "queue";
/** Five is the most that JetStream takes. */
const REPLICAS_MAX = 5;
const PARAMETERS = new Set(["replicas", "group", "creds"]);

/**
 * @param defaults what the flags beside the address say; what stands in the address goes first
 * @throws UsageError QUEUE_OPTIONS_INVALID
 */
export function parseNatsUrl(url: string, defaults: NatsUrlDefaults = {}): NatsUrl {
  const [, scheme, who, hosts, query] = /^(nats|tls):\/\/(?:(.*)@)?([^/?@]*)\/?(?:\?(.*))?$/.exec(url) ?? [];
  if (scheme === undefined || !hosts) throw invalid(url, "write nats://HOST:4222, or several hosts with commas between them");
  const parameters = new URLSearchParams(query ?? "");
  for (const name of parameters.keys()) if (!PARAMETERS.has(name)) throw invalid(url, `'${name}' is not known`);
  const group = parameters.get("group") ?? defaults.group ?? GROUP_DEFAULT;
  if (!/^[\w-]{1,64}$/.test(group)) throw invalid(url, `a group's name has 1 to 64 letters, digits, '_' and '-': '${group}'`);
  const replicas = Number(parameters.get("replicas") ?? defaults.replicas ?? 1);
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > REPLICAS_MAX) {
    throw invalid(url, `replicas are 1 to ${REPLICAS_MAX}; 3 survive the loss of one server`);
  }
  const colon = who?.indexOf(":") ?? -1;
  return {
    servers: hosts.split(",").map((host) => server(host, url)),
    tls: scheme === "tls",
    user: colon < 0 ? undefined : decode(who!.slice(0, colon), url),
    password: colon < 0 ? undefined : decode(who!.slice(colon + 1), url),
    token: who && colon < 0 ? decode(who, url) : undefined,
    credentials: parameters.get("creds") ?? undefined,
    group,
    replicas,
  };
}

function server(host: string, url: string): string {
  const [, name, port] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(host) ?? [];
  if (name === undefined || Number(port ?? PORT_DEFAULT) > 65_535) throw invalid(url, `'${host}' is not HOST:PORT`);
  return `${name}:${port ?? PORT_DEFAULT}`;
}

function decode(text: string, url: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new UsageError("QUEUE_OPTIONS_INVALID", `Cannot use the store ${withoutPassword(url)}: write % as %25`, {
      cause: error,
    });
  }
}

function invalid(url: string, why: string): UsageError {
  return new UsageError("QUEUE_OPTIONS_INVALID", `Cannot use the store ${withoutPassword(url)}: ${why}`);
}

/** An address as it may be shown: the password, and whatever else stands before the @, is not for logs. */
export function withoutPassword(url: string): string {
  return url.replace(/\/\/.*@/, "//…@");
}
