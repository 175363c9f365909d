/**
 * ● Two lifelines, time running down, true to scale: the server on the left with the countdown of the kernel's keep-alive timer, the
 * client on the right. Payload as arrows, probes as hollow arrows (half-length while unanswered), predicted packets in grey.
 */
import { useEffect, useState } from "preact/hooks";
import type { LifelineEvent } from "../../link-lab/lab-state.ts";
import { predictKeepAlive, type PredictedMark } from "../../../wire/keep-alive/keep-alive-prediction.ts";
import { showDuration } from "./format.ts";
import type { Lab } from "./live.ts";

const WIDTH = 640;
const SERVER_X = 150;
const CLIENT_X = 490;
const HEIGHT = 520;
/** The position of the current time. */
const NOW_Y = 340;
const PX_PER_SECOND_MAX = 28;
/** The start of the lifelines, below their names; older events are not drawn. */
const LIFE_Y = 30;
/** Events closer together than this share one label. */
const TEXT_PX_MIN = 13;

export function Lifelines({ lab, choose }: { lab: Lab; choose: (event: LifelineEvent) => void }) {
  const now = useNow(lab);
  const scale = scaleOf(lab);
  const yOf = (wallMs: number): number => NOW_Y + ((wallMs - now) / 1000) * scale;
  const events = lab.events.filter(({ wallMs }) => yOf(wallMs) > LIFE_Y);
  const untilMs = now + ((HEIGHT - NOW_Y) / scale) * 1000;
  return (
    <svg class="lifelines" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={asText(lab, now)}>
      <text x={SERVER_X} y={14} class="name">
        server
      </text>
      <text x={CLIENT_X} y={14} class="name">
        client
      </text>
      <Ticks now={now} scale={scale} />
      <line class="life" x1={SERVER_X} x2={SERVER_X} y1={LIFE_Y - 8} y2={HEIGHT} />
      <line class="life" x1={CLIENT_X} x2={CLIENT_X} y1={LIFE_Y - 8} y2={HEIGHT} />
      <line class="now" x1={60} x2={WIDTH - 10} y1={NOW_Y} y2={NOW_Y} />
      <text x={WIDTH - 12} y={NOW_Y - 4} class="nowtext">
        now
      </text>
      {predictedOf(lab, untilMs).map((mark) => (
        <Prediction key={`${mark.kind} ${mark.atMs}`} mark={mark} y={yOf(mark.atMs)} />
      ))}
      <Countdown lab={lab} now={now} yOf={yOf} />
      {withLabels(events, yOf).map(({ event, labelled }) => (
        <Arrow
          key={event.number}
          event={event}
          missed={missedWith(event, lab.events, now)}
          y={yOf(event.wallMs)}
          labelled={labelled}
          count={lab.connection.keepAlive?.count ?? 1}
          choose={choose}
        />
      ))}
    </svg>
  );
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

function predictedOf({ connection, wallMs, ended, peerState }: Lab, untilMs: number): PredictedMark[] {
  const { keepAlive, nextProbeInMs, probesUnanswered = 0 } = connection;
  if (ended || !keepAlive?.on || nextProbeInMs === undefined) return [];
  const answers = peerState !== "cut" && probesUnanswered === 0;
  return predictKeepAlive(keepAlive, { nextProbeAtMs: wallMs + nextProbeInMs, unanswered: probesUnanswered, answers, untilMs });
}

/** The kernel's countdown: its length is the time left, from now. */
function Countdown({ lab, now, yOf }: { lab: Lab; now: number; yOf: (wallMs: number) => number }) {
  const { nextProbeInMs, probesUnanswered = 0, keepAlive } = lab.connection;
  if (lab.ended || nextProbeInMs === undefined) return null;
  const endMs = lab.wallMs + nextProbeInMs;
  const leftMs = Math.max(0, endMs - now);
  const count = keepAlive?.count ?? 1;
  return (
    <g class={probesUnanswered > 0 ? "countdown bad" : "countdown"}>
      <line x1={SERVER_X} x2={SERVER_X} y1={NOW_Y} y2={Math.min(HEIGHT, yOf(endMs))} />
      <circle cx={SERVER_X} cy={NOW_Y} r={5} />
      <text x={SERVER_X - 12} y={NOW_Y + 16}>
        {(leftMs / 1000).toFixed(1)} s
      </text>
      <text x={SERVER_X - 12} y={NOW_Y + 32}>
        {probesUnanswered} / {count}
      </text>
    </g>
  );
}

function Ticks({ now, scale }: { now: number; scale: number }) {
  const everyS = [1, 2, 5, 10, 30, 60].find((seconds) => seconds * scale >= 28) ?? 120;
  const marks: { at: number; y: number }[] = [];
  for (let at = Math.ceil(-NOW_Y / scale / everyS) * everyS; at * scale < HEIGHT - NOW_Y; at += everyS)
    marks.push({ at, y: NOW_Y + at * scale });
  const offset = ((now / 1000) % everyS) * scale;
  return (
    <g class="ticks">
      {marks.map(({ at, y }) => (
        <g key={at}>
          <line x1={60} x2={66} y1={y - offset} y2={y - offset} />
        </g>
      ))}
      <text x={4} y={HEIGHT - 6}>
        one mark = {everyS} s
      </text>
    </g>
  );
}

interface ArrowProps {
  readonly event: LifelineEvent;
  /** Unanswered probes up to this one; 0 if it was answered. */
  readonly missed: number;
  readonly y: number;
  readonly labelled: boolean;
  readonly count: number;
  readonly choose: (event: LifelineEvent) => void;
}

function Arrow({ event, missed, y, labelled, count, choose }: ArrowProps) {
  const { from, kind, text, source } = event;
  const label = labelled ? clipped(text) : "";
  if (from === "none") {
    return (
      <g class={`event ${kind}`}>
        <text x={(SERVER_X + CLIENT_X) / 2} y={y - 6} class="middle">
          {label}
        </text>
        {kind === "end" ? <path d={`M${SERVER_X - 6} ${y - 6}l12 12m0-12l-12 12`} /> : null}
      </g>
    );
  }
  const lost = missed > 0;
  const [start, end] = from === "server" ? [SERVER_X, lost ? (SERVER_X + CLIENT_X) / 2 : CLIENT_X] : [CLIENT_X, SERVER_X];
  const toward = end > start ? -8 : 8;
  return (
    <g class={`event ${kind} ${source === "captured" ? "" : "unseen"}`} onClick={() => choose(event)}>
      <line x1={start} x2={end - Math.sign(end - start) * 8} y1={y} y2={y} />
      <path d={`M${end} ${y}l${toward} -5v10z`} />
      <text x={(SERVER_X + CLIENT_X) / 2} y={y - 6} class="middle">
        {label}
      </text>
      {lost ? <ProbeCount x={SERVER_X - 20} y={y} filled={missed} count={count} /> : null}
      <title>{`${text} (${source})`}</title>
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
  const next = events.find((each) => each.number > number && each.kind !== "note");
  return next?.from === "client" || (!next && now - wallMs < ANSWER_MS) ? 0 : unanswered;
}

/** 1/3, 2/3, 3/3. */
function ProbeCount({ x, y, filled, count }: { x: number; y: number; filled: number; count: number }) {
  return (
    <text x={x} y={y + 4} class="probe-count">
      {filled}/{count}
    </text>
  );
}

function Prediction({ mark: { kind, unanswered }, y }: { mark: PredictedMark; y: number }) {
  if (y < NOW_Y) return null;
  const [start, end] = kind === "answer" ? [CLIENT_X, SERVER_X] : [SERVER_X, CLIENT_X];
  const shift = kind === "answer" ? 6 : 0;
  const label = kind === "reset" ? "closed: RST" : unanswered > 0 ? `probe ${unanswered}` : kind;
  return (
    <g class="predicted">
      <line x1={start} x2={end} y1={y + shift} y2={y + shift} />
      {kind === "answer" ? null : (
        <text x={(SERVER_X + CLIENT_X) / 2} y={y - 6} class="middle">
          {label}
        </text>
      )}
    </g>
  );
}

/** Of overlapping events only the first is labelled. */
function withLabels(
  events: readonly LifelineEvent[],
  yOf: (wallMs: number) => number,
): { event: LifelineEvent; labelled: boolean }[] {
  let last = -Infinity;
  return events.map((event) => {
    const y = yOf(event.wallMs);
    const labelled = y - last >= TEXT_PX_MIN;
    if (labelled) last = y;
    return { event, labelled };
  });
}

function asText({ connection, ended, events }: Lab, now: number): string {
  const { nextProbeInMs, probesUnanswered = 0 } = connection;
  const last = events.at(-1);
  const state = ended ? "ended" : `next probe ${nextProbeInMs === undefined ? "not due" : `in ${showDuration(nextProbeInMs)}`}`;
  const latest = last ? `; last: ${last.text}, ${showDuration(Math.max(0, now - last.wallMs))} ago` : "";
  return `Two lifelines of a connection: ${state}, ${probesUnanswered} probes unanswered${latest}`;
}

function clipped(text: string): string {
  return text.length <= 46 ? text : `${text.slice(0, 45)}…`;
}
