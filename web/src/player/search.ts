// Finds words in what a recording has shown: line by line, without escape sequences, from the first piece to the last.

import { words, type Frame, type Reel } from "./reel";

export interface Hit {
  at: number;
  excerpt: string;
}

/** How much of a line that does not end is looked at. */
const LINE = 4096;

/** How much of one is shown around what was found. */
const AROUND = 60;

// Control sequences, strings for the terminal itself (titles, links), and single commands.
// eslint-disable-next-line no-control-regex
const SEQUENCES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/g;
// eslint-disable-next-line no-control-regex
const UNFINISHED = /\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?$/;

/** The places where these words are shown, as they are found. */
export async function* search(reel: Reel, channel: number, wanted: string): AsyncGenerator<Hit> {
  const needle = wanted.toLowerCase();
  const decoder = new TextDecoder();
  let [line, rest, since] = ["", "", 0];
  const found = (): Hit[] => {
    const place = line.toLowerCase().indexOf(needle);
    if (place < 0) return [];
    const from = Math.max(0, place - AROUND);
    return [{ at: since, excerpt: line.slice(from, place + needle.length + AROUND).trim() }];
  };
  for await (const { at, kind, channel: of, data } of reel.frames()) {
    if (kind === "deed" && of === 0 && words(data).toLowerCase().includes(needle)) {
      yield { at, excerpt: statement(words(data)) };
    }
    if ((kind !== "output" && kind !== "errors") || of !== channel) continue;
    const said = rest + decoder.decode(data, { stream: true });
    rest = (UNFINISHED.exec(said)?.[0] ?? "").slice(0, LINE);
    const plain = said.slice(0, said.length - rest.length).replace(SEQUENCES, "");
    for (const part of plain.split(/(?<=[\r\n])/)) {
      if (!line) since = at;
      line += part;
      if (!/[\r\n]$/.test(part) && line.length < LINE) continue;
      yield* found();
      line = "";
    }
  }
  yield* found();
}

function statement(json: string): string {
  const deed = JSON.parse(json) as Record<string, unknown>;
  return String(deed["text"] ?? deed["command"] ?? deed["path"] ?? deed["event"]);
}

/** What was done, a row each, from a place on: at most so many that fit, and where to go on. */
export interface Deed {
  at: number;
  what: Record<string, unknown>;
}

/** The deeds of a recording one by one, those with these words alone. */
export async function* deeds(frames: AsyncGenerator<Frame>, wanted = ""): AsyncGenerator<Deed> {
  const needle = wanted.toLowerCase();
  for await (const { at, kind, data } of frames) {
    if (kind !== "deed") continue;
    const json = words(data);
    if (needle && !json.toLowerCase().includes(needle)) continue;
    yield { at, what: JSON.parse(json) as Record<string, unknown> };
  }
}
