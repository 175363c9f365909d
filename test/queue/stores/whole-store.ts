/** Everything that a store holds, to be compared with what another holds. */
import { EPOCHS_BEFORE_SETTING, MOVE_SETTING } from "../../../src/queue/stores/move.ts";
import type { Store } from "../../../src/store/store.ts";

export interface WholeStore {
  readonly lastId: number;
  /** Without what a move leaves there. */
  readonly settings: Readonly<Record<string, string>>;
  readonly tasks: readonly object[];
}

/** Opens it, reads all of it, closes it. */
export async function wholeStore(store: Store): Promise<WholeStore> {
  const { lastId, settings } = await store.open();
  try {
    const tasks: object[] = [];
    for await (const portion of store.tasks()) {
      const bodies = await store.read(portion.map(({ id }) => id));
      for (const [index, { id, head, state }] of portion.entries()) {
        const { facts } = (await store.inspect(id))!;
        tasks.push({
          id,
          head: hex(head),
          state: hex(state),
          body: hex(bodies[index]!),
          facts: facts.map(({ kind, name, payload }) => [kind, name, hex(payload)]),
        });
      }
    }
    const kept = [...settings].filter(([name]) => name !== MOVE_SETTING && name !== EPOCHS_BEFORE_SETTING).sort();
    return { lastId, settings: Object.fromEntries(kept), tasks };
  } finally {
    await store.close();
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
