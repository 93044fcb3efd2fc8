// How pages ask the gate: JSON in, JSON out, and its own words where it says no.

/** An answer that is no success, with the gate's own words. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

interface Words {
  message?: string;
  hint?: string;
}

/** Asks; the session's cookie goes along only where `credentials` says so. */
export async function ask<T>(path: string, init: RequestInit): Promise<T> {
  const response = await fetch(path, { ...init, cache: "no-store", referrerPolicy: "no-referrer" });
  if (response.ok) return (await response.json()) as T;
  const words = (await response.json().catch(() => null)) as Words | null;
  const message = words?.message ?? `The gate answered ${response.status}.`;
  throw new Refusal(response.status, words?.hint ? `${message} (${words.hint})` : message);
}

export function send(body: unknown): RequestInit {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

const API = "/web/api";

/** Asks as whoever is signed in. */
export const read = <T>(path: string) => ask<T>(API + path, { method: "GET", credentials: "same-origin" });
export const write = <T>(path: string, body: unknown) => ask<T>(API + path, { ...send(body), credentials: "same-origin" });

export interface Auth {
  second_factors: string[];
  /** The identity providers, where there are any. */
  connectors?: { name: string; display?: string }[];
}

export interface Find {
  auth: Auth;
  cluster_name: string;
}

export const find = () => ask<Find>("/v1/webapi/find", { method: "GET", credentials: "omit" });

export interface Me {
  user: string;
  cluster: string;
  public_addr: string;
  method: string;
  expires: number;
  /** May see everybody's sessions and their recordings. */
  watches: boolean;
  /** May lock others out. */
  locks: boolean;
}

export const me = () => read<Me>("/me");
export const signOut = () => write<null>("/sign-out", {});

/** A ceremony of the gate: its number, and what goes to the authenticator. */
export interface Ceremony {
  id: string;
  webauthn: unknown;
}

export interface Target {
  kind: string;
  name: string;
  labels: Record<string, string>;
  logins: string[];
  mfa_required: boolean;
}

export const targets = () => read<{ targets: Target[] }>("/targets").then((answer) => answer.targets);

export interface LiveSession {
  id: string;
  /** Whose it is, where everybody's are listed. */
  user?: string;
  kind: string;
  target: string;
  login: string;
  protocol: string;
  peer: string;
  since: number | null;
  tapped: boolean;
}

/** A tap that a stock client of the user waits for. */
export interface Ask {
  token: string;
  target: { kind: string; name: string; login: string };
  client: string;
  address: string;
  asked: number;
}

/** What is awaited, at once and at each change; answers how to stop. */
export function asks(show: (asks: Ask[]) => void): () => void {
  const events = new EventSource(`${API}/asks`);
  events.onmessage = (event) => show(JSON.parse(String(event.data)) as Ask[]);
  return () => events.close();
}

export const denyAsk = (token: string, lock: boolean) => write<null>("/asks/deny", { token, lock });

type Live = { sessions: LiveSession[] };
export const allSessions = () => read<Live>("/sessions/all").then((answer) => answer.sessions);

export interface Recording {
  session: string;
  user: string;
  kind: string;
  target: string;
  login: string;
  protocol: string;
  started: number;
  size: number;
  live: boolean;
}

export const recordings = () => read<{ recordings: Recording[] }>("/recordings").then((answer) => answer.recordings);
export const sessions = () => read<Live>("/sessions").then((answer) => answer.sessions);
export const endSession = (id: string) => write<Live>("/sessions/end", { id }).then((answer) => answer.sessions);

export interface Device {
  name: string;
  kind: "webauthn" | "otp";
  added: number;
  vouched_by: string;
}

export interface DeviceOutcome {
  lines: string[];
  otp?: { id: string; uri: string; expires: number };
}

export type DeviceAction =
  | { action: "remove_device"; name: string }
  | { action: "rename_device"; name: string; to: string }
  | { action: "add_otp"; name: string };

export const devices = () => read<{ devices: Device[] }>("/devices").then((answer) => answer.devices);

export interface Invite {
  user: string;
  cluster: string;
  invited_by: string | null;
  expires: number;
  password_min: number;
}

export interface Enrolled {
  user: string;
  pin?: string;
}
