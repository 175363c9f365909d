/**
 * The benches as docs/benchmarks.md shows them: in what form each is run there (at least five paired rounds where there is a rival,
 * all of them together in about twenty minutes), what it measures in a sentence or two, and whose versions belong beside it.
 */

export interface Entry {
  /** Names its results and charts. */
  readonly id: string;
  /** The file in bench/, without its ending. */
  readonly bench: string;
  readonly args: readonly string[];
  readonly title: string;
  readonly text: string;
  /** As versions.ts knows them. */
  readonly peers: readonly string[];
}

const NODE_CLIENTS = ["npm:memjs", "npm:memcached", "npm:memcache-client", "npm:memcache"];

export const SUITE: readonly Entry[] = [
  {
    id: "cache-client",
    bench: "cache-client",
    args: ["--rounds", "5", "--ms", "300"],
    title: "The cache client beside the Node clients of memcached",
    text:
      "Keys got from one memcached by each client, in a process of its own: single gets and getMany of 100 keys, values of 100 B " +
      "and 10 KB, 1 to 256 calls in flight. All calls choose among a thousand keys, so that with 256 in flight many want the same; " +
      "the last lines are without that. Where a client fails, it hung or gave no answer at that load.",
    peers: ["memcached", ...NODE_CLIENTS],
  },
  {
    id: "cache-copies",
    bench: "cache-copies",
    args: ["--rounds", "5", "--ms", "500", "--seconds", "20"],
    title: "The cache client's copies",
    text:
      "On four memcached servers: what a set and a get cost the client with and without copies, how many hits are lost in the three " +
      "seconds after one server is killed, and how many loaders of one key three processes run at a time while it is, with a hundred " +
      "callers each of twenty keys that live for a second or two. The lease's time is ten seconds from the kill.",
    peers: ["memcached"],
  },
  {
    id: "cache-server",
    bench: "cache-server",
    args: ["--rounds", "5", "--seconds", "1"],
    title: "The cache server beside memcached: CPU time",
    text:
      "CPU time (user and system) of the server's process for a million operations on 100-byte values from 32 connections, nine " +
      "gets to one set, one thread each. A pipeline of 16 means that each connection sends 16 commands at once.",
    peers: ["memcached"],
  },
  {
    id: "cache-server-latency",
    bench: "cache-server",
    args: ["--latency", "--rounds", "5", "--seconds", "2", "--items", "1000000"],
    title: "The cache server beside memcached: latency",
    text: "How long a request takes at half the rate that memcached can at most do here, with a million items stored.",
    peers: ["memcached"],
  },
  {
    id: "cache-memory",
    bench: "cache-memory",
    args: ["--megabytes", "256", "--sets", "2500000"],
    title: "The cache server beside memcached: memory",
    text:
      "Resident memory after sets of 10 B to 10 KB far beyond the bound. The server is run from its sources, as in a checkout: " +
      "some 40 MB of it are Node's TypeScript loader, which the installed package does not have.",
    peers: ["memcached"],
  },
  {
    id: "cache-hits",
    bench: "cache-hits",
    args: ["--streams", "tw10,once,scan,pair", "--percents", "10", "--share", "0.2"],
    title: "What is kept when it does not fit: eviction policies",
    text:
      "Misses of request streams after published workloads when the memory is a tenth of what all keys need, and CPU a request, on a fifth of each stream: " +
      "`-o eviction=s3fifo`, our default (memcached's segmented LRU) and memcached.",
    peers: ["memcached"],
  },
  {
    id: "cache-pauses",
    bench: "cache-pauses",
    args: ["--sets", "2000000", "--megabytes", "256"],
    title: "The cache server alone: how long it holds its thread",
    text: "The longest turns of background work and of requests during a storm of sets, without the network.",
    peers: [],
  },
  {
    id: "queue",
    bench: "queue",
    args: ["--rounds", "5", "--seconds", "1.5", "--producers", "1,256"],
    title: "The work queue beside BullMQ and beanstalkd",
    text:
      "Full cycles (add, take, done, result; 100 bytes) by 1 and 256 producers. Holdfast, BullMQ with appendfsync always and " +
      "beanstalkd -f0 write to disk before they answer (beanstalkd answers a put before its fsync, and has no results); BullMQ " +
      "with appendfsync everysec and beanstalkd's default may lose what they acknowledged.",
    peers: ["npm:bullmq", "redis", "beanstalkd"],
  },
  {
    id: "queue-bad-members",
    bench: "queue-bad-members",
    args: ["--rounds", "5", "--seconds", "3"],
    title: "Healthy queues beside bad members",
    text:
      "How long calls to a thousand queues take, 400 a second, while one bad member of each kind is at the same broker: a worker that " +
      "leaves with tasks, one that is silent, one that fails them all, one that blocks, a peer that says nonsense, a stranger, a " +
      "client that leaves before its answer, one that fills a queue. Beside them a broker that has none of these.",
    peers: [],
  },
  {
    id: "queue-workflows",
    bench: "queue-workflows",
    args: ["--rounds", "5"],
    title: "Durable steps and flows",
    text:
      "What a durable step costs beside a whole task, tasks in flows of ten beside the same tasks one by one, and workflows of ten steps beside " +
      "DBOS Transact 5 on PostgreSQL, whose commits are on disk before they are answered, as ours are.",
    peers: [],
  },
  {
    id: "queue-events",
    bench: "queue-events",
    args: ["--rounds", "5"],
    title: "Listeners to all events of a queue",
    text: "What a hundred listeners that hear of each completed task add to the broker's CPU time for it.",
    peers: [],
  },
  {
    id: "queue-cluster",
    bench: "queue-cluster",
    args: ["--rounds", "5", "--seconds", "3"],
    title: "The work queue kept by NATS servers",
    text:
      "Full cycles by 256 producers through one and three brokers that share a queue kept by one and three nats-servers, beside a " +
      "work queue written by hand on JetStream (which has no priorities, schedules or keys) and one broker with its own store. All " +
      "of it shares one machine.",
    peers: ["nats-server"],
  },
  {
    id: "queue-takeover",
    bench: "queue-takeover",
    args: ["--tasks", "0,1000000", "--rounds", "5"],
    title: "A broker is killed",
    text:
      "How long callers and workers stand still after kill -9, with nothing and with a million tasks waiting: of three brokers on a " +
      "nats-server the one that leads, and one broker with its own store that is started again at once.",
    peers: ["nats-server"],
  },
  {
    id: "queue-memory",
    bench: "queue-memory",
    args: ["--tasks", "1000000"],
    title: "The work queue alone: a million waiting tasks",
    text: "What waiting tasks cost, in one process without the network; bodies of 100 bytes, cached ones counted.",
    peers: [],
  },
  {
    id: "queue-search",
    bench: "queue-search",
    args: ["--tasks", "10000000"],
    title: "The work queue: finding tasks among ten million",
    text:
      "Pages of lists, look-ups and filters in one broker's memory, and for how long at most it answers nobody meanwhile. A search by a " +
      "field of the body is one answer: it says how far it got.",
    peers: [],
  },
  {
    id: "zmq",
    bench: "zmq",
    args: ["--seconds", "0.5"],
    title: "The ZeroMQ sockets beside libzmq and its Node addon",
    text:
      "One end is measured, the other is a program in C on libzmq. `holdfast` sends and receives one message at a time, " +
      "`holdfast-batch` many at once; `libzmq` is a program in C, `zeromq` the addon's package.",
    peers: ["libzmq", "npm:zeromq"],
  },
  {
    id: "link",
    bench: "link",
    args: ["--rounds", "5", "--idle", "20s", "--messages", "100000"],
    title: "Links beside ws and MQTT",
    text:
      "What idle connections cost, and messages through one session. Holdfast and MQTT at QoS 1 confirm each message, ws confirms " +
      "none; MQTT.js talks to aedes.",
    peers: ["npm:ws", "npm:mqtt", "npm:aedes"],
  },
  {
    id: "link-torture",
    bench: "link-torture",
    args: [],
    title: "Messages on a bad day, with a ledger",
    text:
      "A sender gives 200-byte messages to its client, 500 a second (40 on the thin line), while connections are cut or the sender or the server is " +
      "killed. Lost: never stored, and nobody was told; what a client says has failed is told, whether it arrived or not. mosquitto with MQTT.js at " +
      "QoS 1, sessions kept, each change saved; socket.io 4.8.3 with connection state recovery and 100 retries; JetStream with a message's id, " +
      "published until acknowledged. Their clients keep what is not acknowledged in memory, as they come, ours in a spool. Who has not sent all " +
      "within a minute after the last was given to it fails.",
    peers: ["mosquitto", "npm:mqtt", "nats-server", "npm:@nats-io/jetstream"],
  },
  {
    id: "wire",
    bench: "wire",
    args: [],
    title: "`holdfast wire`",
    text: "How much of a capture it understands in a second of CPU time.",
    peers: [],
  },
  {
    id: "dashboard",
    bench: "dashboard",
    args: [],
    title: "The dashboard: what watching costs",
    text: "CPU of a process with idle links and cache requests, alone and with the page open in one browser.",
    peers: [],
  },
];
