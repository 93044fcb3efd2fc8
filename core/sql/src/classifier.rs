//! What the protocols ask: a memory of the texts that were read, and the way to the threads that read.

use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::classified::Classified;
use crate::dialect::Dialect;
use crate::limits::{CACHE_ENTRY_WEIGHT, CACHE_WEIGHT_MAX, CACHED_TEXT_MAX, CLASSIFY_TIMEOUT, TEXT_MAX};
use crate::threads::{self, Job};

/// By the text itself, not by a hash of it: nobody can make two texts that are taken for each other.
type Texts = Cache<Arc<str>, Arc<Classified>>;

/// Tells what texts do. One for the whole gate; clones share everything. Its threads end with the last clone.
#[derive(Clone)]
pub struct Classifier {
    texts: Memory,
    queue: mpsc::Sender<Job>,
}

impl std::fmt::Debug for Classifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Classifier").finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Memory {
    postgres: Texts,
    mysql: Texts,
}

impl Memory {
    fn of(&self, dialect: Dialect) -> &Texts {
        match dialect {
            Dialect::PostgreSql => &self.postgres,
            Dialect::MySql => &self.mysql,
        }
    }

    fn read(&self, job: &Job) -> Arc<Classified> {
        let Job { dialect, text, .. } = job;
        // The same text may have waited twice.
        if let Some(known) = self.of(*dialect).get(&**text) {
            return known;
        }
        let found = Arc::new(Classified::read(*dialect, text));
        if text.len() <= CACHED_TEXT_MAX {
            self.of(*dialect).insert(Arc::clone(text), Arc::clone(&found));
        }
        found
    }
}

impl Default for Classifier {
    fn default() -> Self {
        Self::new()
    }
}

impl Classifier {
    /// Starts the threads. Where none starts, every text counts as unparsed.
    pub fn new() -> Self {
        let memory = Memory { postgres: cache(), mysql: cache() };
        let readers = memory.clone();
        Self { texts: memory, queue: threads::start(move |job| readers.read(job)) }
    }

    /// What is remembered of a text: one look-up, no waiting.
    pub fn known(&self, dialect: Dialect, text: &str) -> Option<Arc<Classified>> {
        if text.len() > CACHED_TEXT_MAX { None } else { self.texts.of(dialect).get(text) }
    }

    /// What a text does. Answers "unparsed" where the text is too long, can't be read, or where reading it
    /// takes too long; may be dropped at any moment.
    pub async fn classify(&self, dialect: Dialect, text: Arc<str>) -> Arc<Classified> {
        if let Some(known) = self.known(dialect, &text) {
            return known;
        }
        if text.len() > TEXT_MAX {
            return Arc::new(Classified::unreadable());
        }
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.queue.send(Job { dialect, text, answer }).await.ok()?;
            answered.await.ok()
        };
        let found = timeout(CLASSIFY_TIMEOUT, asked).await.ok().flatten();
        found.unwrap_or_else(|| Arc::new(Classified::unreadable()))
    }
}

fn cache() -> Texts {
    let weight = |text: &Arc<str>, found: &Arc<Classified>| {
        let tables: usize = found.tables.iter().map(|table| table.len()).sum();
        u32::try_from(text.len() + tables + CACHE_ENTRY_WEIGHT).unwrap_or(u32::MAX)
    };
    Cache::builder().max_capacity(CACHE_WEIGHT_MAX).weigher(weight).build()
}
