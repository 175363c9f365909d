/** Replies of memcached's text protocol, taken apart just far enough to compare those of two servers. */

/** Lines and data blocks of a conversation, in order. */
export function splitReplies(answer: string): readonly string[] {
  const parts: string[] = [];
  for (let at = 0; at < answer.length;) {
    const end = answer.indexOf("\r\n", at);
    if (end < 0) return [...parts, answer.slice(at)];
    const line = answer.slice(at, end + 2);
    const size = /^(?:VALUE \S+ \d+|VA) (\d+)/.exec(line)?.[1];
    parts.push(line);
    at = end + 2;
    if (size === undefined) continue;
    parts.push(answer.slice(at, at + Number(size) + 2));
    at += Number(size) + 2;
  }
  return parts;
}

/**
 * The same replies with each CAS number replaced by the order in which it is first seen: "c1", "c2" …: two servers that number
 * differently but hand out and keep numbers at the same moments read the same. The times that `me` tells are left out: clocks of two
 * servers tick at different moments (and 1.6.18 tells a time to live with the wrong sign).
 */
export function comparable(replies: readonly string[]): readonly string[] {
  const order = new Map<string, number>();
  const rename = (_: string, before: string, cas: string): string => {
    if (cas === "0") return `${before}0`; // "no number"
    if (!order.has(cas)) order.set(cas, order.size + 1);
    return `${before}${order.get(cas)}`;
  };
  return replies.map((line) => {
    if (/^VALUE \S+ \d+ \d+ \d+\r\n$/.test(line)) return line.replace(/^(VALUE \S+ \d+ \d+ )(\d+)/, rename);
    if (/^(HD|VA \d+|EX|NS|NF) /.test(line)) return line.replace(/( c)(\d+)/, rename);
    return line.startsWith("ME ") ? line.replace(/( cas=)(\d+)/, rename).replace(/exp=\S+ la=\S+/, "exp= la=") : line;
  });
}

/** The CAS numbers that a `gets` was answered with, by key. */
export function casNumbers(replies: readonly string[]): ReadonlyMap<string, string> {
  return new Map(
    replies.flatMap((line) => [...line.matchAll(/^VALUE (\S+) \d+ \d+ (\d+)\r\n$/g)].map(([, key, cas]) => [key!, cas!])),
  );
}
