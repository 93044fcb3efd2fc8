// Files to and from a terminal's node. The browser reads and writes its own disk; no file is ever in the page's memory.

import { Refusal, write } from "./api";

const PATH = "/web/api/terminal";

/** Whether files can be copied, and how long one is that is looked at. */
export type Begun = { files: "tap" } | { files: "ready"; size: number | null };

export const beginFiles = (connection: string, path?: string) =>
  write<Begun>("/terminal/files", path === undefined ? { connection } : { connection, path });

const address = (what: string, of: Record<string, string>) => `${PATH}/${what}?${new URLSearchParams(of)}`;

/** Sends a file; answers how to stop, beside what comes of it. */
export function upload(
  file: File,
  of: { connection: string; path: string; replace: boolean },
  progress: (bytes: number) => void,
): { stop: () => void; done: Promise<void> } {
  const request = new XMLHttpRequest();
  const done = new Promise<void>((resolve, reject) => {
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onload = () => {
      if (request.status === 200) return resolve();
      reject(new Refusal(request.status, words(request.responseText, request.status)));
    };
    request.onerror = () => reject(new Error("The connection broke off."));
    request.onabort = () => reject(new Error("You stopped it: a part of it may be there."));
  });
  request.open("POST", address("upload", { connection: of.connection, path: of.path, replace: String(of.replace) }));
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(file);
  return { stop: () => request.abort(), done };
}

function words(text: string, status: number): string {
  try {
    const { message, hint } = JSON.parse(text) as { message: string; hint?: string };
    return hint ? `${message} (${hint})` : message;
  } catch {
    return `The gate answered ${status}.`;
  }
}

/** Has the browser fetch a file and keep it, by its own means. */
export function download(connection: string, path: string, transfer: string): void {
  const link = document.createElement("a");
  link.href = address("download", { connection, path, transfer });
  link.download = "";
  document.body.append(link);
  link.click();
  link.remove();
}

/** How much that is, for a person. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  const unit = bytes < 999_950 ? ["kB", 1e3] as const : bytes < 999_950_000 ? ["MB", 1e6] as const : ["GB", 1e9] as const;
  return `${(bytes / unit[1]).toFixed(1)} ${unit[0]}`;
}
