/**
 * ○ Topics and filters, by MQTT's rules (5.0, section 4.7): levels between slashes; in a filter `+` stands for one level and `#`, at its end,
 * for any number of them, none included. Topics that begin with `$` are matched by no filter that begins with a wildcard.
 */
import { utf8 } from "../../core/bytes.ts";
import { UsageError } from "../../core/errors.ts";
import { TOPIC_BYTES_MAX } from "../limits.ts";

/** @throws UsageError LINK_OPTION_INVALID */
export function checkTopic(topic: string): void {
  const why = lengthFault(topic) ?? (/[+#]/.test(topic) ? "wildcards stand in filters only" : undefined);
  if (why !== undefined) throw new UsageError("LINK_OPTION_INVALID", `Cannot publish to '${topic}': ${why}`);
}

/** @throws UsageError LINK_OPTION_INVALID */
export function checkFilter(filter: string): void {
  const levels = filter.split("/");
  const why =
    lengthFault(filter) ??
    (levels.some((level) => level.length > 1 && /[+#]/.test(level)) ? "a wildcard is a level of its own" : undefined) ??
    (levels.slice(0, -1).includes("#") ? "# stands at the end only" : undefined);
  if (why !== undefined) throw new UsageError("LINK_OPTION_INVALID", `Cannot subscribe to '${filter}': ${why}`);
}

function lengthFault(topic: string): string | undefined {
  if (topic === "") return "it is empty";
  if (topic.includes("\0")) return "it has a NUL";
  const { length } = utf8(topic);
  return length > TOPIC_BYTES_MAX ? `${length} bytes, at most ${TOPIC_BYTES_MAX} allowed` : undefined;
}
