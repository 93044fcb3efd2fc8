//! Login, enrolment and logout: how the client comes to its certificates and parts with them.

use tapgate_api::{
    Ceremony, EnrolBegin, EnrolChallenge, EnrolFinish, Enrolled, Find, LoginBegin, LoginCertificates, OtpLogin,
    PASSWORDLESS_USER, PasswordlessBegin, path,
};
use tapgate_model::{Clock as _, SystemClock, UnixTime, UserName};
use zeroize::{Zeroize as _, Zeroizing};

use crate::agent::client::AgentClient;
use crate::browser::Handover;
use crate::ceremony::{self, Checked, Deed, Wish};
use crate::error::{Act as _, Failure, Result};
use crate::files;
use crate::find::find;
use crate::gate_addr::{CaPin, GateAddr};
use crate::http::Http;
use crate::keys::{LoginFiles, LoginKeys, to_base64};
use crate::limits::BROWSER_WAIT;
use crate::profile::{Home, Profile};
use crate::solver::{Means, login_hint};
use crate::tls::Tls;

/// The gate that is meant, and the pin by which it is known: given now, or kept from before.
pub fn first_trust(home: &Home, gate: Option<&GateAddr>, pin: Option<CaPin>) -> Result<Profile> {
    let gate = match gate {
        Some(gate) => gate.clone(),
        None => home.current()?.ok_or_else(|| Failure::new("no gate is chosen").advise("pass --gate HOST:PORT"))?,
    };
    match (home.profile(&gate)?, pin) {
        // What was learnt of the CA of before says nothing of this one.
        (Some(profile), Some(pin)) if pin != profile.ca_pin => Ok(Profile { ca_pin: pin, first_pin: None, ..profile }),
        (Some(profile), _) => Ok(profile),
        (None, Some(pin)) => Ok(Profile::new(gate, pin)),
        (None, None) => Err(Failure::new(format!("{gate} is not known here, so it cannot be trusted yet"))
            .advise("pass --ca-pin sha256:…, as printed by tapctl status on the gate")),
    }
}

/// Whether this cluster takes one-time codes at login.
pub async fn takes_codes(profile: &Profile) -> Result<bool> {
    let find = find(&Http::new(Tls::anonymous(profile.gate.clone(), &profile.ca_pin))).await?;
    Ok(find.auth.second_factors.iter().any(|factor| factor == "otp"))
}

/// Logs in and keeps what comes of it.
pub async fn login(
    home: &Home,
    profile: Profile,
    user: UserName,
    password: Zeroizing<String>,
    means: &mut Means,
) -> Result<Profile> {
    let http = Http::new(Tls::anonymous(profile.gate.clone(), &profile.ca_pin));
    let find = find(&http).await?;
    let profile = profile.knowing(http.seen());
    let keys = LoginKeys::generate()?;
    let mut begin = LoginBegin {
        user: user.to_string(),
        password: password.as_str().to_owned(),
        tls_public_key: to_base64(&keys.tls_spki()),
        ssh_public_key: keys.ssh_line()?,
    };
    let ceremony: Result<Ceremony> = http.post(path::LOGIN_BEGIN, &begin).await;
    begin.password.zeroize();
    let deed = Deed::Login(keys.action()?);
    let wish = Wish { gate: profile.gate_name(), user: &user, deed, now: SystemClock.now() };
    let checked = Checked::new(ceremony?, &wish)?;
    if let Some(hint) = login_hint(&find.auth) {
        eprintln!("{hint}");
    }
    let origin = ceremony::origin(&profile.gate, &find.auth)?;
    let handover = Handover { http: &http, path: path::LOGIN_BROWSER, origin: &origin };
    let certificates: LoginCertificates = checked.finish(means, &handover, path::LOGIN_FINISH).await?;
    let profile = Profile { connector: None, ..profile };
    keep(home, profile, user, &find, &keys, certificates).await
}

/// Logs in by a key alone, which says whose it is and asks for its PIN or finger.
pub async fn login_passwordless(home: &Home, profile: Profile, means: &mut Means) -> Result<Profile> {
    let http = Http::new(Tls::anonymous(profile.gate.clone(), &profile.ca_pin));
    let find = find(&http).await?;
    let profile = profile.knowing(http.seen());
    let keys = LoginKeys::generate()?;
    let begin = PasswordlessBegin { tls_public_key: to_base64(&keys.tls_spki()), ssh_public_key: keys.ssh_line()? };
    let ceremony: Ceremony = http.post(path::LOGIN_PASSWORDLESS, &begin).await?;
    let nobody = PASSWORDLESS_USER.parse().act(|| "the login names nobody".to_owned())?;
    let deed = Deed::Login(keys.action()?);
    let wish = Wish { gate: profile.gate_name(), user: &nobody, deed, now: SystemClock.now() };
    let checked = Checked::new(ceremony, &wish)?;
    let origin = ceremony::origin(&profile.gate, &find.auth)?;
    let handover = Handover { http: &http, path: path::LOGIN_BROWSER, origin: &origin };
    let certificates: LoginCertificates = checked.finish(means, &handover, path::LOGIN_FINISH).await?;
    let user = certificates.user.parse().act(|| "the gate names nobody".to_owned())?;
    keep(home, profile, user, &find, &keys, certificates).await
}

