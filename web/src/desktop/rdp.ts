// An RDP desktop, by IronRDP's web client over RDCleanPath. It says no name and no password: the gate does, to the desktop.
import "@devolutions/iron-remote-desktop";
import type { IronError, UserInteraction } from "@devolutions/iron-remote-desktop";
import { Backend, displayControl, enableCredssp, init } from "@devolutions/iron-remote-desktop-rdp";
import { reasonOf, type Screen, type Wanted } from "./screen";

type Element = HTMLElement & { module: typeof Backend };
type Ready = CustomEvent<{ irgUserInteraction: UserInteraction }>;

/** To fit into its box. */
const FIT = 1;

let heard: (event: CloseEvent) => void = () => {};

// The client makes its WebSocket itself, and only the gate's closing message says why a session ends.
class HeardSocket extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    this.addEventListener("close", (event) => heard(event));
  }
}

export async function open({ socket, box, login, clipboard, opened, ended }: Wanted): Promise<Screen> {
  await init("WARN");
  globalThis.WebSocket = HeardSocket;
  const element = document.createElement("iron-remote-desktop") as Element;
  element.module = Backend;
  element.setAttribute("scale", "fit");
  element.setAttribute("flexcenter", "true");
  const ready = new Promise<UserInteraction>((resolve) => {
    // It is said while the element is put in, and never again.
    element.addEventListener("ready", (event) => resolve((event as Ready).detail.irgUserInteraction));
  });
  box.append(element);
  const ui = await ready;
  const size = () => ({ width: box.clientWidth & ~3, height: box.clientHeight & ~3 });
  ui.setEnableClipboard(clipboard);
  ui.setVisibility(true);
  ui.setScale(FIT);
  const config = ui
    .configBuilder()
    .withUsername(login)
    .withPassword("")
    .withServerDomain("")
    .withDestination("desktop:3389")
    .withProxyAddress(socket)
    .withAuthToken("-")
    .withDesktopSize(size())
    .withExtension(enableCredssp(false))
    .withExtension(displayControl(true))
    .build();
  let why: string | null = null;
  const closed = new Promise<void>((resolve) => {
    heard = (event) => {
      why = reasonOf(event);
      resolve();
    };
  });
  let isOpen = false;
  // The client may notice the end before the socket has said why, or never.
  const over = async () => {
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 1000))]);
    ended(why || (isOpen ? "" : "The desktop could not be shown here."));
  };
  void closed.then(over);
  // What its own errors say is for whoever looks for the cause.
  const broken = (error: unknown) => {
    const told = error as Partial<IronError>;
    console.warn("IronRDP:", told.kind?.(), told.backtrace?.() ?? String(error));
    return over();
  };
  try {
    const session = await ui.connect(config);
    isOpen = true;
    opened();
    session.run().then(over, broken);
  } catch (error) {
    await broken(error);
  }
  // It is called once for the size that the desktop was asked for with.
  let asked = size();
  let later: ReturnType<typeof setTimeout> | undefined;
  const resized = new ResizeObserver(() => {
    clearTimeout(later);
    later = setTimeout(() => {
      const now = size();
      if (now.width === asked.width && now.height === asked.height) return;
      asked = now;
      ui.resize(now.width, now.height);
    }, 300);
  });
  resized.observe(box);
  return {
    end: () => {
      resized.disconnect();
      ui.shutdown();
    },
    focus: () => element.focus(),
    paste: () => {},
    ctrlAltDel: () => ui.ctrlAltDel(),
  };
}
