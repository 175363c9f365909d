/**
 * ● Pictures of the dashboard's views for the documentation: starts all parts with real traffic on free ports, opens each view in
 * Chromium in both colours and writes docs/images/NAME-light.png and -dark.png. `node scripts/screenshots.ts [FOLDER]`.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "playwright-core";
import { launch, open } from "../test/dashboard/browser.ts";
import { startTestServers } from "../test/dashboard/test-servers.ts";

const folder = process.argv[2] ?? join(import.meta.dirname, "../docs/images");
mkdirSync(folder, { recursive: true });

/** What a view needs before it is worth a picture. */
const VIEWS: Readonly<Record<string, (page: Page) => Promise<void>>> = {
  overview: () => sleep(1500),
  cache: (page) => page.getByText("Slab classes").waitFor(),
  queue: (page) => page.getByRole("heading", { name: /^Tasks of / }).waitFor(),
  link: async (page) => {
    await page.getByLabel("Idle time before the first probe").fill("2");
    await page.getByLabel("Interval between probes").fill("2");
    await page.getByRole("button", { name: /start the demonstration/i }).click();
    await page.getByRole("button", { name: "Send from the server" }).click();
    await sleep(5500);
    await page.getByRole("button", { name: "Cut the network" }).click();
    await sleep(5500);
  },
  learn: () => sleep(500),
};

/** The README's picture goes into the package: a part of the view, as WebP a quarter of its size. */
async function lifelines(page: Page): Promise<void> {
  const png = await page.locator("svg.lifelines").screenshot();
  const blank = await browser.newPage();
  const source = `data:image/png;base64,${png.toString("base64")}`;
  const webp = (await blank.evaluate(`(async () => {
    const image = new Image();
    image.src = ${JSON.stringify(source)};
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.width;
    canvas.height = image.height;
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/webp", 0.6);
  })()`)) as string;
  await blank.close();
  writeFileSync(join(folder, "readme.webp"), Buffer.from(webp.split(",")[1]!, "base64"));
}

const servers = await startTestServers();
const browser = await launch();
try {
  for (const scheme of ["light", "dark"] as const) {
    for (const [view, prepare] of Object.entries(VIEWS)) {
      const { page } = await open(
        browser,
        `http://${servers.dashboard.address}/#/${view === "queue" ? "queue/emails" : view}`,
        { scheme },
      );
      await page.getByRole("status").getByText("connected", { exact: true }).waitFor();
      await prepare(page);
      await page.screenshot({ path: join(folder, `${view}-${scheme}.png`), fullPage: true });
      if (view === "link" && scheme === "light") await lifelines(page);
      await page.context().close();
    }
  }
} finally {
  await browser.close();
  await servers.close();
}
