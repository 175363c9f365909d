/** The page: one line a sensor, drawn as readings come, over server-sent events. */
import { createServer, type Server, type ServerResponse } from "node:http";

export interface Point {
  readonly sensor: number;
  readonly celsius: number;
}

/** 64 KiB behind: a page that does not keep up misses points instead of filling memory. */
const BEHIND_BYTES_MAX = 65_536;

export class Plot {
  readonly #pages = new Set<ServerResponse>();
  #points: Point[] = [];
  readonly server: Server = createServer((request, response) => {
    if (request.url === "/points") {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      this.#pages.add(response);
      response.on("close", () => this.#pages.delete(response));
    } else {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" }).end(PAGE);
    }
  });

  add(point: Point): void {
    this.#points.push(point);
  }

  /** Sends what has been added since the last time, with a line of status. */
  flush(status: string): void {
    const event = `data: ${JSON.stringify({ points: this.#points, status })}\n\n`;
    this.#points = [];
    for (const page of this.#pages) if (page.writableLength < BEHIND_BYTES_MAX) page.write(event);
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

const PAGE = `<!doctype html><html lang="en"><title>Sensors</title>
<style>body{font:1rem/1.5 system-ui;margin:2rem}canvas{width:100%;height:60vh;border:1px solid #8888}</style>
<h1>Sensors</h1><p id="status">waiting …</p><canvas id="plot" width="1200" height="600"></canvas>
<script>
const canvas = document.getElementById("plot"), pen = canvas.getContext("2d"), last = new Map();
const y = (celsius) => canvas.height - ((celsius - 5) / 30) * canvas.height;
new EventSource("/points").onmessage = ({ data }) => {
  const { points, status } = JSON.parse(data);
  document.getElementById("status").textContent = status;
  pen.drawImage(canvas, -4, 0);
  pen.clearRect(canvas.width - 4, 0, 4, canvas.height);
  for (const { sensor, celsius } of points) {
    pen.strokeStyle = "hsl(" + ((sensor * 137) % 360) + " 70% 50% / 0.6)";
    pen.beginPath();
    pen.moveTo(canvas.width - 4, y(last.get(sensor) ?? celsius));
    pen.lineTo(canvas.width, y(celsius));
    pen.stroke();
    last.set(sensor, celsius);
  }
};
</script></html>`;
