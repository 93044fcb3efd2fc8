// Where we are: the path, and how to get elsewhere without loading the page anew.

/** What the address bar says, as state that pages follow. */
export const place = $state({ path: location.pathname, search: location.search });

export const HOME = "/web/targets";
export const RECORDING = "/web/recording";
const SIGN_IN = "/web/sign-in";

const follow = () => {
  place.path = location.pathname;
  place.search = location.search;
};

addEventListener("popstate", follow);

/** Goes to a page of ours. */
export function go(path: string): void {
  history.pushState(null, "", path);
  follow();
  scrollTo(0, 0);
}

/** A click on a link to a page of ours needs no load; with a modifier key it is the browser's own. */
export function intercept(event: MouseEvent): void {
  const link = (event.target as Element).closest("a");
  const plain = !event.defaultPrevented && event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
  // A page with wider rights than others ends where one leaves it: its links load.
  if (place.path === RECORDING) return;
  if (!link || !plain || link.target || "load" in link.dataset || link.origin !== location.origin || !PAGES.has(link.pathname)) return;
  event.preventDefault();
  go(link.pathname);
}

/** The pages for whoever is signed in. */
export const PAGES = new Set([HOME, "/web/sessions", "/web/devices"]);

/** To the sign-in page, and from there back here. */
export function signInFirst(): void {
  location.assign(`${SIGN_IN}?to=${encodeURIComponent(location.pathname + location.search)}`);
}

/**
 * Where to go on after signing in: what `?to=` names, if it is on this very origin. The whole address is answered,
 * because a bare path such as `//host` would lead elsewhere.
 */
export function goOn(search: string, origin: string = location.origin): string {
  const home = origin + HOME;
  const to = new URLSearchParams(search).get("to");
  if (!to?.startsWith("/")) return home;
  const url = URL.parse ? URL.parse(to, origin) : parse(to, origin);
  return url && url.origin === origin && url.pathname !== SIGN_IN ? url.href : home;
}

function parse(to: string, origin: string): URL | null {
  try {
    return new URL(to, origin);
  } catch {
    return null;
  }
}
