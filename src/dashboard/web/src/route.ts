/** ● Where one is on the page: the URL's fragment, "#/queue/emails?state=dead&task=b0-1". Every place has a URL that can be passed on. */
import { useEffect, useState } from "preact/hooks";

export interface ViewRoute {
  /** "queue". */
  readonly view: string;
  /** What follows the view: a queue's name. */
  readonly name: string | undefined;
  readonly query: Readonly<Record<string, string>>;
}

type Change = Readonly<Record<string, string | number | undefined>>;

function readRoute(): ViewRoute {
  const [path = "", search = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view = "", name] = path.split("/").map(decoded);
  return { view, name: name || undefined, query: Object.fromEntries(new URLSearchParams(search)) };
}

/** Redraws when the place changes. */
export function useRoute(): ViewRoute {
  const [route, setRoute] = useState(readRoute);
  useEffect(() => {
    const changed = (): void => setRoute(readRoute());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}

/** The URL of a place; what is undefined or empty is left out. */
export function hrefOf({ view, name, query }: ViewRoute, change: Change = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries({ ...query, ...change })) {
    if (value !== undefined && value !== "") params.set(key, String(value));
  }
  const path = name === undefined ? view : `${view}/${encodeURIComponent(name)}`;
  return `#/${path}${params.size > 0 ? `?${params}` : ""}`;
}

/** Goes there: with the browser's Back one comes back. */
export function go(route: ViewRoute, change: Change = {}): void {
  location.hash = hrefOf(route, change);
}

/** Goes there in the place of where one is: for what is typed letter by letter. */
export function replace(route: ViewRoute, change: Change = {}): void {
  history.replaceState(null, "", hrefOf(route, change));
  dispatchEvent(new HashChangeEvent("hashchange"));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
