/** Pictures in three sizes, each a task of its own, so that they are made side by side and each is tried again by itself. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { queue, worker, type Queue, type QueueClient } from "holdfast/queue";

export const WIDTHS = [32, 64, 128];

export interface Resize {
  readonly order: string;
  readonly width: number;
}

export interface Gallery {
  readonly order: string;
}

export interface Pictures {
  readonly resizes: Queue<Resize, string>;
  readonly galleries: Queue<Gallery, string>;
}

export function picturesOf(client: QueueClient): Pictures {
  return { resizes: queue("resizes", { client }), galleries: queue("galleries", { client }) };
}

export function makePictures({ resizes, galleries }: Pictures, folder: string): { close(): Promise<void> }[] {
  const resizing = worker(
    resizes,
    async ({ order, width }, task) => {
      const picture = await readPicture(join(folder, order, "original.ppm"));
      const small = { width, height: width, pixels: Buffer.alloc(width * width * 3) };
      for (let y = 0; y < width; y += 1) {
        for (let x = 0; x < width; x += 1) copyPixel(picture, small, x, y);
        if (y % 16 === 0) {
          task.progress({ order, width, percent: Math.round((100 * y) / width) }); // who listens to the queue hears it
          await turn();
        }
      }
      const name = `${width}.ppm`;
      await writePicture(join(folder, order), name, small);
      return name;
    },
    { concurrency: 3 },
  );
  const hanging = worker(galleries, async ({ order }, task) => {
    const images = (await task.parents()).map(({ result }) => `<img src="${String(result)}">`);
    await writeFile(join(folder, order, "gallery.html"), images.join("\n"));
    return `${order}/gallery.html`;
  });
  return [resizing, hanging];
}

interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue, row by row. */
  readonly pixels: Buffer;
}

function copyPixel(from: Picture, to: Picture, x: number, y: number): void {
  const source = (Math.floor((y * from.height) / to.height) * from.width + Math.floor((x * from.width) / to.width)) * 3;
  from.pixels.copy(to.pixels, (y * to.width + x) * 3, source, source + 3);
}

/** PPM (P6): a header in text, then the pixels. */
export async function writePicture(folder: string, name: string, { width, height, pixels }: Picture): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), Buffer.concat([Buffer.from(`P6 ${width} ${height} 255\n`), pixels]));
}

async function readPicture(file: string): Promise<Picture> {
  const bytes = await readFile(file);
  const end = bytes.indexOf("\n") + 1;
  const [, width, height] = bytes.toString("latin1", 0, end).split(" ");
  return { width: Number(width), height: Number(height), pixels: bytes.subarray(end) };
}