/// Logs in with a one-time code in place of a tap.
pub async fn login_otp(
    home: &Home,
    profile: Profile,
    user: UserName,
    password: Zeroizing<String>,
    code: &str,
) -> Result<Profile> {
    let http = Http::new(Tls::anonymous(profile.gate.clone(), &profile.ca_pin));
    let find = find(&http).await?;
    let profile = profile.knowing(http.seen());
    let keys = LoginKeys::generate()?;
    let mut login = OtpLogin {
        user: user.to_string(),
        password: password.as_str().to_owned(),
        code: code.to_owned(),
        tls_public_key: to_base64(&keys.tls_spki()),
        ssh_public_key: keys.ssh_line()?,
    };
    let certificates: Result<LoginCertificates> = http.post(path::LOGIN_OTP, &login).await;
    login.password.zeroize();
    login.code.zeroize();
    let profile = Profile { connector: None, ..profile };
    keep(home, profile, user, &find, &keys, certificates?).await
}

pub(crate) async fn keep(
    home: &Home,
    mut profile: Profile,
    user: UserName,
    find: &Find,
    keys: &LoginKeys,
    certificates: LoginCertificates,
) -> Result<Profile> {
    accept(&profile, &user, keys, &certificates)?;
    let folder = home.make_keys(&profile.gate)?;
    let for_others = home.gate_ca(&profile.gate);
    if for_others.exists() {
        files::write_private(&for_others, certificates.host_ca.as_bytes())?;
    }
    keys.save(&LoginFiles::within(&folder), &certificates)?;
    profile.user = Some(user);
    profile.cluster = Some(find.cluster_name.clone());
    profile.roles = certificates.roles;
    profile.logins = certificates.logins;
    profile.expires = Some(UnixTime::from_secs(certificates.expires));
    home.save(&profile)?;
    // A window that another user's login has left must not outlive it.
    forget_windows(home).await?;
    Ok(profile)
}

/// Whether the certificates are ours, and their host CA is the one that is pinned.
fn accept(profile: &Profile, user: &UserName, keys: &LoginKeys, certificates: &LoginCertificates) -> Result<()> {
    if certificates.user != user.as_str() {
        return Err(Failure::new("the gate's certificates are for another user"));
    }
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificates.host_ca.as_bytes())
        .act(|| "the gate's host CA cannot be read".to_owned())?;
    let pin = tapgate_identity::gate_pin(&pem.contents.as_slice().into())
        .act(|| "the gate's host CA cannot be read".to_owned())?;
    if CaPin::from(pin) != profile.ca_pin {
        return Err(Failure::new("the gate names another host CA than the pinned one"));
    }
    keys.fit(certificates)
}

/// Spends an invite. The gate is remembered, so that a login needs no pin.
pub async fn enrol(
    home: &Home,
    mut profile: Profile,
    invite: &EnrolBegin,
    means: &mut Means,
) -> Result<(Profile, Enrolled)> {
    let http = Http::new(Tls::anonymous(profile.gate.clone(), &profile.ca_pin));
    let find = find(&http).await?;
    profile = profile.knowing(http.seen());
    let challenge: EnrolChallenge = http.post(path::ENROL_BEGIN, invite).await?;
    let origin = ceremony::origin(&profile.gate, &find.auth)?;
    let webauthn = match means {
        Means::Key(solver) => {
            eprintln!("Tap any security key");
            let made = solver.register(&origin, challenge.webauthn)?;
            eprintln!("Detected security key tap");
            made
        }
        Means::Browser(carry) => {
            let handover = Handover { http: &http, path: path::ENROL_BROWSER, origin: &origin };
            handover.register(*carry, &challenge.id, SystemClock.now().plus(BROWSER_WAIT)).await?
        }
    };
    let finish = EnrolFinish { id: challenge.id, webauthn };
    let enrolled: Enrolled = http.post(path::ENROL_FINISH, &finish).await?;
    profile.cluster = Some(find.cluster_name);
    home.save(&profile)?;
    Ok((profile, enrolled))
}

/// Forgets the login: windows, keys and certificates. The gate and its pin stay known.
pub async fn logout(home: &Home, mut profile: Profile) -> Result<()> {
    forget_windows(home).await?;
    files::remove_dir(&home.keys(&profile.gate))?;
    profile.expires = None;
    profile.roles = Vec::new();
    profile.logins = Vec::new();
    home.save(&profile)
}

/// Closes every window of this home.
pub async fn forget_windows(home: &Home) -> Result<()> {
    AgentClient::of(home)?.clear().await
}
