// What the page asks the gate for where a terminal's tap is approved, as `core/api/src/browser.rs` writes it.

import { ask, Refusal, send } from "./api";

export interface ShownTarget {
  kind: string;
  name: string;
  login: string;
}

export interface Change {
  title: string;
  diff: string;
}

export interface Shown {
  ceremony: "get" | "create";
  webauthn: unknown;
  cluster: string;
  user: string;
  purpose: "session" | "in-band" | "login" | "admin" | "enrol" | "register" | "add-device" | "device";
  targets: ShownTarget[];
  reusable_until: number | null;
  details: string | null;
  changes: Change[];
  paste: boolean;
  good_for: string | null;
  others: Other[];
  address: string;
  host?: string | null;
  elsewhere: boolean;
  asked: number;
  expires: number;
}

/** Another client that waits there. */
export interface Other {
  token: string;
  target: ShownTarget;
  client: string;
  asked: number;
}

export interface Carried {
  action: string | null;
  sealed: string;
}

// No cookie: the request's number, the code and the tap are what counts.
const post = <T>(path: string, body: unknown) => ask<T>(path, { ...send(body), credentials: "omit" });

export const shown = (page: string) => ask<Shown>(`${page}/request`, { method: "GET", credentials: "omit" });

export const approve = (page: string, code: string, webauthn: unknown) =>
  post<Carried>(`${page}/approve`, { code, webauthn });

export const deny = (page: string) => post<Carried>(`${page}/deny`, {});

/** A tap that a stock client asks for: the code first, and the key only if it is right. */
export async function tap(
  page: string,
  typed: { code: string; also: string[] },
  get: (webauthn: unknown) => Promise<unknown>,
): Promise<boolean> {
  const { id, webauthn } = await post<{ id: string; webauthn: unknown }>(`${page}/code`, typed);
  const { again } = await post<{ again: boolean }>(`${page}/approve`, { id, webauthn: await get(webauthn) });
  return again;
}

export const refuse = (page: string) => post<null>(`${page}/deny`, {});

const CALLBACK = /^http:\/\/127\.0\.0\.1:\d{4,5}\/callback\/[0-9a-f-]{36}$/;

/**
 * Carries the sealed answer to the terminal: a form's POST as a navigation of the whole page, because
 * browsers keep pages from fetching anything on the user's own machine.
 */
export function carry(action: string, sealed: string): void {
  if (!CALLBACK.test(action)) throw new Refusal(0, "The gate named a terminal that is not on this machine.");
  const form = document.createElement("form");
  form.method = "post";
  form.action = action;
  form.hidden = true;
  const field = document.createElement("input");
  field.type = "hidden";
  field.name = "sealed";
  field.value = sealed;
  form.append(field);
  document.body.append(form);
  form.submit();
}
