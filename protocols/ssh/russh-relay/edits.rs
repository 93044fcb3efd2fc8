//! The edits: what russh must tell a relay, and does not tell by itself.
//!
//! Each edit has an anchor that occurs exactly once in its file, so an upgrade that moves something
//! fails loudly. The edits give a server the certificate in an offered key, the verified signature,
//! the judgement of a certificate's validity and a word to a client whose certificate is refused;
//! both sides raw connection-layer packets; and an idle
//! connection less memory.

/// One edit of one file under russh's `src/`.
pub struct Edit {
    /// The file.
    pub file: &'static str,
    /// The text to find, once.
    pub anchor: &'static str,
    /// What stands there afterwards.
    pub replacement: &'static str,
}

const fn edit(file: &'static str, anchor: &'static str, replacement: &'static str) -> Edit {
    Edit { file, anchor, replacement }
}

/// All edits, in the order in which they are made.
pub const EDITS: &[Edit] = &[
    // The certificate of an offered key, so that plain keys can be refused before anything is signed.
    edit(
        "server/mod.rs",
        r"    pub algorithm: &'a ssh_key::Algorithm,
}

/// A public key whose ownership has been verified",
        r"    pub algorithm: &'a ssh_key::Algorithm,
    /// The certificate that the key came in, if it did; only its own signature was verified.
    pub certificate: Option<&'a Certificate>,
}

