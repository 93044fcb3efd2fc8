// Times and counts as people read them.

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export const time = (seconds: number) => clock.format(seconds * 1000);
export const date = (seconds: number) => day.format(seconds * 1000);

/** How long something has been going on. */
export function since(seconds: number, now: number): string {
  const passed = Math.max(0, Math.floor(now - seconds));
  if (passed < 60) return "just now";
  if (passed < 3600) return ago.format(-Math.floor(passed / 60), "minute");
  return ago.format(-Math.floor(passed / 3600), "hour");
}

/** `4:09` */
export const countdown = (left: number) => `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
