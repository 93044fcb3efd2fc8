// What the two ways of showing a desktop have in common.

/** What is to be shown, where, and who is told. */
export interface Wanted {
  socket: string;
  box: HTMLElement;
  login: string;
  clipboard: boolean;
  opened(): void;
  /** The gate's reason, or none where the line was lost. */
  ended(why: string): void;
  /** A text was copied on the desktop. */
  copied(text: string): void;
}

/** A desktop that is shown. */
export interface Screen {
  end(): void;
  focus(): void;
  /** Puts a text into the desktop's clipboard. */
  paste(text: string): void;
  ctrlAltDel(): void;
}

/** Where a desktop's bytes come from: the gate, which knows the way. */
export const socketOf = (desktop: string, login: string, ticket: string) =>
  `wss://${location.host}/web/api/desktops/socket?${new URLSearchParams({ desktop, login, ticket })}`;

/** Why the gate has closed, if it was the gate: it has codes of its own for that. */
export const reasonOf = ({ code, reason }: CloseEvent) => (code === 4000 || code === 4403 ? reason : "");
