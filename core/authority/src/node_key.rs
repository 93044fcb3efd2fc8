//! Private keys by which the gate logs in to nodes that trust no authority. What they hold is the SSH protocol's to say.

use tapgate_model::ObjectName;
use zeroize::Zeroizing;

use crate::limits::NODE_KEY_MAX;
use crate::{Authority, AuthorityError, key};

impl Authority {
    /// Stores a key under this name; `false` where there is one of this name already.
    pub fn put_node_key(&self, name: &ObjectName, text: &str) -> Result<bool, AuthorityError> {
        if text.len() > NODE_KEY_MAX {
            return Err(AuthorityError::internal(format_args!("a key has at most {NODE_KEY_MAX} bytes")));
        }
        let (key, now) = (key::node_key(name), self.now().as_secs());
        Ok(self.store.cas(&key, None, text.as_bytes(), None, now)?.is_some())
    }

    /// The key of this name.
    pub fn node_key(&self, name: &ObjectName) -> Result<Option<Zeroizing<String>>, AuthorityError> {
        let Some(entry) = self.store.get(&key::node_key(name), self.now().as_secs())? else { return Ok(None) };
        let bytes = Zeroizing::new(entry.value);
        let text = std::str::from_utf8(&bytes).map_err(AuthorityError::internal)?;
        Ok(Some(Zeroizing::new(text.to_owned())))
    }

    /// The names of all keys, in their order.
    pub fn node_keys(&self) -> Result<Vec<ObjectName>, AuthorityError> {
        let all = self.store.list(key::NODE_KEYS, self.now().as_secs())?;
        let mut names: Vec<ObjectName> =
            all.iter().filter_map(|(key, _)| key.strip_prefix(key::NODE_KEYS)?.parse().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Forgets the key of this name; `false` where there is none. Sessions that it opened go on.
    pub fn remove_node_key(&self, name: &ObjectName) -> Result<bool, AuthorityError> {
        Ok(self.store.delete(&key::node_key(name))?)
    }
}
