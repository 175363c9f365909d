/**
 * ● Two lifelines, time running down: the server on the left with the countdown of the kernel's keep-alive timer, the client on the
 * right. True to scale; packets that would lie on each other are moved up so that each can be read, each has its own time, and the clock
 * beside them is stretched with them. Payload as arrows, probes as hollow arrows; what did not arrive ends half-way at a cross; predicted packets in grey.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { LifelineEvent } from "../../link-lab/lab-state.ts";
import { predictKeepAlive, type PredictedMark } from "../../../wire/keep-alive/keep-alive-prediction.ts";
import { eventText, showDuration, showTime, showTimeMs } from "./format.ts";
import type { Lab } from "./live.ts";

const WIDTH_MAX = 960;
const WIDTH_MIN = 300;
const HEIGHT = 560;
/** The position of the current time. */
const NOW_Y = 380;
const PX_PER_SECOND_MAX = 28;
/** The start of the lifelines, below their names; older events are not drawn. */
const LIFE_Y = 36;
/** Each packet has a line of text of its own. */
const EVENT_PX = 18;
/** Left of the server: the clock and the countdown. */
const LEFT_PX = 116;
/** Where there is less room: the countdown alone. */
const LEFT_NARROW_PX = 54;
const NARROW_PX = 520;
/** Right of the client: the packets' times. */
const RIGHT_PX = 92;
/** A digit of the labels is 6.2 px wide. */
const CHARACTER_PX = 6.2;

/** Where the two lifelines stand. */
interface Sides {
  readonly server: number;
  readonly client: number;
}

export function Lifelines({ lab, choose }: { lab: Lab; choose: (event: LifelineEvent) => void }) {
  const { host, width } = useWidth();
  const now = useNow(lab);
  const scale = scaleOf(lab);
  const narrow = width < NARROW_PX;
  const sides = { server: narrow ? LEFT_NARROW_PX : LEFT_PX, client: width - RIGHT_PX };
  const trueY = (wallMs: number): number => NOW_Y + ((wallMs - now) / 1000) * scale;
  const arrows = placed(lab.events, trueY);
  const yOf = stretched(arrows, trueY);
  const untilMs = now + ((HEIGHT - NOW_Y) / scale) * 1000;
  return (
    <div ref={host}>
      <svg class="lifelines" width={width} height={HEIGHT} role="img" aria-label={asText(lab, now)}>
        <Cuts arrows={arrows} sides={sides} />
        <text x={sides.server} y={14} class="name">
          server
        </text>
        <text x={sides.client} y={14} class="name">
          client
        </text>
        {narrow ? null : <Ticks now={now} scale={scale} yOf={yOf} />}
        <line class="life" x1={sides.server} x2={sides.server} y1={LIFE_Y - 10} y2={HEIGHT} />
        <line class="life" x1={sides.client} x2={sides.client} y1={LIFE_Y - 10} y2={HEIGHT} />
        <line class="now" x1={0} x2={width} y1={NOW_Y} y2={NOW_Y} />
        <text x={width - 6} y={NOW_Y - 4} class="nowtext">
          now
        </text>
        {predictedOf(lab, untilMs).map((mark) => (
          <Prediction key={`${mark.kind} ${mark.atMs}`} mark={mark} sides={sides} y={yOf(mark.atMs)} />
        ))}
        <Countdown lab={lab} now={now} x={sides.server} yOf={yOf} />
        {arrows.map(({ event, y }) => (
          <Arrow
            key={event.number}
            event={event}
            missed={missedWith(event, lab.events, now)}
            y={y}
            sides={sides}
            count={lab.connection.keepAlive?.count ?? 1}
            choose={choose}
          />
        ))}
      </svg>
    </div>
  );
}

/** As wide as there is room, so that text has its size on every screen. */
function useWidth() {
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(640);
  useEffect(() => {
    const resized = new ResizeObserver(([entry]) =>
      setWidth(Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, Math.floor(entry!.contentRect.width)))),
    );
    resized.observe(host.current!);
    return () => resized.disconnect();
  }, []);
  return { host, width };
}

