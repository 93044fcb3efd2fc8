// What the page of identity providers asks the gate for, as `core/api/src/sso.rs` writes it.
import { Refusal } from "./api";
import { carry, type Carried, type ShownTarget } from "./approve";

export interface SsoShown {
  cluster: string;
  provider: string;
  user: string;
  purpose: "session" | "login";
  targets: ShownTarget[];
  reusable_until: number | null;
  address: string;
  elsewhere: boolean;
  asked: number;
  expires: number;
}

// Unlike the other page's, these requests carry a cookie: by it the browser that left is known again.
async function ask<T>(path: string, init: RequestInit): Promise<T> {
  const same = { cache: "no-store", credentials: "same-origin", referrerPolicy: "no-referrer" } as const;
  const response = await fetch(path, { ...init, ...same });
  if (response.ok) return (await response.json()) as T;
  const words = (await response.json().catch(() => null)) as { message?: string } | null;
  throw new Refusal(response.status, words?.message ?? `The gate answered ${response.status}.`);
}

const post = <T>(path: string, body: unknown) =>
  ask<T>(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

export const shown = (page: string) => ask<SsoShown>(`${page}/request`, { method: "GET" });

/** The provider's address, or, when the code was wrong once too often, what is carried to the terminal. */
export const start = (page: string, code: string) => post<{ location: string } | Carried>(`${page}/start`, { code });

export const refuse = (page: string) => post<Carried>(`${page}/deny`, {});

export const finish = (answer: Record<string, string>) =>
  post<{ signed_in: boolean } | Carried>("/web/sso/finish", answer);

const ONWARD = "tapgate-onward";

/** To the provider, to sign in on the pages; `search` says where to go on after it. */
export async function depart(connector: string, search: string): Promise<void> {
  const { location: provider } = await post<{ location: string }>(`/web/sso/login/${encodeURIComponent(connector)}`, {});
  sessionStorage.setItem(ONWARD, search);
  location.assign(provider);
}

/** What was said at the departure of where to go on, once. */
export function onward(): string {
  const search = sessionStorage.getItem(ONWARD) ?? "";
  sessionStorage.removeItem(ONWARD);
  return search;
}

/** The way back to the terminal, which is always its loopback. */
export const back = ({ action, sealed }: Carried) => carry(action ?? "", sealed);
