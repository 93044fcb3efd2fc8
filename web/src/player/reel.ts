// Reads a recording piece by piece. A few pieces are kept, the others are asked for again: how long it is does not matter.

import { read } from "../api";

export type Kind = "facts" | "terminal" | "resize" | "runs" | "output" | "errors" | "skipped" | "exit" | "deed" | "end";

export interface Frame {
  /** Milliseconds since the session began. */
  at: number;
  channel: number;
  kind: Kind;
  data: Uint8Array;
}

export interface Facts {
  session: string;
  user: string;
  kind: string;
  target: string;
  login: string;
  protocol: string;
  started: number;
}

interface Answer {
  frames: { at: number; channel: number; kind: Kind; data: string }[];
  next: string | null;
  last: boolean;
}

interface Piece {
  frames: Frame[];
  size: number;
}

/** How many bytes of pieces are kept, beside the first one. */
const KEPT = 16 << 20;

const text = new TextDecoder();
export const words = (data: Uint8Array): string => text.decode(data);

function bytes(coded: string): Uint8Array {
  const binary = atob(coded.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

export class Reel {
  /** What leads to each piece that is known; the first needs nothing. */
  private tickets: (string | null)[] = [null];
  private kept = new Map<number, Piece>();
  private held = 0;
  /** Whether the session is over, and all of it is known. */
  ended = false;

  constructor(readonly session: string) {}

  /** A piece's frames; null where it is not written yet, or never will be. Pieces are read in order at first. */
  async piece(number: number): Promise<Frame[] | null> {
    const found = this.kept.get(number);
    if (found) {
      this.kept.delete(number);
      this.kept.set(number, found);
      return found.frames;
    }
    const ticket = this.tickets[number];
    if (ticket === undefined) return null;
    const query = ticket === null ? "" : `?at=${encodeURIComponent(ticket)}`;
    const answer = await read<Answer>(`/recordings/${encodeURIComponent(this.session)}${query}`);
    if (answer.next !== null) this.tickets[number + 1] = answer.next;
    if (answer.last) this.ended = true;
    if (answer.next === null && !answer.last) return null;
    const frames = answer.frames.map((frame) => ({ ...frame, data: bytes(frame.data) }));
    this.keep(number, { frames, size: frames.reduce((sum, frame) => sum + frame.data.length + 64, 0) });
    return frames;
  }

  private keep(number: number, piece: Piece) {
    this.kept.set(number, piece);
    this.held += piece.size;
    for (const [oldest, { size }] of this.kept) {
      if (this.held <= KEPT) return;
      // The first one stays: to ask for it is to begin anew, which is written down.
      if (oldest === 0 || oldest === number) continue;
      this.kept.delete(oldest);
      this.held -= size;
    }
  }

  /** All frames from the beginning, as far as there are any at present. */
  async *frames(from = 0): AsyncGenerator<Frame> {
    for (let number = from; ; number += 1) {
      const frames = await this.piece(number);
      if (!frames) return;
      yield* frames;
    }
  }
}

/** What moves a cursor, ends a line or turns the reading direction, spelled out. */
export function inert(said: string): string {
  // eslint-disable-next-line no-control-regex
  return said.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\u061c]/g, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\t") return "\\t";
    return `\\u{${character.charCodeAt(0).toString(16)}}`;
  });
}
