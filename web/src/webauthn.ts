// The browser's authenticator: JSON in, JSON out. Written by hand, because not every browser that can tap
// has the newer functions that translate JSON.

type Json = Record<string, unknown>;

const bytes = (text: unknown): Uint8Array<ArrayBuffer> => {
  const binary = atob(String(text).replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
};

const text = (buffer: ArrayBuffer | null): string | null => {
  if (!buffer) return null;
  let binary = "";
  for (const byte of new Uint8Array(buffer)) binary += String.fromCharCode(byte);
  return btoa(binary).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
};

/** Drops what is null: the library writes it, and browsers take it for a value. */
const present = (options: Json): Json =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null && value !== undefined));

const descriptors = (list: unknown): PublicKeyCredentialDescriptor[] =>
  ((list ?? []) as Json[]).map(
    (entry) => ({ ...present(entry), id: bytes(entry["id"]) }) as unknown as PublicKeyCredentialDescriptor,
  );

/**
 * What is asked for, without extensions: they are no part of what is signed, and a browser refuses a protection
 * level that does not fit its key's abilities where a security key just ignores it.
 */
const publicKey = (webauthn: unknown): Json => {
  const { extensions: _, ...options } = (webauthn as { publicKey: Json }).publicKey;
  return present(options);
};

/** Asks a registered key for a tap; with `mediation` beside a field, as the browser offers it. */
export async function get(webauthn: unknown, how: { signal?: AbortSignal; conditional?: boolean } = {}): Promise<Json> {
  const options = publicKey(webauthn);
  const request = {
    ...options,
    challenge: bytes(options["challenge"]),
    allowCredentials: descriptors(options["allowCredentials"]),
  } as unknown as PublicKeyCredentialRequestOptions;
  const credential = (await navigator.credentials.get({
    publicKey: request,
    ...(how.signal ? { signal: how.signal } : {}),
    ...(how.conditional ? { mediation: "conditional" as const } : {}),
  })) as PublicKeyCredential | null;
  if (!credential) throw new DOMException("no credential", "NotAllowedError");
  const response = credential.response as AuthenticatorAssertionResponse;
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    clientExtensionResults: {},
    response: {
      authenticatorData: text(response.authenticatorData),
      clientDataJSON: text(response.clientDataJSON),
      signature: text(response.signature),
      userHandle: text(response.userHandle),
    },
  };
}

/** Whether the browser can offer passkeys beside a field. */
export async function offersPasskeys(): Promise<boolean> {
  const known = globalThis.PublicKeyCredential?.isConditionalMediationAvailable;
  return (await known?.call(PublicKeyCredential)) ?? false;
}

/** Makes a new key. */
export async function create(webauthn: unknown): Promise<Json> {
  const options = publicKey(webauthn);
  const user = options["user"] as Json;
  const request = {
    ...options,
    challenge: bytes(options["challenge"]),
    user: { ...user, id: bytes(user["id"]) },
    excludeCredentials: descriptors(options["excludeCredentials"]),
  } as unknown as PublicKeyCredentialCreationOptions;
  const credential = (await navigator.credentials.create({ publicKey: request })) as PublicKeyCredential | null;
  if (!credential) throw new DOMException("no credential", "NotAllowedError");
  const response = credential.response as AuthenticatorAttestationResponse;
  return {
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    clientExtensionResults: {},
    response: {
      attestationObject: text(response.attestationObject),
      clientDataJSON: text(response.clientDataJSON),
      transports: response.getTransports?.() ?? null,
    },
  };
}

/** What a browser's refusal means to the person in front of it. */
export function words(error: unknown): string {
  if (!(error instanceof DOMException)) return error instanceof Error ? error.message : String(error);
  switch (error.name) {
    case "NotAllowedError":
      return "No key was tapped. Try again, and tap when the browser asks.";
    case "InvalidStateError":
      return "This key is registered already. Try another one.";
    case "AbortError":
      return "";
    case "SecurityError":
      return "The browser does not accept this page's name for security keys. Tell the gate's administrator.";
    default:
      return `The browser could not ask the key: ${error.message}`;
  }
}
