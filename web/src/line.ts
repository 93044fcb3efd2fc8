// A terminal's connection to the gate: bytes both ways, each no further ahead than the other side allows.

/** What the gate says beside the terminal's output. */
type News =
  | { say: "ready"; connection: string; typed_max: number }
  | { say: "tap" }
  | { say: "refused"; message: string }
  | { say: "open" }
  | { say: "took"; bytes: number }
  | { say: "moved"; transfer: string; bytes: number; done: boolean | null }
  | { say: "over"; message: string };

export interface Listener {
  ready(connection: string): void;
  tap(): void;
  refused(message: string): void;
  opened(): void;
  output(bytes: Uint8Array): void;
  moved(transfer: string, bytes: number, done: boolean | null): void;
  /** It is over: the gate says why, or the connection is lost. */
  over(message: string | null): void;
}

/** So much is acknowledged at once: far less than the gate sends ahead. */
const ACKNOWLEDGED = 64 * 1024;
/** So much of a paste goes into one message. */
const PART = 16 * 1024;

export class Line {
  private readonly socket: WebSocket;
  private waiting: Uint8Array<ArrayBuffer>[] = [];
  private room = 0;
  private unsaid = 0;
  private open = false;
  private over = false;

  constructor(private readonly listener: Listener) {
    this.socket = new WebSocket(`wss://${location.host}/web/api/terminal`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === "string") this.take(JSON.parse(data) as News);
      else this.listener.output(new Uint8Array(data));
    };
    this.socket.onclose = () => this.end(null);
  }

  /** Asks for the session, or once more after a tap. */
  ask(target: string, login: string, cols: number, rows: number): void {
    this.say({ do: "open", target, login, cols, rows });
  }

  size(cols: number, rows: number): void {
    this.say({ do: "size", cols, rows });
  }

  /** So much of the output is on the screen. */
  shown(bytes: number): void {
    this.unsaid += bytes;
    if (this.unsaid < ACKNOWLEDGED) return;
    this.say({ do: "shown", bytes: this.unsaid });
    this.unsaid = 0;
  }

  /** Sends what is typed or pasted, as the target takes it. */
  type(bytes: Uint8Array<ArrayBuffer>): void {
    if (!this.open) return;
    for (let at = 0; at < bytes.length; at += PART) this.waiting.push(bytes.subarray(at, at + PART));
    this.flush();
  }

  close(): void {
    this.over = true;
    this.socket.close();
  }

  private flush(): void {
    while (this.waiting[0] && this.waiting[0].length <= this.room) {
      const part = this.waiting.shift();
      if (!part) return;
      this.room -= part.length;
      this.socket.send(part);
    }
  }

  private take(news: News): void {
    switch (news.say) {
      case "ready":
        this.room = news.typed_max;
        return this.listener.ready(news.connection);
      case "tap":
        return this.listener.tap();
      case "refused":
        return this.listener.refused(news.message);
      case "open":
        this.open = true;
        return this.listener.opened();
      case "took":
        this.room += news.bytes;
        return this.flush();
      case "moved":
        return this.listener.moved(news.transfer, news.bytes, news.done);
      case "over":
        return this.end(news.message);
    }
  }

  private say(what: unknown): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(what));
  }

  private end(message: string | null): void {
    if (this.over) return;
    this.over = true;
    this.open = false;
    this.waiting = [];
    this.listener.over(message);
    this.socket.close();
  }
}
