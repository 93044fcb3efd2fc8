// Signing in at an identity provider: one button for each that the gate knows.

import type { Auth } from "./api";

export interface SsoButton {
  href: string;
  label: string;
}

/** The buttons, in the order of discovery. The gate's own page there takes the browser to the provider. */
export function ssoButtons(auth: Auth, to = ""): SsoButton[] {
  const back = to ? `?to=${encodeURIComponent(to)}` : "";
  return (auth.connectors ?? []).map(({ name, display }) => ({
    href: `/web/sso/login/${encodeURIComponent(name)}${back}`,
    label: `Sign in with ${display || name}`,
  }));
}
