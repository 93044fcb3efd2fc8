// What a recording is about, found by reading it once: who, which terminals, how long, and where nothing happens.

import { words, type Facts, type Reel } from "./reel";

/** A pause is shown no longer than this, in milliseconds. */
const PAUSE = 2000;

export interface Channel {
  number: number;
  terminal: boolean;
  cols: number;
  rows: number;
  command: string;
}

export class Index {
  facts: Facts | null = null;
  channels: Channel[] = [];
  deeds = 0;
  /** Why it ended, in the gate's words. */
  reason = "";
  /** Where a pause ends, and how much is left out up to there. */
  private cuts: { at: number; out: number }[] = [];
  private last = 0;
  private known = 0;
  private reading: Promise<void> | null = null;

  /** Whether it has read this piece. */
  has(piece: number): boolean {
    return piece < this.known;
  }

  /** Reads on, as far as there is anything. Whoever asks meanwhile waits for the same. */
  read(reel: Reel, told: () => void = () => {}): Promise<void> {
    this.reading ??= this.readOn(reel, told).finally(() => (this.reading = null));
    return this.reading;
  }

  private async readOn(reel: Reel, told: () => void): Promise<void> {
    for (;;) {
      const frames = await reel.piece(this.known);
      if (!frames) return;
      this.known += 1;
      for (const { at, channel, kind, data } of frames) {
        if (at - this.last > PAUSE) this.cuts.push({ at, out: this.out(this.last) + at - this.last - PAUSE });
        this.last = Math.max(this.last, at);
        if (kind === "facts") this.facts = JSON.parse(words(data)) as Facts;
        else if (kind === "deed") this.deeds += 1;
        else if (kind === "end") this.reason = words(data);
        else if (kind === "terminal") Object.assign(this.channel(channel), { terminal: true, ...size(words(data)) });
        else if (kind === "runs") this.channel(channel).command = words(data);
        else if (kind === "output" || kind === "errors") this.channel(channel);
      }
      told();
    }
  }

  private channel(number: number): Channel {
    let found = this.channels.find((channel) => channel.number === number);
    // Somebody may have opened thousands: those that are shown are enough for a list.
    if (!found) {
      found = { number, terminal: false, cols: 80, rows: 24, command: "" };
      if (this.channels.length < 200) this.channels.push(found);
    }
    return found;
  }

  private out(at: number): number {
    let [low, high] = [0, this.cuts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.cuts[middle]?.at ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    return this.cuts[low - 1]?.out ?? 0;
  }

  /** When a moment of the session is shown, in seconds. */
  shown(at: number): number {
    return Math.max(0, at - this.out(at)) / 1000;
  }

  /** How long all of it is, as far as it is known. */
  get duration(): number {
    return this.shown(this.last);
  }
}

/** A terminal's size, as far as one fits a page: whoever was recorded said what they liked. */
export function size(said: string): { cols: number; rows: number } {
  const [, cols, rows] = /^(\d+)x(\d+)/.exec(said) ?? [];
  // A terminal that knows no size says 0.
  const within = (number: string | undefined, usual: number, least: number, most: number) =>
    Math.min(most, Math.max(least, Number(number) || usual));
  return { cols: within(cols, 80, 10, 500), rows: within(rows, 24, 2, 200) };
}