/// A public key whose ownership has been verified",
    ),
    edit(
        "server/encrypted.rs",
        r"                        let offer = PublicKeyOffer {
                            public_key: &pubkey,
                            algorithm: &algorithm,
                        };",
        r"                        let offer = PublicKeyOffer {
                            public_key: &pubkey,
                            algorithm: &algorithm,
                            certificate: match pk_or_cert {
                                PublicKeyOrCertificate::Certificate(ref cert) => Some(cert),
                                PublicKeyOrCertificate::PublicKey { .. } => None,
                            },
                        };",
    ),
    edit(
        "server/encrypted.rs",
        r"                    auth_user.push_str(user);
                    let offer = PublicKeyOffer {
                        public_key: &pubkey,
                        algorithm: &algorithm,
                    };",
        r"                    auth_user.push_str(user);
                    let offer = PublicKeyOffer {
                        public_key: &pubkey,
                        algorithm: &algorithm,
                        certificate: match pk_or_cert {
                            PublicKeyOrCertificate::Certificate(ref cert) => Some(cert),
                            PublicKeyOrCertificate::PublicKey { .. } => None,
                        },
                    };",
    ),
    // A certificate's validity is the handler's to judge, by its own clock, so that it can say why.
    edit(
        "server/encrypted.rs",
        r"                        let now = SystemTime::now();
                        if cert.valid_after_time().map(|t| now < t).unwrap_or_default()
                            || cert
                                .valid_before_time()
                                .map(|t| now > t)
                                .unwrap_or_default()
                        {
                            warn!(",
        r"                        if false {
                            warn!(",
    ),
    // The verified signature: of an sk key, its tail is the flags and the counter.
    edit(
        "server/mod.rs",
        r"    pub algorithm: &'a ssh_key::Algorithm,
}

/// Server handler.",
        r"    pub algorithm: &'a ssh_key::Algorithm,
    /// The verified signature.
    pub signature: &'a ssh_key::Signature,
}

/// Server handler.",
    ),
    edit(
        "server/mod.rs",
        r"        certificate: &Certificate,
    ) -> impl Future<Output = Result<Auth, Self::Error>> + Send {",
        r"        certificate: &Certificate,
        signature: &ssh_key::Signature,
    ) -> impl Future<Output = Result<Auth, Self::Error>> + Send {",
    ),
    edit(
        "server/encrypted.rs",
        r"                                        algorithm: &algorithm,
                                    };
                                    handler.auth_publickey(user, key)",
        r"                                        algorithm: &algorithm,
                                        signature: &sig,
                                    };
                                    handler.auth_publickey(user, key)",
    ),
    edit(
        "server/encrypted.rs",
        r"handler.auth_openssh_certificate(user, cert).await?",
        r"handler.auth_openssh_certificate(user, cert, &sig).await?",
    ),
    // A word to a client whose certificate is refused, so that "expired" need not be guessed.
    edit(
        "server/mod.rs",
        r"    /// Check authentication using an OpenSSH certificate. This method",
        r"    /// A banner for the client whose key or certificate was just refused.
    fn rejection_banner(&mut self) -> Option<String> {
        None
    }

    /// Check authentication using an OpenSSH certificate. This method",
    ),
    edit(
        "server/encrypted.rs",
        r#"                                auth_user.clear();
                                reject_auth_request(until, &mut self.write, auth_request).await?;
                            }
                        } else {
                            debug!("signature wrong");"#,
        r#"                                auth_user.clear();
                                if let Some(banner) = handler.rejection_banner() {
                                    push_packet!(self.write, {
                                        self.write.push(msg::USERAUTH_BANNER);
                                        map_err!(banner.encode(&mut self.write))?;
                                        map_err!("".encode(&mut self.write))?;
                                    });
                                }
                                reject_auth_request(until, &mut self.write, auth_request).await?;
                            }
                        } else {
                            debug!("signature wrong");"#,
    ),
    // Raw connection-layer packets, on the server's side.
    edit(
        "server/mod.rs",
        r"    /// Called when authentication succeeds for a session.
    #[allow(unused_variables)]
    fn auth_succeeded(",
        r"    /// A raw connection-layer packet (type >= 80) after authentication.
    /// `true`: consumed; `false`: russh handles it as usual.
    #[allow(unused_variables)]
    fn raw_packet(&mut self, packet: &[u8]) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        async { Ok(false) }
    }

    /// Called when authentication succeeds for a session.
    #[allow(unused_variables)]
    fn auth_succeeded(",
    ),
    edit(
        "server/encrypted.rs",
        r"                enc.state = EncryptedState::Authenticated;
                self.server_read_authenticated(handler, *msg, &mut r).await",
        r"                enc.state = EncryptedState::Authenticated;
                if *msg >= 80 && handler.raw_packet(buf).await? {
                    return Ok(());
                }
                self.server_read_authenticated(handler, *msg, &mut r).await",
    ),
    edit(
        "server/encrypted.rs",
        r"            (EncryptedState::Authenticated, Some((msg, mut r))) => {
                self.server_read_authenticated(",
        r"            (EncryptedState::Authenticated, Some((msg, mut r))) => {
                if *msg >= 80 && handler.raw_packet(buf).await? {
                    return Ok(());
                }
                self.server_read_authenticated(",
    ),
    edit(
        "server/session.rs",
        r"#[derive(Debug)]
pub enum Msg {
",
        r"#[derive(Debug)]
pub enum Msg {
    Raw(bytes::Bytes),
",
    ),
    edit(
        "server/session.rs",
        r"impl Handle {
    /// Send data to the session",
        r"impl Handle {
    /// Queue a raw connection-layer packet; `false` when the session is gone.
    pub fn send_raw(&self, packet: bytes::Bytes) -> bool {
        self.priority_sender.send(Msg::Raw(packet)).is_ok()
    }

    /// Send data to the session",
    ),
    edit(
        "server/session.rs",
        r"    fn dispatch_msg(&mut self, msg: Msg) -> Result<(), Error> {
        match msg {
",
        r"    fn dispatch_msg(&mut self, msg: Msg) -> Result<(), Error> {
        match msg {
            Msg::Raw(b) => {
                if let Some(ref mut enc) = self.common.encrypted {
                    push_packet!(enc.write, { enc.write.extend_from_slice(&b) });
                }
            }
",
    ),
    // The same, on the client's side.
    edit(
        "client/mod.rs",
        r"    type Error: From<crate::Error> + Send + core::fmt::Debug;

    /// Called when the server sends us an authentication banner.",
        r"    type Error: From<crate::Error> + Send + core::fmt::Debug;

    /// A raw connection-layer packet (type >= 80) after authentication.
    /// `true`: consumed; `false`: russh handles it as usual.
    #[allow(unused_variables)]
    fn raw_packet(&mut self, packet: &[u8]) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        async { Ok(false) }
    }

    /// Called when the server sends us an authentication banner.",
    ),
    edit(
        "client/encrypted.rs",
        r"        if is_authenticated {
            self.client_read_authenticated(client, buf).await",
        r"        if is_authenticated {
            if buf.first().is_some_and(|t| *t >= 80) && client.raw_packet(buf).await? {
                return Ok(());
            }
            self.client_read_authenticated(client, buf).await",
    ),
    edit(
        "client/mod.rs",
        r"pub enum Msg {
    Authenticate {",
        r"pub enum Msg {
    Raw(bytes::Bytes),
    Authenticate {",
    ),
    edit(
        "client/mod.rs",
        r"    fn handle_msg(&mut self, msg: Msg) -> Result<(), crate::Error> {
        match msg {
",
        r"    fn handle_msg(&mut self, msg: Msg) -> Result<(), crate::Error> {
        match msg {
            Msg::Raw(b) => {
                if let Some(ref mut enc) = self.common.encrypted {
                    push_packet!(enc.write, { enc.write.extend_from_slice(&b) });
                }
            }
",
    ),
    edit(
        "client/mod.rs",
        r"/// Handle to a session, used to send messages to a client outside of
/// the request/response cycle.
pub struct Handle<H: Handler> {
    sender: Sender<Msg>,
",
        r"/// Sends raw connection-layer packets to the server.
#[derive(Clone, Debug)]
pub struct RawSender(UnboundedSender<Msg>);
impl RawSender {
    /// Queue a packet; `false` when the session is gone.
    pub fn send(&self, packet: bytes::Bytes) -> bool {
        self.0.send(Msg::Raw(packet)).is_ok()
    }
}

/// Handle to a session, used to send messages to a client outside of
/// the request/response cycle.
pub struct Handle<H: Handler> {
    sender: Sender<Msg>,
    raw_sender: UnboundedSender<Msg>,
",
    ),
    edit(
        "client/mod.rs",
        r"impl<H: Handler> Handle<H> {
    pub fn is_closed(",
        r"impl<H: Handler> Handle<H> {
    /// A cloneable sender of raw connection-layer packets.
    pub fn raw_sender(&self) -> RawSender {
        RawSender(self.raw_sender.clone())
    }
    pub fn is_closed(",
    ),
    edit(
        "client/mod.rs",
        r"    let (kex_done_signal, kex_done_signal_rx) = oneshot::channel();",
        r"    let raw_sender = session.priority_sender.clone();
    let (kex_done_signal, kex_done_signal_rx) = oneshot::channel();",
    ),
    edit(
        "client/mod.rs",
        r"    Ok(Handle {
        sender: handle_sender,
",
        r"    Ok(Handle {
        sender: handle_sender,
        raw_sender,
",
    ),
    // The hash of the first key exchange, which names the connection.
    edit(
        "server/session.rs",
        r"    pub(crate) fn maybe_send_ext_info(",
        r"    /// The session identifier of RFC 4253; empty before the first key exchange.
    pub fn session_id(&self) -> &[u8] {
        self.common.encrypted.as_ref().map_or(&[], |encrypted| encrypted.session_id.as_ref())
    }

    pub(crate) fn maybe_send_ext_info(",
    ),
    // An idle connection is small: what is large and rare is boxed, so that the queues and the task that hold it are not.
    edit(
        "server/session.rs",
        r"match reply(&mut self, &mut handler, &mut pkt).await {",
        r"match Box::pin(reply(&mut self, &mut *handler, &mut pkt)).await {",
    ),
    edit(
        "client/mod.rs",
        r"reply(self, handler, kex_done_signal, &mut pkt).await?;",
        r"Box::pin(reply(self, handler, kex_done_signal, &mut pkt)).await?;",
    ),
    edit(
        "client/mod.rs",
        r"        user: String,
        method: auth::Method,
",
        r"        user: String,
        method: Box<auth::Method>,
",
    ),
    edit("client/mod.rs", r"method: auth::Method::None,", r"method: Box::new(auth::Method::None),"),
    edit(
        "client/mod.rs",
        r"method: auth::Method::PublicKey { key },",
        r"method: Box::new(auth::Method::PublicKey { key }),",
    ),
    edit(
        "client/mod.rs",
        r"method: auth::Method::OpenSshCertificate { key, cert },",
        r"method: Box::new(auth::Method::OpenSshCertificate { key, cert }),",
    ),
    edit(
        "client/mod.rs",
        r"method: auth::Method::FuturePublicKey { key, hash_alg },",
        r"method: Box::new(auth::Method::FuturePublicKey { key, hash_alg }),",
    ),
    edit(
        "client/mod.rs",
        r"method: auth::Method::GssapiWithMic { mechanism_oids },",
        r"method: Box::new(auth::Method::GssapiWithMic { mechanism_oids }),",
    ),
    edit(
        "client/mod.rs",
        r"method: auth::Method::FutureCertificate { cert, hash_alg },",
        r"method: Box::new(auth::Method::FutureCertificate { cert, hash_alg }),",
    ),
    edit(
        "client/mod.rs",
        r"method: auth::Method::Password {
                    password: password.into(),
                },",
        r"method: Box::new(auth::Method::Password {
                    password: password.into(),
                }),",
    ),
    edit(
        "client/mod.rs",
        r#"method: auth::Method::KeyboardInteractive {
                    submethods: submethods.into().unwrap_or_else(|| "".to_owned()),
                },"#,
        r#"method: Box::new(auth::Method::KeyboardInteractive {
                    submethods: submethods.into().unwrap_or_else(|| "".to_owned()),
                }),"#,
    ),
    edit(
        "client/mod.rs",
        r"    SignRequest {
        key: ssh_key::PublicKey,",
        r"    SignRequest {
        key: Box<ssh_key::PublicKey>,",
    ),
    edit(
        "client/mod.rs",
        r"    SignRequestCert {
        cert: Certificate,",
        r"    SignRequestCert {
        cert: Box<Certificate>,",
    ),
    edit(
        "client/mod.rs",
        r"signer.auth_sign(&key.into(), hash_alg, data)",
        r"signer.auth_sign(&(*key).into(), hash_alg, data)",
    ),
    edit(
        "client/mod.rs",
        r"signer.auth_sign(&cert.into(), hash_alg, data)",
        r"signer.auth_sign(&(*cert).into(), hash_alg, data)",
    ),
    edit(
        "client/encrypted.rs",
        r"                                            key: key.clone(),
                                            data: buf,",
        r"                                            key: Box::new(key.clone()),
                                            data: buf,",
    ),
    edit(
        "client/encrypted.rs",
        r"                                            cert: cert.clone(),
                                            hash_alg,
                                            data: buf,",
        r"                                            cert: Box::new(cert.clone()),
                                            hash_alg,
                                            data: buf,",
    ),
    edit(
        "client/mod.rs",
        r"self.write_auth_request_if_needed(&user, method)?;",
        r"self.write_auth_request_if_needed(&user, *method)?;",
    ),
    // Queues that hold a block of messages while nothing is in them hold one of pointers instead.
    edit(
        "server/mod.rs",
        r"    let (priority_sender, priority_receiver) = tokio::sync::mpsc::unbounded_channel();
    let (sender, receiver) = tokio::sync::mpsc::channel(config.event_buffer_size);",
        r"    let (priority_sender, priority_receiver) = crate::queue::unbounded_channel();
    let (sender, receiver) = crate::queue::channel(config.event_buffer_size);",
    ),
    edit(
        "server/session.rs",
        r"use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, UnboundedSender, channel};",
        r"use crate::queue::{Receiver, Sender, UnboundedReceiver, UnboundedSender, channel};",
    ),
    edit(
        "lib_inner.rs",
        r"    sender: tokio::sync::mpsc::UnboundedSender<M>,
    inner:",
        r"    sender: crate::queue::UnboundedSender<M>,
    inner:",
    ),
    edit(
        "lib_inner.rs",
        r"        sender: tokio::sync::mpsc::UnboundedSender<M>,
        pending:",
        r"        sender: crate::queue::UnboundedSender<M>,
        pending:",
    ),
    edit("channels/channel_ref.rs", r"use tokio::sync::mpsc::Sender;", r"use crate::queue::Sender;"),
    edit("channels/mod.rs", r"use tokio::sync::mpsc::{Receiver, Sender};", r"use crate::queue::{Receiver, Sender};"),
    edit(
        "channels/mod.rs",
        r"let (tx, rx) = tokio::sync::mpsc::channel(channel_buffer_size);",
        r"let (tx, rx) = crate::queue::channel(channel_buffer_size);",
    ),
    edit(
        "channels/io/tx.rs",
        r"use tokio::sync::mpsc::{self, OwnedPermit};",
        r"use crate::queue::{self as mpsc, OwnedPermit};",
    ),
    edit(
        "client/mod.rs",
        r"use tokio::sync::mpsc::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};
use tokio::sync::oneshot;

pub use",
        r"use crate::queue::{
    Receiver, Sender, UnboundedReceiver, UnboundedSender, channel, unbounded_channel,
};
use tokio::sync::oneshot;

pub use",
    ),
    // A future that takes what it keeps by value has room for it twice.
    edit(
        "server/session.rs",
        r"        mut self,
        mut stream: SshRead<R>,
        mut handler: H,",
        r"        mut self: Box<Self>,
        mut stream: SshRead<R>,
        mut handler: Box<H>,",
    ),
    edit(
        "server/mod.rs",
        r"russh_util::runtime::spawn(session.run(stream, handler));",
        r"russh_util::runtime::spawn(Box::pin(Box::new(session).run(stream, Box::new(handler))));",
    ),
    edit(
        "client/mod.rs",
        r"        mut self,
        stream: SshRead<R>,
        mut handler: H,",
        r"        mut self: Box<Self>,
        stream: SshRead<R>,
        mut handler: Box<H>,",
    ),
    edit(
        "client/mod.rs",
        r"                &mut handler,
                &mut kex_done_signal,",
        r"                &mut *handler,
                &mut kex_done_signal,",
    ),
    edit(
        "client/mod.rs",
        r"russh_util::runtime::spawn(session.run(stream, handler, Some(kex_done_signal)));",
        r"russh_util::runtime::spawn(Box::pin(
        Box::new(session).run(stream, Box::new(handler), Some(kex_done_signal)),
    ));",
    ),
    // What was said in a key exchange is of no use after it.
    edit("session.rs", r"enc.exchange = Some(newkeys.exchange);", r"enc.exchange = None;"),
    edit("session.rs", r"exchange: Some(newkeys.exchange),", r"exchange: None,"),
    // A buffer keeps no more than the next packet is likely to need.
    edit(
        "sshbuffer.rs",
        r"            self.write_buffer.buffer.clear();",
        r"            crate::room::empty(&mut self.write_buffer.buffer);",
    ),
    edit(
        "cipher/mod.rs",
        r"            buffer.buffer.clear();",
        r"            crate::room::empty(&mut buffer.buffer);",
    ),
    edit(
        "session.rs",
        r"            self.write.clear();
        }

        if self.kex.skip_exchange() {
            return Ok(false);",
        r"            crate::room::empty(&mut self.write);
        }

        if self.kex.skip_exchange() {
            return Ok(false);",
    ),
    edit(
        "client/encrypted.rs",
        r"                            self.common.auth_method = None;
                            self.sender
                                .send(Reply::AuthSuccess)",
        r"                            self.common.auth_method = None;
                            self.common.buffer = Vec::new();
                            self.sender
                                .send(Reply::AuthSuccess)",
    ),
];
