/** ● A view whose code is loaded when somebody goes there: the page opens without it. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

export function later<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  let loaded: ComponentType<Props> | undefined;
  return function Later(props: Props) {
    const [View, setView] = useState<{ it: ComponentType<Props> } | undefined>(loaded && { it: loaded });
    const [failed, setFailed] = useState(false);
    useEffect(() => {
      if (View) return;
      load().then(
        (it) => {
          loaded = it;
          setView({ it });
        },
        () => setFailed(true),
      );
    }, []);
    if (failed) return <p class="empty">This view cannot be loaded: reload the page.</p>;
    return View ? <View.it {...props} /> : <p class="empty">Loading.</p>;
  };
}
