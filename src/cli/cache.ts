/** ● `holdfast cache`: the cache server alone, with memcached's own flags. */
import { CacheServer } from "../cache/index.ts";

/** Runs until SIGTERM or SIGINT. */
export async function run(argv: readonly string[]): Promise<number> {
  const port = argv[argv.indexOf("-p") + 1];
  const path = argv.includes("-s") ? argv[argv.indexOf("-s") + 1] : undefined;
  const server = new CacheServer({ listen: path ? `unix:${path}` : `127.0.0.1:${port ?? 11211}` });
  await server.listen();
  process.stderr.write(`cache: listening on ${server.address}\n`);
  await new Promise<void>((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  await server.close();
  return 0;
}
