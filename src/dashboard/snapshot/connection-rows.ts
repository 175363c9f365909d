/** ○ The connections of the link server as the page lists them: by default those that need attention first. */
import { type ListPage, type ListRequest, type Orders, pageOf } from "./list-page.ts";
import type { ConnectionNumbers } from "./monitored-parts.ts";

/** Above any number of unanswered probes and any ms until the next one. */
const MORE = 1e12;

const ORDERS: Orders<ConnectionNumbers> = {
  // Those with unanswered probes first, then by the time of the next probe.
  urgency: {
    by: ({ probesUnanswered = 0, nextProbeInMs = MORE }) => probesUnanswered * MORE * 2 - nextProbeInMs,
    descending: true,
  },
  peer: { by: ({ peer }) => peer, descending: false },
  opened: { by: ({ sinceMs }) => sinceMs, descending: false },
  in: { by: ({ bytesIn }) => bytesIn, descending: true },
  out: { by: ({ bytesOut }) => bytesOut, descending: true },
  probe: { by: ({ nextProbeInMs = MORE }) => nextProbeInMs, descending: false },
  unanswered: { by: ({ probesUnanswered = 0 }) => probesUnanswered, descending: true },
};

/** @param ageMs how old the numbers are: the countdown to the next probe goes on between two samples */
export function connectionPage(
  connections: readonly ConnectionNumbers[],
  ageMs: number,
  request: ListRequest,
): ListPage<ConnectionNumbers> {
  const page = pageOf(connections, { orders: ORDERS, nameOf: ({ peer }) => peer }, request);
  return { ...page, rows: page.rows.map((row) => aged(row, ageMs)) };
}

function aged(row: ConnectionNumbers, ms: number): ConnectionNumbers {
  return ms === 0 || row.nextProbeInMs === undefined ? row : { ...row, nextProbeInMs: Math.max(0, row.nextProbeInMs - ms) };
}
