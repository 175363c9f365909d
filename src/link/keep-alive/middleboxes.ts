/**
 * ○ Devices between two machines and how long they remember an idle connection. Numbers are the vendors' defaults; where one can
 * be configured, pass your own duration to `bound` instead of a name.
 */

/** A middlebox that forgets idle connections. */
export interface Path {
  /** Silence after which it forgets. */
  readonly idleMs: number;
  /** True when only payload counts as traffic: TCP keep-alive probes do not keep the connection. */
  readonly payloadOnly: boolean;
  /** True for a proxy: it ends the connection and makes another, so that its own kernel answers probes, whether the peer lives or not. */
  readonly answersProbes: boolean;
  /** What the two ends see. */
  readonly onExpiry: "close" | "reset" | "silence";
  /** Who says so. */
  readonly source: string;
}

/** Middleboxes that forget idle connections, with what is known of each. */
export const PATHS = {
  "aws-alb": {
    idleMs: 60_000,
    payloadOnly: true,
    answersProbes: true,
    onExpiry: "close",
    source: "AWS, Application Load Balancer attributes",
  },
  "aws-clb": {
    idleMs: 60_000,
    payloadOnly: true,
    answersProbes: true,
    onExpiry: "close",
    source: "AWS, Classic Load Balancer idle timeout",
  },
  "aws-nlb": {
    idleMs: 350_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "reset",
    source: "AWS, Network Load Balancer TCP idle timeout",
  },
  "aws-nat": {
    idleMs: 350_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "reset",
    source: "AWS, NAT gateway troubleshooting",
  },
  "azure-lb": {
    idleMs: 240_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "silence",
    source: "Microsoft, load-balancer-tcp-reset",
  },
  "azure-firewall": {
    idleMs: 240_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "silence",
    source: "Microsoft, long-running TCP sessions",
  },
  "gcp-vpc": {
    idleMs: 600_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "silence",
    source: "Google, Compute Engine troubleshooting",
  },
  "gcp-nat": {
    idleMs: 1_200_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "silence",
    source: "Google, Cloud NAT timeouts",
  },
  "nginx-stream": {
    idleMs: 600_000,
    payloadOnly: true,
    answersProbes: true,
    onExpiry: "close",
    source: "nginx, ngx_stream_proxy_module: proxy_timeout, default 10m",
  },
  haproxy: {
    idleMs: 50_000,
    payloadOnly: true,
    answersProbes: true,
    onExpiry: "close",
    source: "HAProxy, configuration manual: timeout client and timeout server; 50 s in the configuration that Debian installs",
  },
  "kube-proxy-ipvs": {
    idleMs: 900_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "reset",
    source: "Linux, IPVS: ipvsadm --set, TCP 900 s; kube-proxy leaves it unless --ipvs-tcp-timeout is set",
  },
  "ibm-gateway": {
    idleMs: 240_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "silence",
    source: "IBM, VPC public gateway",
  },
  "nat-rfc5382": {
    idleMs: 7_440_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "silence",
    source: "RFC 5382, REQ-5: a well-behaved NAT",
  },
  "home-router": {
    idleMs: 240_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "silence",
    source: "the shortest-lived of the home gateways studied at IMC 2010",
  },
  "mobile-carrier": {
    idleMs: 300_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "silence",
    source: "the shorter-lived carriers studied at SIGCOMM 2011",
  },
  "linux-conntrack": {
    idleMs: 432_000_000,
    payloadOnly: false,
    answersProbes: false,
    onExpiry: "silence",
    source: "Linux, nf_conntrack_tcp_timeout_established",
  },
} as const satisfies Record<string, Path>;

/** A key of PATHS. */
export type PathName = keyof typeof PATHS;
