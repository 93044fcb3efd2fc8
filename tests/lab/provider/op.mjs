// A real OpenID Connect provider (npm oidc-provider) for the tests, with a form to sign in and a way to misbehave.
//
// Arguments: the folder that holds node_modules, and a JSON file with port, key, cert, client, secret and redirect.
// POST /lab {"…": …} changes how it behaves from then on; every switch is off at first.
import { createServer } from "node:https";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { generateKeyPairSync, randomUUID, createPrivateKey } from "node:crypto";

const [folder, settings] = process.argv.slice(2);
const from = (path) => import(pathToFileURL(`${folder}/node_modules/${path}`).href);
const { default: Provider, interactionPolicy } = await from("oidc-provider/lib/index.js");
const { SignJWT, decodeJwt } = await from("jose/dist/webapi/index.js");
const { port, key, cert, client, secret, redirect } = JSON.parse(readFileSync(settings, "utf8"));
const issuer = `https://localhost:${port}`;

const made = (kid) => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid, alg: "RS256", use: "sig" };
};
const own = made("own");
const stranger = made("stranger");

// What the tests may switch on. Honest: `acr` is what a sign-in achieves; `name`, `groups` and `login` are the account's
// claims; `error` ends the sign-in so. Dishonest: `claims` over those of the token, `drop` takes one away, `age` makes the sign-in that many seconds
// older, `stranger` signs with a key that is not in the set, under the name `kid` where there is one.
let mode = {};
const MFA = "urn:lab:mfa";

const policy = interactionPolicy.base();
const provider = new Provider(issuer, {
  clients: [
    {
      client_id: client,
      client_secret: secret,
      redirect_uris: [redirect],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  jwks: { keys: [own] },
  acrValues: [MFA, "urn:lab:pwd"],
  claims: { openid: ["sub", "acr", "auth_time"], profile: ["preferred_username", "groups", "logins"] },
  // Groups stand in the ID token, as most providers for organisations have it.
  conformIdTokenClaims: false,
  features: { devInteractions: { enabled: false }, claimsParameter: { enabled: true } },
  pkce: { required: () => true },
  interactions: { policy, url: (_, interaction) => `/sign-in/${interaction.uid}` },
  cookies: { keys: [randomUUID()] },
  ttl: { AccessToken: 300, AuthorizationCode: 60, IdToken: 300, Interaction: 600, Session: 600, Grant: 600 },
  async findAccount(_, id) {
    const groups = mode.groups ?? ["dev"];
    const claims = { sub: id, preferred_username: mode.name ?? id, groups, logins: [mode.login ?? id, "*"] };
    return { accountId: id, claims: async () => claims };
  },
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope("openid profile");
    grant.addOIDCClaims(["acr", "auth_time", "preferred_username", "groups", "logins"]);
    await grant.save();
    return grant;
  },
});

const body = async (req) => {
  let text = "";
  for await (const piece of req) text += piece;
  return text;
};

provider.use(async (ctx, next) => {
  if (ctx.path === "/lab" && ctx.method === "POST") {
    mode = JSON.parse(await body(ctx.req));
    ctx.body = {};
    return;
  }
  const signIn = /^\/sign-in\/([\w-]+)$/.exec(ctx.path);
  if (signIn && ctx.method === "GET") {
    ctx.type = "html";
    ctx.body = `<!doctype html><title>Sign in</title><h1>Lab sign-in</h1><form method="post">
      <input id="name" name="name" autofocus><button id="go">Sign in</button></form>`;
    return;
  }
  if (signIn) {
    const form = new URLSearchParams(await body(ctx.req));
    if (mode.error) {
      const error = { error: mode.error, error_description: "the lab said no" };
      await provider.interactionFinished(ctx.req, ctx.res, error, { mergeWithLastSubmission: false });
      ctx.respond = false;
      return;
    }
    const login = { accountId: form.get("name"), acr: mode.acr ?? MFA, amr: ["hwk", "mfa"] };
    await provider.interactionFinished(ctx.req, ctx.res, { login }, { mergeWithLastSubmission: false });
    ctx.respond = false;
    return;
  }
  await next();
  if (ctx.path === "/token" && ctx.body?.id_token && (mode.claims || mode.drop || mode.stranger || mode.age)) {
    const claims = { ...decodeJwt(ctx.body.id_token), ...mode.claims };
    if (mode.drop) delete claims[mode.drop];
    if (mode.age) claims.auth_time -= mode.age;
    const signer = mode.stranger ? stranger : own;
    const signing = createPrivateKey({ key: signer, format: "jwk" });
    const header = { alg: "RS256", kid: mode.kid ?? signer.kid, typ: "JWT" };
    ctx.body.id_token = await new SignJWT(claims).setProtectedHeader(header).sign(signing);
  }
});

createServer({ key: readFileSync(key), cert: readFileSync(cert) }, provider.callback()).listen(port, "127.0.0.1", () => {
  console.log(`provider ready at ${issuer}`);
});
