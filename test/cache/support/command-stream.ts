/**
 * Random commands of memcached's text and meta protocol, good and bad, over few keys so that they meet. Left out is what depends on
 * the second in which a command runs, since two servers do not share a clock, and what memcached changed between 1.6.18 and 1.6.45:
 * dates past 2038, mode words of more than one letter, an over-long key that is stored or touched, lines of too few words or bytes,
 * flags that are unknown or repeated, `q` beside `N` in `ma`. And keys in base64 with commands that make a new
 * item of an old one (`N`, append, `ma`): memcached then forgets that the key came in base64 and tells it as it is. The transcripts have those.
 */
import { between, pick, type Random } from "../../../src/core/random.ts";

/** A command with its data block, as the bytes of a latin1 string. */
export interface Command {
  readonly text: string;
  /** The key whose last seen CAS number goes where CAS_HOLE stands: servers are free to number as they like. */
  readonly casOf?: string;
}

/** Stands in a command for a CAS number that is known only when the servers run. */
export const CAS_HOLE = "<cas>";

/** The keys of the classic commands. */
export const KEYS: readonly string[] = ["a", "bb", "key:3", "k".repeat(250), "7", "été", "with/slash%20"].map((key) =>
  Buffer.from(key, "utf8").toString("latin1"),
);
/** None of them names a key of above. */
const BASE64_KEYS = ["AAEC", "/////w==", "gAqA"];
/** No number near 2^63 or above: 1.6.18 then looks for a minus sign in memory behind the number. The transcripts wrap around 2^64. */
const NUMBERS = ["0", "1", "5", "99", "99999999999"];
const BAD_NUMBERS = ["-1", "abc", "18446744073709551616", "1x"];
const FLAGS = ["0", "0", "0", "1", "42", "4294967295"];
/** Never; far off in seconds; a date far off; a date long past; already over. */
const TTLS = ["0", "0", "0", "5000", "2000000000", "2592001", "-1"];
const META_TTLS = ["0", "-1", "5000", "2000000000"];

/** One command in eight letters of the text protocol or of the meta protocol, as likely. */
export function randomCommand(random: Random): Command {
  return random() < 0.5 ? classic(random) : meta(random);
}

function value(random: Random): string {
  const kind = random();
  if (kind < 0.35) return pick(random, NUMBERS);
  const length = pick(random, [0, 1, 2, 10, 30, 100, 300, kind > 0.98 ? 20_000 : 1000]);
  const tail = Array.from({ length: Math.max(0, length - 1) }, () => String.fromCharCode(between(random, 0, 255)));
  return length === 0 ? "" : `~${tail.join("")}`; // not blank: theirs then looks for a number in memory behind the value
}

function maybe(random: Random, chance: number, text: string): string {
  return random() < chance ? text : "";
}

function number(random: Random): string {
  return random() < 0.05 ? pick(random, BAD_NUMBERS) : pick(random, NUMBERS);
}

/** A data block; rarely with another end than its own. */
function block(random: Random, data: string): string {
  return data + (random() < 0.01 ? "!!" : "\r\n");
}

function classic(random: Random): Command {
  const noreply = maybe(random, 0.1, " noreply");
  const end = random() < 0.1 ? "\n" : "\r\n";
  const name = pick(random, KEYS);
  const unbounded = random() < 0.02 ? "k".repeat(251) : name;
  const keys = Array.from({ length: between(random, 0, 3) }, () => ` ${pick(random, KEYS)}`).join("");
  const ttl = pick(random, TTLS);
  const verbs = ["set", "set", "set", "add", "replace", "append", "prepend", "cas", "cas"];
  const verb = pick(random, [...verbs, "get", "get", "gets", "gat", "gats", "delete", "incr", "decr", "touch", "rare"]);
  switch (verb) {
    case "get":
    case "gets":
      return { text: `${verb} ${unbounded}${keys}${end}` };
    case "gat":
    case "gats":
      return { text: `${verb} ${ttl} ${name}${keys}${end}` };
    case "delete":
      return { text: `delete ${unbounded}${maybe(random, 0.1, " 0")}${noreply}${end}` };
    case "incr":
    case "decr":
      return { text: `${verb} ${unbounded} ${number(random)}${noreply}${end}` };
    case "touch":
      return { text: `touch ${name} ${ttl}${noreply}${end}` };
    case "rare":
      return { text: pick(random, ["flush_all", "flush_all 0", "flush_all noreply", "verbosity 1", "nonsense"]) + end };
    default: {
      const data = value(random);
      const unique = verb === "cas" ? ` ${CAS_HOLE}` : "";
      const line = `${verb} ${name} ${pick(random, FLAGS)} ${ttl} ${data.length}${unique}${noreply}${end}`;
      return { text: `${line}${block(random, data)}`, casOf: name };
    }
  }
}

function meta(random: Random): Command {
  const base64 = random() < 0.15;
  const name = base64 ? pick(random, BASE64_KEYS) : pick(random, KEYS);
  const opaque = `O${between(random, 0, 9999)}`;
  const ttl = `T${pick(random, META_TTLS)}`;
  const create = `N${pick(random, ["0", "30000"])}`;
  const compare = random() < 0.4 ? [`C${CAS_HOLE}`] : [];
  const line = (verb: string, flags: readonly string[], size = ""): string => {
    const some = flags.filter(() => random() < 0.3);
    if (base64) some.push("b");
    return `${[`${verb} ${name}${size}`, ...some].join(" ")}\r\n`;
  };
  switch (pick(random, ["mg", "mg", "mg", "ms", "ms", "md", "me", ...(base64 ? [] : ["ma", "ma"])])) {
    case "mg":
      return { text: line("mg", ["c", "f", "k", "q", "s", "h", "v", opaque, base64 ? "h" : create, "R30", ttl]) };
    case "ms": {
      const data = value(random);
      const flags = [
        "c",
        "k",
        "q",
        "I",
        opaque,
        ttl,
        `F${pick(random, FLAGS)}`,
        `M${pick(random, base64 ? ["E", "R", "S"] : ["E", "A", "P", "R", "S", "Z"])}`,
      ];
      return { text: line("ms", [...flags, ...compare], ` ${data.length}`) + block(random, data), casOf: name };
    }
    case "md":
      return { text: line("md", ["k", "q", "I", opaque, ttl, ...compare]), casOf: name };
    case "ma": {
      const amounts = [`D${number(random)}`, `J${number(random)}`, `M${pick(random, ["I", "D", "i", "d", "z", "+", "-"])}`];
      const ttlTold = pick(random, ["T5000 t", "T0 t"]);
      return { text: line("ma", ["c", "k", "v", opaque, random() < 0.5 ? create : "q", ...amounts, ttlTold]) };
    }
    default:
      return { text: base64 ? `me ${name} b\r\n` : `me ${name}\r\n` };
  }
}
