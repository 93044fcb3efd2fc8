// Signing in at an identity provider: one button for each that the gate knows.

import type { Auth } from "./api";

export interface SsoButton {
  name: string;
  label: string;
}

/** The buttons, in the order of discovery. */
export function ssoButtons(auth: Auth): SsoButton[] {
  return (auth.connectors ?? []).map(({ name, display }) => ({ name, label: `Sign in with ${display || name}` }));
}
