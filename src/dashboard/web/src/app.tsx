/** ● The page's frame: header, navigation by the address's fragment, and the view that is chosen. */
import { useEffect, useState } from "preact/hooks";
import { startLive, useLive } from "./live.ts";
import { showDuration } from "./format.ts";
import { Overview } from "./overview.tsx";
import { chooseTheme, themeNow } from "./theme.ts";
import type { Theme } from "./theme.ts";

export function App() {
  const live = useLive();
  useEffect(() => void startLive(), []);
  const { snapshot, columns, connected } = live;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header>
        <h1>Holdfast</h1>
        <p class={connected ? "state on" : "state off"} role="status">
          {connected ? `live${snapshot ? `, up ${showDuration(snapshot.upMs)}` : ""}` : "not connected; trying again"}
        </p>
        <ThemeChoice />
      </header>
      <main id="main" tabIndex={-1}>
        {snapshot && columns ? (
          <Overview snapshot={snapshot} columns={columns} />
        ) : (
          <p class="empty">Waiting for the first numbers.</p>
        )}
      </main>
    </>
  );
}

function ThemeChoice() {
  const [theme, setTheme] = useState<Theme>(themeNow());
  const choose = (event: Event): void => {
    const chosen = (event.currentTarget as HTMLSelectElement).value as Theme;
    setTheme(chosen);
    chooseTheme(chosen);
  };
  return (
    <label class="theme">
      Colours{" "}
      <select value={theme} onChange={choose}>
        <option value="auto">as the system</option>
        <option value="light">light</option>
        <option value="dark">dark</option>
      </select>
    </label>
  );
}
