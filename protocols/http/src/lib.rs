//! HTTP and TCP applications behind the gate. `LIFECYCLE.md` tells what happens to a request.

mod coalesce;
mod codes;
mod conn;
mod cookie;
mod device;
mod door;
mod engine;
mod headers;
mod hosts;
mod jwt;
pub mod limits;
mod page;
mod peer;
mod serve;
mod session;
mod sessions;
mod tcp;
mod turns;

pub use codes::Place;
pub use door::{Errand, Offer};
pub use jwt::{BadKey, Signer};
pub use serve::{Http, HttpParts};
pub use session::Party;
pub use sessions::WebSessions;
pub use tcp::Tcp;