/** The server's current time, continued by the page's clock between two updates; fixed once the connection has ended. */
function useNow(lab: Lab): number {
  const [now, setNow] = useState(lab.wallMs);
  useEffect(() => {
    if (lab.ended) {
      setNow(Math.max(lab.wallMs, lab.events.at(-1)?.wallMs ?? 0));
      return undefined;
    }
    let frame = 0;
    const step = (): void => {
      setNow(lab.wallMs + performance.now() - lab.receivedMs);
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [lab]);
  return now;
}

/** The time until the next two probes fits below now; one second has at most PX_PER_SECOND_MAX pixels. */
function scaleOf({ connection: { keepAlive } }: Lab): number {
  if (!keepAlive) return PX_PER_SECOND_MAX;
  const wholeS = (Math.max(keepAlive.idleMs, keepAlive.intervalMs) * 1.2) / 1000;
  return Math.min(PX_PER_SECOND_MAX, (HEIGHT - NOW_Y) / wholeS);
}

interface Placed {
  readonly event: LifelineEvent;
  readonly y: number;
}

/** The newest first: each event at its time, or just above the one after it. */
function placed(events: readonly LifelineEvent[], trueY: (wallMs: number) => number): readonly Placed[] {
  const all: Placed[] = [];
  let below = Infinity;
  for (const event of events.toReversed()) {
    const y = Math.min(trueY(event.wallMs), below - EVENT_PX);
    if (y < LIFE_Y) break;
    all.push({ event, y });
    below = y;
  }
  return all;
}

/** Where a time lies among the events, some of which were moved up. */
function stretched(arrows: readonly Placed[], trueY: (wallMs: number) => number): (wallMs: number) => number {
  return (wallMs) => {
    const before = arrows.findIndex(({ event }) => event.wallMs <= wallMs);
    const older = arrows[before];
    const newer = before < 0 ? arrows.at(-1) : arrows[before - 1];
    if (!newer) return trueY(wallMs);
    if (!older) return newer.y + trueY(wallMs) - trueY(newer.event.wallMs);
    const share = (wallMs - older.event.wallMs) / Math.max(1, newer.event.wallMs - older.event.wallMs);
    return older.y + share * (newer.y - older.y);
  };
}

function predictedOf({ connection, wallMs, ended, peerState }: Lab, untilMs: number): PredictedMark[] {
  const { keepAlive, nextProbeInMs, probesUnanswered = 0 } = connection;
  if (ended || !keepAlive?.on || nextProbeInMs === undefined) return [];
  const answers = peerState !== "cut" && probesUnanswered === 0;
  return predictKeepAlive(keepAlive, { nextProbeAtMs: wallMs + nextProbeInMs, unanswered: probesUnanswered, answers, untilMs });
}

/** The times in which the cable was cut, as far as they are on the picture. */
function Cuts({ arrows, sides }: { arrows: readonly Placed[]; sides: Sides }) {
  const bands: { top: number; bottom: number }[] = [];
  let bottom = NOW_Y;
  for (const { event, y } of arrows) {
    if (event.kind === "cut") bands.push({ top: y, bottom });
    else if (event.kind === "healed" || event.kind === "end") bottom = y;
  }
  // The cut itself may be above the picture.
  if (arrows.at(-1)?.event.lost) bands.push({ top: LIFE_Y - 10, bottom });
  return (
    <g class="cuts">
      {bands.map((band) => (
        <rect
          key={band.top}
          x={sides.server}
          y={band.top}
          width={sides.client - sides.server}
          height={Math.max(0, band.bottom - band.top)}
        />
      ))}
    </g>
  );
}

interface CountdownProps {
  readonly lab: Lab;
  readonly now: number;
  readonly x: number;
  readonly yOf: (wallMs: number) => number;
}

/** The kernel's countdown: its length is the time left, from now. */
function Countdown({ lab, now, x, yOf }: CountdownProps) {
  const { nextProbeInMs, probesUnanswered = 0, keepAlive } = lab.connection;
  if (lab.ended || nextProbeInMs === undefined) return null;
  const endMs = lab.wallMs + nextProbeInMs;
  const leftMs = Math.max(0, endMs - now);
  const count = keepAlive?.count ?? 1;
  return (
    <g class={probesUnanswered > 0 ? "countdown bad" : "countdown"}>
      <line x1={x} x2={x} y1={NOW_Y} y2={Math.min(HEIGHT, yOf(endMs))} />
      <circle cx={x} cy={NOW_Y} r={5} />
      <text x={x - 12} y={NOW_Y + 16}>
        {(leftMs / 1000).toFixed(1)} s
      </text>
      <text x={x - 12} y={NOW_Y + 32}>
        {probesUnanswered} / {count}
      </text>
    </g>
  );
}

/** The clock beside the server, at whole seconds. */
function Ticks({ now, scale, yOf }: { now: number; scale: number; yOf: (wallMs: number) => number }) {
  const everyMs = ([1, 2, 5, 10, 20, 50, 100].find((seconds) => seconds * scale >= 28) ?? 200) * 1000;
  const marks: { atMs: number; y: number }[] = [];
  let below = HEIGHT;
  for (let atMs = Math.floor((now + ((HEIGHT - NOW_Y) / scale) * 1000) / everyMs) * everyMs; ; atMs -= everyMs) {
    const y = yOf(atMs);
    if (y < LIFE_Y) break;
    if (below - y >= EVENT_PX) {
      marks.push({ atMs, y });
      below = y;
    }
  }
  return (
    <g class="ticks">
      {marks.map(({ atMs, y }) => (
        <g key={atMs}>
          <text x={2} y={y + 4}>
            {showTime(atMs)}
          </text>
          <line x1={58} x2={64} y1={y} y2={y} />
        </g>
      ))}
    </g>
  );
}

interface ArrowProps {
  readonly event: LifelineEvent;
  /** Unanswered probes up to this one; 0 if it was answered. */
  readonly missed: number;
  readonly y: number;
  readonly sides: Sides;
  readonly count: number;
  readonly choose: (event: LifelineEvent) => void;
}

function Arrow({ event, missed, y, sides, count, choose }: ArrowProps) {
  const { from, kind, source, lost = false } = event;
  const middle = (sides.server + sides.client) / 2;
  const label = clipped(eventText(event), Math.floor((sides.client - sides.server - 12) / CHARACTER_PX));
  const time = (
    <text x={sides.client + 10} y={y + 4} class="when">
      {showTimeMs(event.wallMs)}
    </text>
  );
  if (from === "none") {
    return (
      <g class={`event ${kind}`}>
        <text x={middle} y={y - 5} class="middle">
          {label}
        </text>
        {kind === "end" ? <path d={cross(sides.server, y)} /> : null}
        {time}
      </g>
    );
  }
  const [start, far] = from === "server" ? [sides.server, sides.client] : [sides.client, sides.server];
  const stops = lost || missed > 0;
  const end = stops ? middle : far;
  const back = far > start ? -8 : 8;
  return (
    <g class={`event ${kind} ${stops ? "lost" : ""} ${source === "captured" ? "" : "unseen"}`} onClick={() => choose(event)}>
      <line x1={start} x2={stops ? end : end + back} y1={y} y2={y} />
      <path d={stops ? cross(end, y) : `M${end} ${y}l${back} -4v8z`} />
      <text x={middle} y={y - 5} class="middle">
        {label}
      </text>
      {time}
      {missed > 0 ? (
        <text x={sides.server - 12} y={y + 4} class="probe-count">
          {missed}/{count}
        </text>
      ) : null}
      <title>{`${showTimeMs(event.wallMs)} ${eventText(event)} (${source})`}</title>
    </g>
  );
}

/** Longer than a usual round trip: until then a probe does not count as unanswered. */
const ANSWER_MS = 300;

/** The number of unanswered probes up to this one: 0 if anything came back before the next. */
function missedWith(
  { kind, number, unanswered = 0, wallMs }: LifelineEvent,
  events: readonly LifelineEvent[],
  now: number,
): number {
  if (kind !== "probe" || unanswered === 0) return 0;
  const next = events.find((each) => each.number > number && each.from !== "none" && !each.lost);
  return next?.from === "client" || (!next && now - wallMs < ANSWER_MS) ? 0 : unanswered;
}

function Prediction({ mark: { kind, unanswered }, sides, y }: { mark: PredictedMark; sides: Sides; y: number }) {
  if (y < NOW_Y) return null;
  const [start, end] = kind === "answer" ? [sides.client, sides.server] : [sides.server, sides.client];
  const shift = kind === "answer" ? 6 : 0;
  const label = kind === "reset" ? "closed: RST" : unanswered > 0 ? `probe ${unanswered}` : kind;
  return (
    <g class="predicted">
      <line x1={start} x2={end} y1={y + shift} y2={y + shift} />
      {kind === "answer" ? null : (
        <text x={(sides.server + sides.client) / 2} y={y - 6} class="middle">
          {label}
        </text>
      )}
    </g>
  );
}

function asText({ connection, ended, events }: Lab, now: number): string {
  const { nextProbeInMs, probesUnanswered = 0 } = connection;
  const last = events.at(-1);
  const state = ended ? "ended" : `next probe ${nextProbeInMs === undefined ? "not due" : `in ${showDuration(nextProbeInMs)}`}`;
  const latest = last ? `; last: ${last.text}, ${showDuration(Math.max(0, now - last.wallMs))} ago` : "";
  return `Two lifelines of a connection: ${state}, ${probesUnanswered} probes unanswered${latest}`;
}

function cross(x: number, y: number): string {
  return `M${x - 4} ${y - 4}l8 8m0-8l-8 8`;
}

function clipped(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`;
}
