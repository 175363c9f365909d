/** Starts the whole example: `npm run example:sensors -- [PORT] [SENSORS] [FOLDER]`. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { resolve } from "node:path";
import { CacheClient, CacheServer } from "holdfast/cache";
import { listen, type Reading } from "holdfast/link";
import { Broker, queue, worker } from "holdfast/queue";
import { Cable } from "./cable.ts";
import { Ledger } from "./ledger.ts";
import { Plot } from "./plot.ts";
import { Sensor } from "./sensor.ts";

const [port = "8082", count = "100", folder = ".holdfast/sensors"] = process.argv.slice(2);
const READ_MS = 200;
const CUT_MS = 500;
/** A tenth of the connections, twice a second: each sensor is cut every five seconds. */
const CUT_SHARE = 0.1;

const cacheServer = new CacheServer({ listen: "127.0.0.1:0", memory: "16m" });
await cacheServer.listen();
// `stop` below closes it, last: what the sensors still send must find it open.
const broker = new Broker({ listen: "tcp://127.0.0.1:0", data: resolve(folder), signals: [] });
await broker.listen();

const cache = new CacheClient({ servers: [cacheServer.address] });
const readings = queue<Reading>("readings", { broker });
const gateway = await listen({ port: 0, session: {}, toQueue: readings, toCache: cache });
const cable = new Cable(gateway.port);
const cablePort = await cable.listen();

const ledger = new Ledger();
const plot = new Plot();
const drawing = worker(
  readings,
  (reading) => {
    ledger.enter(reading);
    plot.add({ sensor: Number(reading.sensor.split(" ")[1]), celsius: Number(reading.text) });
  },
  { concurrency: 64, prefetch: 64, signals: [] },
);
plot.server.listen(Number(port), "127.0.0.1");
await once(plot.server, "listening");
console.log(`watch the sensors at http://127.0.0.1:${(plot.server.address() as AddressInfo).port}`);

const sensors = await Promise.all(
  Array.from({ length: Number(count) }, (_, index) =>
    Sensor.start({ name: `sensor ${index + 1}`, port: cablePort, everyMs: READ_MS }),
  ),
);
const status = (): string =>
  `${ledger.readings} readings of ${ledger.sensors} sensors, ${cable.cuts} cuts, ${ledger.missing} missing, ${ledger.twice} twice`;
const cutting = setInterval(() => cable.cut(CUT_SHARE), CUT_MS);
const drawingTimer = setInterval(() => plot.flush(status()), READ_MS);

async function stop(): Promise<void> {
  clearInterval(cutting);
  await Promise.all(sensors.map((sensor) => sensor.stop()));
  const confirmed = sensors.reduce((sum, sensor) => sum + sensor.confirmed, 0);
  while (ledger.readings < confirmed) await new Promise((resolve) => setTimeout(resolve, 20));
  clearInterval(drawingTimer);
  console.log(`the last value of sensor 1: ${String(await cache.get("sensor:sensor%201"))} °C`);
  console.log(`${status()}; ${confirmed} confirmed`);
  plot.close();
  await drawing.close();
  await gateway.close();
  cable.close();
  await readings.close();
  await cache.close();
  await broker.close();
  await cacheServer.close();
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop());
