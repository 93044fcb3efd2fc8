// A VNC desktop, by noVNC. The gate has answered the desktop's authentication, so that none is left for the page.
import RFB from "@novnc/novnc";
import { reasonOf, type Screen, type Wanted } from "./screen";

export function open({ socket, box, clipboard, opened, ended, copied }: Wanted): Promise<Screen> {
  const line = new WebSocket(socket);
  const rfb = new RFB(box, line, { shared: true });
  // Only the gate's closing message says why.
  line.addEventListener("close", (event) => ended(reasonOf(event)));
  rfb.scaleViewport = true;
  rfb.resizeSession = true;
  rfb.background = "transparent";
  rfb.addEventListener("connect", opened);
  rfb.addEventListener("securityfailure", () => ended("The gate and this page do not understand each other."));
  if (clipboard) {
    rfb.addEventListener("clipboard", (event) => copied((event as CustomEvent<{ text: string }>).detail.text));
  }
  return Promise.resolve({
    end: () => rfb.disconnect(),
    focus: () => rfb.focus(),
    paste: (text) => clipboard && rfb.clipboardPasteFrom(text),
    ctrlAltDel: () => rfb.sendCtrlAltDel(),
  });
}
