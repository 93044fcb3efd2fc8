#!/usr/bin/env python3
"""Verifies a Tapgate audit log, independently of Tapgate: from docs/audit.md, with Python and `cryptography` alone.

    python3 tapgate_verify.py --log audit.jsonl --keys keys.json [--checkpoints FILE] [--expect-head RECORDS:HASH]

It prints what `tapctl audit verify --format json` prints, as far as both know it, and ends with 1 where it finds a fault.
"""

import argparse
import base64
import glob
import hashlib
import json
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

LAG = 30  # seconds between a session's check and its record
WINDOW = 300  # seconds for which one tap may open sessions
SKEW = 30
SPAN_MAX = 600
INVITE_MAX = 3600
KINDS = {"node", "db", "kube_cluster", "app", "windows_desktop"}
PURPOSES = ["session", "login", "admin", "add-device", "statement"]


class Wrong(Exception):
    """Something does not hold, and why."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def unb64(text):
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64(raw) != text:
        raise Wrong("not base64url in its one form")
    return raw


def b64(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unhex(text):
    return bytes.fromhex(text)


# --- DER, as much of it as statements and proofs take


def tlv(data, at):
    """A tag, its content and where the next one begins; definite lengths in their shortest form only."""
    tag, length, at = data[at], data[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        raw = data[at : at + count]
        length, at = int.from_bytes(raw, "big"), at + count
        if not 1 <= count <= 4 or raw[0] == 0 or length < 128:
            raise Wrong("a length that is not DER")
    if at + length > len(data):
        raise Wrong("DER that is cut short")
    return tag, data[at : at + length], at + length


def members(content):
    found, at = [], 0
    while at < len(content):
        tag, value, at = tlv(content, at)
        found.append((tag, value))
    return found


def sequence(data):
    tag, content, end = tlv(data, 0)
    if tag != 0x30 or end != len(data):
        raise Wrong("not one DER sequence")
    return members(content)


def encode(tag, content):
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    raw = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(raw)]) + raw + content


def encode_int(number):
    return encode(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def encode_seq(*parts):
    return encode(0x30, b"".join(parts))


def number(value):
    return int.from_bytes(value, "big", signed=True)


def address(raw):
    return ".".join(map(str, raw)) if len(raw) == 4 else raw.hex()


def parse_statement(der):
    fields = sequence(der)
    out = {"source": None, "action": None}
    order = iter(fields)

    def take(tag):
        found, value = next(order)
        if found != tag:
            raise Wrong(f"a statement with tag {found:#x} where {tag:#x} is due")
        return value

    if number(take(2)) != 1:
        raise Wrong("a statement of another version")
    out["gate"] = take(4)
    out["purpose"] = PURPOSES[number(take(10))]
    out["user"] = take(12).decode()
    out["once"] = number(take(10)) == 0
    tag, value = next(order)
    if tag == 0x80:
        out["source"] = address(value)
        tag, value = next(order)
    if tag == 0x81:
        out["action"] = value
        tag, value = next(order)
    if tag != 0x30:
        raise Wrong("a statement without targets")
    out["targets"] = [parse_target(content) for kind, content in members(value) if kind == 0x30]
    out["created"], out["expires"] = number(take(2)), number(take(2))
    if next(order, None) is not None:
        raise Wrong("a statement with more than its schema")
    return out


def parse_target(content):
    (_, uid), (_, kind), (_, name), (tag, login), (holder, held) = members(content)
    if kind.decode() not in KINDS:
        raise Wrong("a target of no kind")
    return {"uid": uid, "kind": kind.decode(), "name": name.decode(), "login": login_text(tag, login),
            "holder": (holder & 0x1F, held)}


def login_text(tag, value):
    """A login as records write it."""
    choice = tag & 0x1F
    if choice in (0, 4):
        return value.decode()
    if choice == 3:
        return "-"
    parts = [value for _, value in members(value)]
    user = parts[0].decode()
    if choice == 1:
        return f"{user}/{parts[1].decode()}" if len(parts) > 1 else user
    return f"{user}[{','.join(group.decode() for _, group in members(parts[1]))}]"


def same_login(recorded, login):
    """Records cut what is longer than a kibibyte."""
    return recorded == login or (recorded.endswith("…") and login.startswith(recorded[:-1]))


def parse_proof(der):
    fields = sequence(der)
    if [tag for tag, _ in fields] != [2, 4, 4, 4, 4, 4, 4] or number(fields[0][1]) != 1:
        raise Wrong("not a proof of this version")
    names = ["random", "statement", "credential", "authenticator", "client", "signature"]
    proof = dict(zip(names, (value for _, value in fields[1:])))
    proof["der"] = der
    proof["sso"] = not proof["authenticator"]
    proof["parts"] = parse_statement(proof["statement"])
    return proof


# --- keys


def signed(key, message, signature):
    name, _, text = key.partition(":")
    raw = unb64(text)
    try:
        if name == "es256":
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
            public.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        elif name in ("eddsa", "ed25519"):
            ed25519.Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
        elif name == "rs256":
            (_, modulus), (_, exponent) = sequence(raw)
            public = rsa.RSAPublicNumbers(number(exponent), number(modulus)).public_key()
            public.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        else:
            raise Wrong(f"an algorithm that is not known: {name}")
    except InvalidSignature:
        return False
    return True


def registration_digest(reg):
    user = encode(12, reg["user"].encode())
    credential, key = encode(4, unb64(reg["credential_id"])), encode(12, reg["key"].encode())
    traits = reg.get("traits") or {}
    if not traits.get("passwordless") and not traits.get("attested"):
        return sha256(b"tapgate/registration/v1", encode_seq(user, credential, key))
    parts = [encode(1, b"\xff" if traits.get("passwordless") else b"\x00")]
    if traits.get("attested"):
        by = traits["attested"]
        parts.append(encode_seq(encode(4, unb64(by["aaguid"])), encode(4, unhex(by["ca_sha256"]))))
    return sha256(b"tapgate/registration/v2", encode_seq(user, credential, key, encode_seq(*parts)))


def invite_digest(invite):
    return sha256(b"tapgate/invite/v1", encode_seq(
        encode(12, invite["user"].encode()), encode(4, unhex(invite["token_sha256"])),
        encode(4, unhex(invite["request_sha256"])), encode_int(invite["created"]), encode_int(invite["expires"])))


class Keys:
    def __init__(self, text):
        self.all = json.loads(text)
        if self.all["version"] != 1:
            raise Wrong("keys of another format")
        self.gate = unhex(self.all["gate"])
        self.party = self.all["relying_party"]
        self.devices = {}
        for device in self.all["devices"]:
            reg = device["registration"]
            self.devices[(reg["user"], unb64(reg["credential_id"]))] = device
        self.counting = set()
        self.chain()

    def chain(self):
        """Which registrations lead, tap by tap, to a pin."""
        pins = {unhex(pin) for pin in self.all["pins"]}
        waiting = sorted(self.devices, key=lambda place: self.devices[place]["registration"]["created"])
        invites, grown = set(), True
        while grown:
            grown = False
            for place in waiting:
                if place in self.counting:
                    continue
                reg = self.devices[place]["registration"]
                digest = registration_digest(reg)
                try:
                    if digest not in pins:
                        self.vouched(reg, digest, invites)
                except (Wrong, KeyError):
                    continue
                self.counting.add(place)
                grown = True

    def vouched(self, reg, digest, invites):
        link = reg["link"]
        if link == "pinned":
            raise Wrong("no pin")
        if "device" in link:
            return self.link(link["device"]["proof"], reg["user"], "add-device", digest, reg["created"])
        invite, admin = link["invite"]["invite"], link["invite"]["admin"]
        action = invite_digest(invite)
        if action in invites or invite["user"] != reg["user"]:
            raise Wrong("an invite for another")
        if not 0 < invite["expires"] - invite["created"] <= INVITE_MAX:
            raise Wrong("an invite of no usual span")
        if not invite["created"] - SKEW <= reg["created"] <= invite["expires"]:
            raise Wrong("an invite that was over")
        self.link(link["invite"]["proof"], admin, "admin", action, invite["created"])
        invites.add(action)

    def link(self, proof, user, purpose, action, at):
        """The proof in a link; there its parts stand in JSON."""
        names = {"statement": "statement", "credential": "credential_id", "authenticator": "authenticator_data",
                 "client": "client_data_json", "signature": "signature", "random": "random"}
        proof = {short: unb64(proof[long]) for short, long in names.items()}
        proof["parts"] = parse_statement(proof["statement"])
        place = (user, proof["credential"])
        if place not in self.counting:
            raise Wrong("nobody who counts vouches for it")
        verify_tap(proof, self.devices[place]["registration"]["key"], self, user, purpose, at)
        if proof["parts"]["action"] != action:
            raise Wrong("vouched for another action")


# --- taps


def check_statement(parts, keys, user, purpose, at):
    if parts["gate"] != keys.gate:
        raise Wrong("a tap for another gate")
    if parts["purpose"] != purpose:
        raise Wrong("a tap for another purpose")
    if parts["user"] != user:
        raise Wrong("another user's tap")
    if not 0 <= parts["expires"] - parts["created"] <= SPAN_MAX:
        raise Wrong("a statement of no usual span")
    if at < parts["created"] - SKEW or at > parts["expires"]:
        raise Wrong("a tap of another time")


def challenge_of(proof):
    return b64(sha256(b"tapgate/tap/v1", proof["random"], sha256(proof["statement"])))


def verify_tap(proof, key, keys, user, purpose, at):
    data = proof["authenticator"]
    if data[:32] != sha256(keys.party["id"].encode()) or not data[32] & 1:
        raise Wrong("another relying party, or nobody was there")
    client = json.loads(proof["client"])
    if client["type"] != "webauthn.get" or client["challenge"] != challenge_of(proof):
        raise Wrong("the tap does not sign this statement")
    if client["origin"] not in keys.party["origins"] or client.get("crossOrigin") or "topOrigin" in client:
        raise Wrong("another origin")
    check_statement(proof["parts"], keys, user, purpose, at)
    if not signed(key, data + sha256(proof["client"]), proof["signature"]):
        raise Wrong("not signed by the registered key")


def account_digest(account):
    return sha256(b"tapgate/sso/v1", encode_seq(
        encode(12, account["issuer"].encode()), encode(12, account["subject"].encode())))


def verify_sso(proof, keys, owner, user, purpose, at):
    header, claims = (json.loads(unb64(part)) for part in proof["client"].decode().split("."))
    # Who signs in is told by the account alone; everything else must be by the user's own.
    accounts = [a for a in keys.all["accounts"]
                if (a["user"] == owner or purpose == "login") and a["issuer"] == claims["iss"]]
    if not any(account_digest(account) == proof["credential"] and account["subject"] == claims["sub"]
               for account in accounts):
        raise Wrong("another account signed in")
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    wanted = "login_classes" if purpose == "login" else "classes"
    for connector in keys.all["connectors"]:
        others = [one for one in audience if one != connector["audience"]]
        party = claims.get("azp")
        if (connector["issuer"] == claims["iss"] and connector["audience"] in audience
                and (party == connector["audience"] or (party is None and not others))
                and (not connector[wanted] or claims.get("acr") in connector[wanted])):
            break
    else:
        raise Wrong("the token is not one that the connector demands")
    if claims.get("nonce") != challenge_of(proof):
        raise Wrong("the token does not sign this statement")
    parts = proof["parts"]
    check_statement(parts, keys, user, purpose, at)
    issued, since = int(claims["iat"]), int(claims["auth_time"])
    if not parts["created"] - 30 <= issued <= parts["expires"] + 30 or int(claims["exp"]) <= issued:
        raise Wrong("a token of another time")
    if not parts["created"] - 5 <= since <= issued + 30:
        raise Wrong("a sign-in of another time")
    names = {"ES256": "es256", "EdDSA": "eddsa", "RS256": "rs256"}
    for known in keys.all["provider_keys"]:
        key = known["key"]
        if (known["issuer"] == claims["iss"] and key["key"].split(":")[0] == names.get(header["alg"])
                and header.get("kid") in (None, key["id"]) and issued <= key["last_seen"] + 600
                and signed(key["key"], proof["client"], proof["signature"])):
            return
    raise Wrong("not signed by a key that the provider had")


class Prover:
    def __init__(self, keys):
        self.keys, self.spent = keys, set()

    def tap(self, tap, user, purpose, at):
        der = unb64(tap["proof"])
        proof = parse_proof(der)
        if sha256(der).hex() != tap["proof_id"] or unb64(tap["statement"]) != proof["statement"]:
            raise Wrong("the record is not its proof's")
        if unb64(tap["credential_id"]) != proof["credential"]:
            raise Wrong("the record's credential is not its proof's")
        if tap["method"] != ("sso" if proof["sso"] else "webauthn"):
            raise Wrong("the record's method is not its proof's")
        parts = proof["parts"]
        purpose = purpose or parts["purpose"]
        signer = parts["user"] if parts["purpose"] == "login" else user
        moment = min(at, parts["expires"]) if at - parts["expires"] <= LAG else at
        if proof["sso"]:
            verify_sso(proof, self.keys, user, signer, purpose, moment)
            return proof
        device = self.keys.devices.get((user, proof["credential"]))
        if device is None:
            raise Wrong("no exported key made the tap")
        if (user, proof["credential"]) not in self.keys.counting:
            raise Wrong("the key leads to no pinned administrator")
        if not any(life["from"] <= at + LAG and (life["until"] is None or at <= life["until"] + LAG)
                   for life in device["lives"]):
            raise Wrong("the key did not count then")
        verify_tap(proof, device["registration"]["key"], self.keys, signer, purpose, moment)
        return proof

    def session(self, record):
        proof = self.tap(record["tap"], record["user"], "session", record["time"])
        parts = proof["parts"]
        for target in parts["targets"]:
            if target["uid"].hex() != record["uid"] or target["kind"] != record["kind"]:
                continue
            if same_login(record["login"], target["login"]):
                break
        else:
            raise Wrong("the tap was made for another target or login")
        if target["name"] != record["target"]:
            raise Wrong("the tap was made for another target's name")
        choice, held = target["holder"]
        # A connection's holder names its web session first.
        session = held if choice == 3 else members(held)[0][1] if choice == 5 else None
        if session is not None and session.hex() != record["credential"]:
            raise Wrong("the tap was made for another web session")
        if parts["source"] is not None and "." in parts["source"] and parts["source"] != record["peer"].rsplit(":", 1)[0]:
            raise Wrong("the tap was made for another address")
        if record["time"] > parts["created"] + WINDOW + LAG:
            raise Wrong("the tap's window was over")
        if parts["once"]:
            if proof["der"] in self.spent:
                raise Wrong("the tap was good for one session")
            self.spent.add(proof["der"])
        return "sso" if proof["sso"] else "webauthn"


# --- the log


class Tree:
    """RFC 9162, section 2.1; only the roots of whole subtrees are kept, the largest first."""

    def __init__(self, size=0, peaks=()):
        self.size, self.peaks = size, list(peaks)

    def push(self, record):
        node, size = sha256(b"\x00", record), self.size
        while size & 1:
            node, size = sha256(b"\x01", self.peaks.pop(), node), size >> 1
        self.peaks.append(node)
        self.size += 1

    def root(self):
        if not self.peaks:
            return sha256()
        node = self.peaks[-1]
        for left in reversed(self.peaks[:-1]):
            node = sha256(b"\x01", left, node)
        return node


class Audit:
    def __init__(self, keys, checkpoints, expected):
        self.keys, self.prover = keys, Prover(keys)
        self.findings, self.tree, self.due, self.head = [], Tree(), 0, bytes(32)
        self.begun, self.signed, self.place = False, 0, ("the checkpoints", 0)
        self.expected = expected
        self.count = dict.fromkeys(["records", "sessions", "required", "webauthn", "sso", "missing", "altered",
                                    "other_taps", "checkpoints"], 0)
        self.points = {}
        log_keys = {sha256(unb64(key.split(":")[1])).hex(): key for key in keys.all["log_keys"]}
        for line, text in enumerate(checkpoints.split("\n")[:-1], 1):
            self.place = (self.place[0], line)
            try:
                point = json.loads(text)
                message = (b"tapgate/checkpoint/v1" + point["records"].to_bytes(8, "big") + unhex(point["root"])
                           + unhex(point["head"]) + point["time"].to_bytes(8, "big"))
                if not signed(log_keys[point["key"]], message, unb64(point["signature"])):
                    raise Wrong("not signed")
                self.points.setdefault(point["records"], []).append(point)
            except (Wrong, KeyError, ValueError):
                self.found("checkpoint", "this is no checkpoint of the gate's")

    def found(self, fault, what):
        self.findings.append({"file": self.place[0], "line": self.place[1], "fault": fault, "what": what})

    def line(self, raw):
        match = re.fullmatch(rb'(.*),"hash":"([0-9a-f]{64})"\}', raw, re.S)
        try:
            record = json.loads(raw)
            before, named = unhex(record["previous"]), unhex(record["hash"])
            if not match or unhex(match.group(2).decode()) != named:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            return self.found("altered", "this is not a record")
        if not self.begun:
            self.begin(record["seq"], before)
        if sha256(b"tapgate/audit/v1", before, match.group(1), b"}") != named:
            self.found("altered", "the record does not match its hash")
        if record["seq"] > self.due:
            self.found("removed", f"record {self.due} is not here")
            self.tree = None
        elif record["seq"] < self.due:
            self.found("added", "the record stands elsewhere")
            self.tree = None
        elif before != self.head:
            self.found("altered", "the record does not follow the one before it")
        self.head = named
        if self.tree and self.tree.size == record["seq"]:
            self.tree.push(named)
        self.due = record["seq"] + 1
        self.met()
        self.record(record)

    def begin(self, seq, before):
        self.begun = True
        for point in self.points.get(seq, []):
            tree = Tree(seq, map(unhex, point["peaks"]))
            if seq and unhex(point["head"]) == before and tree.root() == unhex(point["root"]):
                self.tree, self.due, self.head, self.signed = tree, seq, before, seq
                self.points = {size: points for size, points in self.points.items() if size > seq}
                return

    def met(self):
        for size, head in [wanted for wanted in self.expected if wanted[0] == self.due]:
            self.expected.remove((size, head))
            if head != self.head:
                self.found("altered", "another head than was witnessed")
        if self.tree and self.tree.size == self.due:
            for point in self.points.pop(self.due, []):
                if unhex(point["root"]) == self.tree.root() and unhex(point["head"]) == self.head:
                    self.signed = self.due
                    self.count["checkpoints"] += 1
                else:
                    self.found("altered", "not the records that were signed")

    def record(self, record):
        self.count["records"] += 1
        name = record["event"]
        try:
            if name == "session.start":
                return self.session(record)
            tap = record.get("proof")
            user = record.get("by") if name == "auth.invite" else record.get("user")
            if tap and user and name in ("mfa.succeeded", "auth.device", "admin.changed", "auth.invite"):
                proof = self.prover.tap(tap, user, None, record["time"])
                action = record.get("action")
                if action is not None and unhex(action) != proof["parts"]["action"]:
                    raise Wrong("the tap was made for another action")
                self.count["other_taps"] += 1
        except (Wrong, ValueError, KeyError, IndexError, TypeError) as why:
            self.found("unproven", str(why))

    def session(self, record):
        self.count["sessions"] += 1
        tap = record.get("tap")
        required = record.get("mfa_required", tap is not None)
        self.count["required"] += required
        if tap is None:
            if required:
                self.count["missing"] += 1
                self.found("missing", "a tap was due, and none is recorded")
            return
        try:
            method = self.prover.session(record)
        except (Wrong, ValueError, KeyError, IndexError, TypeError):
            self.count["altered"] += required
            raise
        self.count[method] += required

    def end(self):
        most = max([size for size in self.points] + [size for size, _ in self.expected], default=0)
        if most > self.due:
            self.found("truncated", f"the log has {self.due} records, and {most} were signed or witnessed")
        elif self.points:
            self.found("checkpoint", "the log cannot be compared with its checkpoints")
        faults = {finding["fault"] for finding in self.findings}
        return {**self.count, "log_records": self.due, "head": self.head.hex() if self.due else None,
                "unsigned": self.due - self.signed, "chain_intact": not faults - {"missing", "unproven"},
                "faults": len(self.findings), "findings": self.findings[:100]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", required=True)
    parser.add_argument("--keys", required=True)
    parser.add_argument("--checkpoints")
    parser.add_argument("--expect-head", action="append", default=[], metavar="RECORDS:HASH")
    wish = parser.parse_args()
    with open(wish.keys, encoding="utf-8") as file:
        keys = Keys(file.read())
    try:
        with open(wish.checkpoints or wish.log + ".checkpoints", encoding="utf-8") as file:
            checkpoints = file.read()
    except FileNotFoundError:
        checkpoints = ""
    expected = [(int(size), unhex(head)) for size, head in (text.split(":") for text in wish.expect_head)]
    audit = Audit(keys, checkpoints, expected)
    older = [path for path in glob.glob(glob.escape(wish.log) + ".*") if re.fullmatch(r"\d{12}", path.rsplit(".", 1)[1])]
    for path in sorted(older) + [wish.log]:
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
        for number_, raw in enumerate(lines[:-1], 1):
            audit.place = (path, number_)
            audit.line(raw)
    found = audit.end()
    print(json.dumps(found, indent=2))
    return 1 if found["faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
