// What the page asks the gate for, as `core/api/src/browser.rs` writes it.

export interface Target {
  kind: string;
  name: string;
  login: string;
}

export interface Shown {
  ceremony: "get" | "create";
  webauthn: unknown;
  cluster: string;
  user: string;
  purpose: "session" | "login" | "admin" | "enrol";
  targets: Target[];
  reusable_until: number | null;
  details: string | null;
  address: string;
  elsewhere: boolean;
  asked: number;
  expires: number;
}

export interface Carried {
  action: string;
  sealed: string;
}

/** An answer that is no success, with the gate's own words. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

async function ask<T>(path: string, init: RequestInit): Promise<T> {
  const response = await fetch(path, { ...init, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" });
  if (response.ok) return (await response.json()) as T;
  const words = (await response.json().catch(() => null)) as { message?: string } | null;
  throw new Refusal(response.status, words?.message ?? `The gate answered ${response.status}.`);
}

const post = <T>(path: string, body: unknown) =>
  ask<T>(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const shown = (page: string) => ask<Shown>(`${page}/request`, { method: "GET" });

export const approve = (page: string, code: string, webauthn: unknown) =>
  post<Carried>(`${page}/approve`, { code, webauthn });

export const deny = (page: string) => post<Carried>(`${page}/deny`, {});

const CALLBACK = /^http:\/\/127\.0\.0\.1:\d{4,5}\/callback\/[0-9a-f-]{36}$/;

/**
 * Carries the sealed answer to the terminal: a form's POST as a navigation of the whole page, because
 * browsers keep pages from fetching anything on the user's own machine.
 */
export function carry({ action, sealed }: Carried): void {
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
