//! The threads that parse: their stack is large enough to walk and drop whatever the limits let through.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use tokio::sync::{mpsc, oneshot};

use crate::classified::Classified;
use crate::dialect::Dialect;
use crate::limits::{QUEUE_MAX, THREAD_STACK, THREADS};

/// One text to read.
pub(crate) struct Job {
    /// Whose SQL it is.
    pub(crate) dialect: Dialect,
    /// The text.
    pub(crate) text: Arc<str>,
    /// Where the answer goes; nobody may wait for it any more.
    pub(crate) answer: oneshot::Sender<Arc<Classified>>,
}

/// Starts the threads; they end when the sender and all its clones are gone.
pub(crate) fn start(read: impl Fn(&Job) -> Arc<Classified> + Clone + Send + 'static) -> mpsc::Sender<Job> {
    let (sender, receiver) = mpsc::channel(QUEUE_MAX);
    let receiver = Arc::new(Mutex::new(receiver));
    for number in 0..THREADS {
        let (receiver, read) = (Arc::clone(&receiver), read.clone());
        let thread = Builder::new().name(format!("sql-{number}")).stack_size(THREAD_STACK);
        if let Err(error) = thread.spawn(move || work(&receiver, &read)) {
            // Without a thread every text counts as unparsed: the channel is closed when no receiver is left.
            tracing::error!(%error, "a thread for reading SQL did not start (give the gate more memory)");
        }
    }
    sender
}

fn work(receiver: &Mutex<mpsc::Receiver<Job>>, read: &impl Fn(&Job) -> Arc<Classified>) {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(job) = next else { return };
        if job.answer.is_closed() {
            continue;
        }
        // A mistake of the parser costs one answer, not a thread.
        let found = catch_unwind(AssertUnwindSafe(|| read(&job))).unwrap_or_else(|_| {
            tracing::error!("the SQL parser failed on a text, which counts as unparsed");
            Arc::new(Classified::unreadable())
        });
        // Whoever asked may have gone meanwhile.
        drop(job.answer.send(found));
    }
}

/// Reads a text on a thread of its own with the same stack, and waits: for measuring and fuzzing.
pub(crate) fn aside<T: Send>(what: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = Builder::new().stack_size(THREAD_STACK).spawn_scoped(scope, what).ok()?;
        thread.join().ok()
    })
}
