// Plays a recording in asciinema's player: what is shown comes from the gate as it is needed, never all of it at once.

import { size, type Channel, type Index } from "./index";
import { inert, words, type Frame, type Reel } from "./reel";

type Dispatch = (name: string, data?: unknown) => void;
type Where = number | string | { marker: number | "prev" | "next" };

/** How often a session that goes on is asked for more, in milliseconds. */
const LOOK = 1000;

/** How much is fed at once, so that the page stays alive while it goes far. */
const AT_ONCE = 200;

export class Driver {
  private dispatch: Dispatch = () => {};
  private piece = 0;
  private frame = 0;
  private text = new TextDecoder();
  private errors = new TextDecoder();
  /** Where it stands, in seconds, when it last stood still; and since when it runs. */
  private stood = 0;
  private since: number | null = null;
  private rate = 1;
  /** Grows with every command: what an older one still waits for does not count any more. */
  private turn = 0;

  constructor(
    private readonly reel: Reel,
    private readonly index: Index,
    private readonly channel: Channel,
    private readonly told: () => void = () => {},
  ) {}

  /** What the player calls to get a driver. */
  readonly factory = ({ dispatch }: { dispatch: Dispatch }) => {
    this.dispatch = dispatch;
    return {
      init: () => this.init(),
      play: () => this.play(),
      pause: () => this.pause(),
      seek: (where: Where) => this.seek(where),
      stop: () => void this.halt(),
      getTiming: () => this.timing(),
      getDuration: () => this.index.duration,
    };
  };

  get speed(): number {
    return this.rate;
  }

  set speed(rate: number) {
    this.stood = this.now();
    if (this.since !== null) this.since = performance.now();
    this.rate = rate;
    this.dispatch("timing", this.timing());
    // Whatever waits does so at the old speed.
    if (this.since !== null) void this.run(++this.turn);
  }

  now(): number {
    const gone = this.since === null ? 0 : ((performance.now() - this.since) / 1000) * this.rate;
    return Math.min(this.stood + gone, Math.max(this.stood, this.index.duration));
  }

  private timing() {
    const rate = this.since === null ? 0 : this.rate;
    return { time: this.now(), rate, sampledAt: performance.timeOrigin + performance.now() };
  }

  private init() {
    this.metadata();
    this.rewind();
    this.dispatch("timing", this.timing());
  }

  private metadata() {
    this.dispatch("metadata", { duration: this.index.duration, markers: [], hasAudio: false });
    this.told();
  }

  private rewind() {
    [this.piece, this.frame] = [0, 0];
    [this.text, this.errors] = [new TextDecoder(), new TextDecoder()];
    const { cols, rows } = this.channel;
    this.dispatch("reset", { size: { cols, rows }, init: "", theme: null });
  }

  private halt(): number {
    this.stood = this.now();
    this.since = null;
    return ++this.turn;
  }

  private async play(): Promise<boolean> {
    if (this.since !== null) return true;
    this.dispatch("play");
    if (this.reel.ended && this.stood >= this.index.duration) await this.seek(0);
    const turn = this.halt();
    this.since = performance.now();
    this.dispatch("playing");
    this.dispatch("timing", this.timing());
    void this.run(turn);
    return true;
  }

  private pause(): boolean {
    this.halt();
    this.dispatch("pause");
    this.dispatch("timing", this.timing());
    return true;
  }

  async seek(where: Where): Promise<boolean> {
    const [from, plays] = [this.now(), this.since !== null];
    const turn = this.halt();
    const target = Math.min(Math.max(this.target(where, from), 0), this.index.duration);
    if (target < from) this.rewind();
    this.stood = target;
    await this.feed(turn, target);
    if (turn !== this.turn) return true;
    this.dispatch("seeked");
    if (plays) this.since = performance.now();
    this.dispatch("timing", this.timing());
    if (plays) void this.run(turn);
    return true;
  }

