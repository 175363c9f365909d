/** ● The page's frame: header, navigation by the URL's fragment, and the chosen view. */
import { useEffect, useRef, useState } from "preact/hooks";
import { CacheView } from "./cache-view.tsx";
import { showAge } from "./format.ts";
import { later } from "./later.tsx";
import { LinkView } from "./link-view.tsx";
import { type ChartRange, chooseRange, startLive, useLive, type Live } from "./live.ts";
import { Overview } from "./overview.tsx";
import { Dialogs } from "./dialogs.tsx";
import { type ViewRoute, useRoute } from "./route.ts";
import { chooseTheme, themeNow, type Theme } from "./theme.ts";

/** Those without a place in the navigation are reached from others. */
const VIEWS = {
  overview: "Overview",
  farm: "Farm",
  cache: "Cache",
  queue: "Queue",
  task: "Task",
  link: "Link",
  learn: "Learn",
} as const;
type ViewName = keyof typeof VIEWS;

const QueueView = later(async () => (await import("./queue-view.tsx")).QueueView);
const FarmView = later(async () => (await import("./farm-view.tsx")).FarmView);
const TaskStoryView = later(async () => (await import("./story-view.tsx")).TaskStoryView);
const LinkStoryView = later(async () => (await import("./story-view.tsx")).LinkStoryView);
const LearnView = later(async () => (await import("./learn-view.tsx")).LearnView);

/** Those of what runs here; the walks of Learn use all parts. */
function viewsOf({ snapshot, hasPeers }: Live): ViewName[] {
  const here: Readonly<Record<ViewName, unknown>> = {
    overview: true,
    farm: hasPeers,
    cache: snapshot?.cache,
    queue: snapshot?.queue,
    task: false,
    link: snapshot?.link,
    learn: snapshot?.cache && snapshot.queue && snapshot.link,
  };
  return (Object.keys(VIEWS) as ViewName[]).filter((name) => here[name]);
}

export function App() {
  const live = useLive();
  const route = useRoute();
  const view = viewOf(route);
  const main = useRef<HTMLElement>(null);
  useEffect(() => void startLive(), []);
  useEffect(() => {
    document.title = `${VIEWS[view]}${route.name === undefined ? "" : ` ${route.name}`} – Holdfast`;
  }, [view, route.name]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => focusOn(event, main.current)}>
        Skip to content
      </a>
      <header>
        <h1>Holdfast</h1>
        <nav aria-label="Views">
          {viewsOf(live).map((name) => (
            <a key={name} href={`#/${name}`} aria-current={name === view ? "page" : undefined}>
              {VIEWS[name]}
            </a>
          ))}
        </nav>
        <p class={live.connected ? "state on" : "state off"} role="status">
          {live.connected ? "connected" : "not connected; retrying"}
        </p>
        {live.snapshot ? <p class="dim">up {showAge(live.snapshot.upMs)}</p> : null}
        <RangeChoice range={live.range} />
        <ThemeChoice />
      </header>
      <main id="main" tabIndex={-1} ref={main}>
        <View name={view} live={live} route={{ ...route, view }} />
      </main>
      <Dialogs />
    </>
  );
}

function View({ name, live, route }: { name: ViewName; live: Live; route: ViewRoute }) {
  const { snapshot, columns } = live;
  if (!snapshot || !columns) return <p class="empty">Loading statistics.</p>;
  switch (name) {
    case "overview":
      return <Overview snapshot={snapshot} columns={columns} />;
    case "farm":
      return <FarmView wallMs={snapshot.wallMs} />;
    case "cache":
      return <CacheView cache={snapshot.cache} columns={columns} />;
    case "queue":
      return <QueueView queue={snapshot.queue} wallMs={snapshot.wallMs} columns={columns} range={live.range} route={route} />;
    case "task":
      return <TaskStoryView id={route.name} />;
    case "link":
      if (route.name !== undefined) return <LinkStoryView name={route.name} />;
      return <LinkView link={snapshot.link} columns={columns} lab={live.lab} />;
    default:
      return <LearnView snapshot={snapshot} lab={live.lab} />;
  }
}

function viewOf({ view }: ViewRoute): ViewName {
  return Object.hasOwn(VIEWS, view) ? (view as ViewName) : "overview";
}

function focusOn(event: Event, element: HTMLElement | null): void {
  event.preventDefault();
  element?.focus();
}

function RangeChoice({ range }: { range: ChartRange }) {
  return (
    <label class="theme">
      Charts{" "}
      <select value={range} onChange={(event) => void chooseRange(event.currentTarget.value as ChartRange)}>
        <option value="minutes">5 minutes</option>
        <option value="day">a day</option>
        <option value="month">a month</option>
      </select>
    </label>
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
        <option value="auto">system default</option>
        <option value="light">light</option>
        <option value="dark">dark</option>
      </select>
    </label>
  );
}
