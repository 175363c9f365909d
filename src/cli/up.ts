/** ● `holdfast up`: all parts in one process. */
export async function run(): Promise<number> {
  return 0;
}