  private target(where: Where, from: number): number {
    const all = this.index.duration;
    if (typeof where === "number") return where;
    if (typeof where !== "string") return where.marker === "next" ? all : 0;
    const steps: Record<string, number> = { "<<": -5, ">>": 5, "<<<": -0.1 * all, ">>>": 0.1 * all };
    const step = steps[where];
    return step === undefined ? ((parseFloat(where) || 0) / 100) * all : from + step;
  }

  /** The next frame that stands before the given moment; a number is how long it is until the next one. */
  private async next(until: number): Promise<Frame | number | null> {
    for (;;) {
      const frames = await this.reel.piece(this.piece);
      if (!frames) return null;
      // Of a piece that came just now the index knows no pauses yet, nor that the recording is longer.
      if (!this.index.has(this.piece)) {
        // One that can't be asked just now is asked with the next piece.
        await this.index.read(this.reel).catch(() => {});
        this.metadata();
      }
      const frame = frames[this.frame];
      if (!frame) {
        [this.piece, this.frame] = [this.piece + 1, 0];
        continue;
      }
      const wait = this.index.shown(frame.at) - until;
      if (wait > 0) return wait;
      this.frame += 1;
      return frame;
    }
  }

  /** Shows all up to a moment; answers how long it is until the next frame, or null at the end of what there is. */
  private async feed(turn: number, until: number): Promise<number | null> {
    let output: string[] = [];
    const flush = () => {
      if (output.length) this.dispatch("output", output);
      output = [];
    };
    for (;;) {
      const frame = await this.next(until);
      if (turn !== this.turn || frame === null || typeof frame === "number") {
        if (turn === this.turn) flush();
        return typeof frame === "number" ? frame : null;
      }
      if (frame.kind === "resize" && frame.channel === this.channel.number) {
        flush();
        this.dispatch("resize", size(words(frame.data)));
      } else {
        const said = this.said(frame);
        if (said) output.push(said);
      }
      if (output.length >= AT_ONCE) {
        flush();
        await new Promise((done) => setTimeout(done));
      }
    }
  }

  private async run(turn: number): Promise<void> {
    while (turn === this.turn) {
      const wait = await this.feed(turn, this.now());
      if (turn !== this.turn) return;
      if (wait !== null) {
        await new Promise((done) => setTimeout(done, Math.max(4, (wait / this.rate) * 1000)));
      } else if (this.reel.ended) {
        this.stood = this.index.duration;
        this.halt();
        this.dispatch("timing", this.timing());
        this.dispatch("ended");
        return;
      } else {
        // It goes on where it is: what comes is shown as it comes.
        [this.stood, this.since] = [this.index.duration, null];
        this.dispatch("timing", this.timing());
        await new Promise((done) => setTimeout(done, LOOK));
        await this.index.read(this.reel).catch(() => {});
        if (turn !== this.turn) return;
        this.metadata();
        this.since = performance.now();
        this.dispatch("timing", this.timing());
      }
    }
  }

  /** What a frame shows. Without a terminal a new line is one, and errors are red. */
  private said({ kind, channel, data }: Frame): string {
    if (channel !== this.channel.number && channel !== 0) return "";
    const { terminal } = this.channel;
    const note = (text: string) => `\r\n\x1b[2m-- ${inert(text)}\x1b[22m\r\n`;
    switch (kind) {
      case "output": {
        const text = this.text.decode(data, { stream: true });
        return terminal ? text : text.replace(/\r?\n/g, "\r\n");
      }
      case "errors":
        return `\x1b[31m${this.errors.decode(data, { stream: true }).replace(/\r?\n/g, "\r\n")}\x1b[39m`;
      case "runs":
        return terminal || !data.length ? "" : `\x1b[1m$ ${inert(words(data))}\x1b[22m\r\n`;
      case "skipped":
        return note(`${words(data)} bytes of output are not recorded`);
      case "end":
        return note(words(data));
      default:
        return "";
    }
  }
}
