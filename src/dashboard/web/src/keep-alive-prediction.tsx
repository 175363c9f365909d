/** ○ Predicted keep-alive of a peer that stops answering, drawn from the settings alone: time runs to the right, true to scale. */
import { predictKeepAlive, type KeepAliveTimes, type PredictedMark } from "../../../wire/keep-alive/keep-alive-prediction.ts";
import { showDuration } from "./format.ts";

const WIDTH = 480;
const HEIGHT = 112;
const SERVER_Y = 36;
const CLIENT_Y = 84;
const START_X = 56;
const END_X = 464;

export function KeepAlivePrediction({ times }: { times: KeepAliveTimes }) {
  const endMs = detectionMs(times);
  const marks = predictKeepAlive(times, { nextProbeAtMs: times.idleMs, answers: false, untilMs: endMs });
  const xOf = (ms: number): number => START_X + (ms / endMs) * (END_X - START_X);
  const firstX = xOf(times.idleMs);
  return (
    <svg class="prediction" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={asText(marks)}>
      <text x={4} y={SERVER_Y + 4}>
        server
      </text>
      <text x={4} y={CLIENT_Y + 4}>
        client
      </text>
      <line class="life" x1={START_X} x2={END_X} y1={SERVER_Y} y2={SERVER_Y} />
      <line class="life" x1={START_X} x2={END_X} y1={CLIENT_Y} y2={CLIENT_Y} />
      <circle class="received" cx={START_X} cy={SERVER_Y} r={4} />
      {marks.map((mark) => (
        <Mark key={mark.atMs} mark={mark} x={xOf(mark.atMs)} />
      ))}
      <text class="end" x={END_X} y={12}>
        closed after {showDuration(endMs)}
      </text>
      <text class={firstX > WIDTH / 2 ? "end" : undefined} x={firstX} y={HEIGHT - 6}>
        first probe after {showDuration(times.idleMs)}
      </text>
    </svg>
  );
}

function Mark({ mark: { kind, unanswered }, x }: { mark: PredictedMark; x: number }) {
  return (
    <g class={`predicted ${kind}`}>
      <line x1={x} x2={x} y1={SERVER_Y} y2={CLIENT_Y} />
      {kind === "reset" ? (
        <path d={`M${x - 5} ${SERVER_Y - 5}l10 10m0-10l-10 10`} />
      ) : (
        <text class="middle" x={x} y={SERVER_Y - 8}>
          {unanswered}
        </text>
      )}
    </g>
  );
}

/** From the last answer of a peer that was idle to the reset: the next probe comes max(idle, interval) after it. */
export function idleDetectionMs({ idleMs, intervalMs, count }: KeepAliveTimes): number {
  return Math.max(idleMs, intervalMs) + intervalMs * count;
}

/** From the last byte received of a peer to the reset. */
export function detectionMs({ idleMs, intervalMs, count }: KeepAliveTimes): number {
  return idleMs + intervalMs * count;
}

function asText(marks: readonly PredictedMark[]): string {
  const when = marks.map(({ kind, atMs }) => `${kind === "reset" ? "closed" : "a probe"} after ${showDuration(atMs)}`);
  return `Predicted timeline of a peer that stops answering: ${when.join(", ")}`;
}
