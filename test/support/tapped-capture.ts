/** A capture of what goes through a running dashboard's servers while something is done, as `holdfast wire -w` would write it. */
import { setTimeout as sleep } from "node:timers/promises";

/** 300 ms: the tap writes what it has ten times a second. */
const LAST_PACKETS_MS = 300;

/** @param url the dashboard's, with its slash */
export async function tappedCapture(url: string, act: () => Promise<void>): Promise<Buffer> {
  const asked = new AbortController();
  const tapped = await fetch(`${url}api/wire.pcapng`, { signal: asked.signal });
  const chunks: Uint8Array[] = [];
  const reading = (async () => {
    for await (const chunk of tapped.body! as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
  })().catch(() => {});
  await act();
  await sleep(LAST_PACKETS_MS);
  asked.abort();
  await reading;
  return Buffer.concat(chunks);
}
