// What one types at a terminal to reach a target, by its kind.

import type { Target } from "./api";

/** A word as a POSIX shell takes it, quoted only where it must be. */
const word = (text: string) => (/^[A-Za-z0-9._@%+=:,/-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`);

export const KINDS: Record<string, string> = {
  node: "Servers",
  db: "Databases",
  kube_cluster: "Kubernetes clusters",
  app: "Applications",
  windows_desktop: "Desktops",
};

/** A database's login: `user`, `user/database`, or `*`, for which one's own name is as good a guess as any. */
function database(login: string, user: string): string {
  const [name, database] = login.split("/", 2);
  const who = `--db-user=${word(name === "*" || !name ? user : name)}`;
  return database && database !== "*" ? `${who} --db-name=${word(database)}` : who;
}

/** One command for each login there. */
export function commands({ kind, name, logins }: Target, user: string): string[] {
  switch (kind) {
    case "node":
      return logins.map((login) => `tap ssh ${word(`${login}@${name}`)}`);
    case "db":
      return logins.map((login) => `tap db connect ${database(login, user)} ${word(name)}`);
    case "kube_cluster":
      return [`tap kube login ${word(name)}`];
    case "app":
      return [`tap proxy app ${word(name)}`];
    case "windows_desktop":
      return logins.map((login) => `tap desktop connect ${word(`${login}@${name}`)}`);
    default:
      return [];
  }
}
