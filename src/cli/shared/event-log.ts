/** ● Events of a server on stderr, one per line: `event name=value …`, or JSON. */

export type EventLog = (event: string, facts: Readonly<Record<string, unknown>>) => void;

export function eventLog({ json = false } = {}): EventLog {
  return (event, facts) => {
    const words = Object.entries(facts).map(([name, value]) => `${name}=${String(value)}`);
    process.stderr.write(json ? `${JSON.stringify({ event, ...facts })}\n` : `${[event, ...words].join(" ")}\n`);
  };
}
